package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// The codes that this package's errors carry. They are AWS's; the HTTP status
// is the caller's to know. Those of the second group come with Profile.S3Codes
// or from a ChunkReader only.
const (
	IncompleteSignature        = "IncompleteSignature"
	InvalidQueryParameter      = "InvalidQueryParameter"
	MissingAuthenticationToken = "MissingAuthenticationToken"
	SignatureDoesNotMatch      = "SignatureDoesNotMatch"
	InvalidClientTokenId       = "InvalidClientTokenId" // VerifyRaw only

	AccessDenied             = "AccessDenied"
	RequestTimeTooSkewed     = "RequestTimeTooSkewed"
	ContentSHA256Mismatch    = "XAmzContentSHA256Mismatch"
	BadDigest                = "BadDigest"
	IncompleteBody           = "IncompleteBody"
	InvalidChunk             = "InvalidChunkSizeError"
	MalformedTrailer         = "MalformedTrailerError"
	MissingDecodedLength     = "MissingContentLength"
	InvalidChecksumAlgorithm = "InvalidRequest"
)

// Error says in AWS's words why a request was refused.
type Error struct {
	Code string
	// Message is for the client that sent the request. With SignatureDoesNotMatch
	// it holds the canonical request, and so the client's own session token: it
	// does not belong in a log.
	Message string
	// CanonicalRequest and StringToSign are what the request should have signed,
	// once there is something to compute them from.
	CanonicalRequest, StringToSign string
	// Brief is the message without anything that the client sent, for a log.
	Brief string
}

// Error returns code and brief words, without the canonical request.
func (e *Error) Error() string { return e.Code + ": " + e.Brief }

func refuse(code, message string) *Error {
	return &Error{Code: code, Message: message, Brief: message}
}

func incomplete(message string) *Error { return refuse(IncompleteSignature, message) }

// refusef makes an error whose message quotes the client.
func refusef(code, brief, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Brief: brief}
}

func repeatedHeader(name string) *Error {
	return incomplete("The header '" + name + "' must not be repeated.")
}

// aboutHeader ends a message about the Authorization header as AWS does: with
// the header's hash, so that nothing of a mangled credential is echoed.
func aboutHeader(message, authorization string) *Error {
	sum := sha256.Sum256([]byte(authorization))
	e := incomplete(message)
	e.Message += " (Hashed with SHA-256 and encoded with Base64) Authorization=" + base64.StdEncoding.EncodeToString(sum[:])
	return e
}

const mismatchBrief = "The request signature we calculated does not match the signature you provided. " +
	"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

// mismatch is AWS's SignatureDoesNotMatch with the two strings that the signer
// should have come to.
func mismatch(canonical, toSign string) *Error {
	return &Error{
		Code:  SignatureDoesNotMatch,
		Brief: mismatchBrief,
		Message: mismatchBrief + "\n\nThe Canonical String for this request should have been\n'" + canonical +
			"'\n\nThe String-to-Sign should have been\n'" + toSign + "'\n",
		CanonicalRequest: canonical, StringToSign: toSign,
	}
}

func expired(at, now time.Time, allowed time.Duration) *Error {
	return refuse(SignatureDoesNotMatch, fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - %s)",
		stamp(at), stamp(now.Add(-allowed)), stamp(now), inWords(allowed)))
}

func notYetCurrent(at, now time.Time) *Error {
	return refuse(SignatureDoesNotMatch, fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + %s)",
		stamp(at), stamp(now.Add(Skew)), stamp(now), inWords(Skew)))
}

func inWords(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d min.", d/time.Minute)
	}
	return fmt.Sprintf("%d sec.", d/time.Second)
}
