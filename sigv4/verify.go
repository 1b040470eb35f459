package sigv4

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// Skew is how far a signer's clock may be from ours, either way.
const Skew = 5 * time.Minute

// Profile says what a service allows. Everything beyond a whole signature of
// host, x-amz- headers and body has to be allowed by name. The zero value
// accepts nothing.
type Profile struct {
	// Accepts must be set: a profile that nobody filled in refuses.
	Accepts bool
	// RawPath leaves dot segments and repeated slashes in the path.
	RawPath bool
	// SingleEncode takes escapes in the path for what they stand for. Without
	// it the path is encoded once more, percent signs and all.
	SingleEncode bool
	// UnsignedPayload allows UNSIGNED-PAYLOAD, and makes it the payload hash of
	// a presigned request that names none.
	UnsignedPayload bool
	// Chunked allows the STREAMING- payloads. Verify then vouches for the
	// headers alone: the caller reads the body through OpenChunks and in no
	// other way.
	Chunked bool
	// DeferredBody allows a request with a hexadecimal X-Amz-Content-Sha256
	// whose body is not here yet: Body and BodyHash both nil. The caller
	// compares the body with Presented.PayloadHash before it uses it.
	DeferredBody bool
	// UnsignedHeaders allows x-amz- headers that the signature does not cover.
	UnsignedHeaders bool
	// RepeatedParameters allows a query parameter to stand more than once.
	RepeatedParameters bool
	// S3Codes answers with S3's codes where they differ from other services'.
	S3Codes bool
	// MaxExpires is the longest X-Amz-Expires. 0: no presigned requests.
	MaxExpires time.Duration
	// FixedExpires is how long a presigned request lives, whatever its
	// X-Amz-Expires says. 0: as long as it says, which it must.
	FixedExpires time.Duration
}

// Own is the profile of Holdfast's own services, after STS: no unsigned
// payload, no chunks, nothing repeated, presigned for 15 minutes. As at AWS, a
// presigned request to them lives 15 minutes even when it says less: tokens
// made for aws-iam-authenticator say 60 seconds and are used for 14 minutes.
//
// S3 is the profile of S3 and what speaks its protocol, for a verifier that
// has the whole body or none is signed. S3Store is for the store itself, which
// reads bodies after the signature: it answers with S3's codes, and it must
// read a chunked body through OpenChunks and compare any other body with
// Presented.PayloadHash.
var (
	Own = Profile{Accepts: true, MaxExpires: 15 * time.Minute, FixedExpires: 15 * time.Minute}
	S3  = Profile{Accepts: true, RawPath: true, SingleEncode: true, UnsignedPayload: true, RepeatedParameters: true,
		MaxExpires: 7 * 24 * time.Hour}
	S3Store = Profile{Accepts: true, RawPath: true, SingleEncode: true, UnsignedPayload: true, RepeatedParameters: true,
		MaxExpires: 7 * 24 * time.Hour, Chunked: true, DeferredBody: true, S3Codes: true}
)

// The words that stand in the place of a payload hash. Amazon S3 API
// Reference, "Authenticating Requests: Using the Authorization Header".
const (
	UnsignedPayload          = "UNSIGNED-PAYLOAD"
	StreamingPayload         = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	StreamingPayloadTrailer  = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	StreamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// streaming begins every word that announces a chunked body, those that this
// package does not know included.
const streaming = "STREAMING-"

func validPayload(s string) bool {
	if s == UnsignedPayload || strings.HasPrefix(s, streaming) {
		return len(s) <= 128 && all(s, tokenByte)
	}
	return isDigest(s)
}

// isDigest reports whether s is a SHA-256 in lower-case hexadecimal.
func isDigest(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}

// CheckScope checks the signed scope against the service that is asked and the
// Regions that it answers for. With SigV4A one of the Regions must be in the
// region set. Call it before a key is derived. Errors are *Error.
func CheckScope(p *Presented, service string, regions ...string) error {
	known := false
	if p.Algorithm == ECDSA {
		known = slices.ContainsFunc(regions, func(r string) bool { return RegionSetHolds(p.RegionSet, r) })
	} else {
		known = p.Scope.Region != "" && slices.Contains(regions, p.Scope.Region)
	}
	if !known {
		return refuse(SignatureDoesNotMatch, "Credential should be scoped to a valid region.")
	}
	if service == "" || p.Scope.Service != service {
		return refuse(SignatureDoesNotMatch, "Credential should be scoped to correct service: '"+service+"'.")
	}
	return nil
}

// Verify checks a version 4 signature of r, which p was parsed from, at the
// time now. The key is derived from p.Scope. It returns nil or an *Error.
//
// It is safe to call again for the same request: a repeated signature is a
// retry.
func Verify(p *Presented, r *Request, key *SigningKey, now time.Time, prof Profile) error {
	s := takeScratch()
	defer s.giveBack()
	digest, err := s.prepare(p, r, HMAC, now, &prof)
	if err != nil {
		return err
	}
	var room [maxToSign]byte
	toSign := appendStringToSign(room[:0], p, &digest)
	if !matches(key, toSign, p.Signature) {
		return mismatch(string(s.out), string(toSign))
	}
	return nil
}

// maxToSign is more than any string to sign is long: the parts are bounded by
// Parse.
const maxToSign = 448

// matches compares a hexadecimal HMAC in constant time. No key matches
// nothing, and so does the zero key, which anybody knows.
func matches(key *SigningKey, toSign []byte, signature string) bool {
	if key == nil || *key == (SigningKey{}) || len(signature) != 64 {
		return false
	}
	mac := hmac256(key[:], toSign)
	var want, got [64]byte
	hex.Encode(want[:], mac[:])
	copy(got[:], signature)
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// VerifyPublic is Verify for a SigV4A signature, with the signer's P-256
// public key.
//
// ECDSA signatures are malleable: who has seen one valid signature can write
// down a second for the same request. A caller that tells requests apart does
// so by what was signed, not by Presented.Signature.
func VerifyPublic(p *Presented, r *Request, key *ecdsa.PublicKey, now time.Time, prof Profile) error {
	s := takeScratch()
	defer s.giveBack()
	digest, err := s.prepare(p, r, ECDSA, now, &prof)
	if err != nil {
		return err
	}
	var room [maxToSign]byte
	toSign := appendStringToSign(room[:0], p, &digest)
	if !verifyECDSA(key, toSign, p.Signature) {
		return mismatch(string(s.out), string(toSign))
	}
	return nil
}

// prepare makes every check but the signature's. It leaves the canonical
// request in s and returns its hash.
func (s *scratch) prepare(p *Presented, r *Request, want Algorithm, now time.Time, prof *Profile) (digest [32]byte, err error) {
	switch {
	case p.Carrier != InHeader && p.Carrier != InQuery, !prof.Accepts:
		return digest, refuse(MissingAuthenticationToken, "Request is missing Authentication Token")
	case p.Algorithm != want:
		return digest, incomplete("The signature's algorithm needs another kind of key.")
	}
	if err := r.wellFormed(); err != nil {
		return digest, err
	}
	if err := checkTime(p, now, prof); err != nil {
		return digest, err
	}
	var room [64]byte
	word, err := payloadHash(p, r, prof, &room)
	if err != nil {
		return digest, err
	}
	if err := s.canonical(r, p.SignedHeaders, prof); err != nil {
		return digest, err
	}
	if word != "" {
		s.out = append(s.out, word...)
	} else {
		s.out = append(s.out, room[:]...)
	}
	return sha256.Sum256(s.out), nil
}

// checkTime checks the day of the scope and that now is within the signature's
// life.
func checkTime(p *Presented, now time.Time, prof *Profile) error {
	var room [16]byte
	at := appendStamp(room[:0], p.Time)
	if string(at[:8]) != p.Scope.Date {
		return refuse(SignatureDoesNotMatch, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '"+
			p.Scope.Date+"' != '"+string(at[:8])+"', from '"+string(at)+"'.")
	}
	life := Skew
	if p.Carrier == InQuery {
		var err error
		if life, err = lifetime(p, prof); err != nil {
			return err
		}
	}
	if age := now.Sub(p.Time); age >= -Skew && age <= life {
		return nil
	}
	switch late := now.After(p.Time); {
	case prof.S3Codes && p.Carrier == InQuery && late:
		return refuse(AccessDenied, "Request has expired")
	case prof.S3Codes && p.Carrier == InQuery:
		return refuse(AccessDenied, "Request is not valid yet")
	case prof.S3Codes:
		return refuse(RequestTimeTooSkewed, "The difference between the request time and the current time is too large.")
	case late:
		return expired(p.Time, now, life)
	}
	return notYetCurrent(p.Time, now)
}

func lifetime(p *Presented, prof *Profile) (time.Duration, error) {
	switch {
	case prof.MaxExpires <= 0:
		return 0, incomplete("Presigned requests are not supported by this service.")
	case p.Expires > prof.MaxExpires:
		return 0, incomplete("X-Amz-Expires must not be more than " + inWords(prof.MaxExpires))
	case prof.FixedExpires > 0:
		return min(prof.FixedExpires, prof.MaxExpires), nil
	case p.Expires <= 0:
		return 0, incomplete("AWS query-string parameters must include 'X-Amz-Expires'. Re-examine the query-string parameters.")
	}
	return p.Expires, nil
}

// payloadHash finds the last line of the canonical request: a word or claimed
// hash that holds, or "" and the body's hash in room.
func payloadHash(p *Presented, r *Request, prof *Profile, room *[64]byte) (string, error) {
	claimed := p.PayloadHash
	if claimed == "" && p.Carrier == InQuery && prof.UnsignedPayload {
		return UnsignedPayload, nil
	}
	if strings.HasPrefix(claimed, streaming) {
		return claimed, allowChunks(p, prof)
	}
	if !prof.Chunked {
		if err := noChunks(r); err != nil {
			return "", err
		}
	}
	if claimed == UnsignedPayload {
		if !prof.UnsignedPayload {
			return "", incomplete("Unsigned payloads (x-amz-content-sha256: " + UnsignedPayload + ") are not supported by this service.")
		}
		return claimed, nil
	}
	if claimed != "" && prof.DeferredBody && r.Body == nil && r.BodyHash == nil {
		return claimed, nil
	}
	digest := r.BodyHash
	if digest == nil {
		sum := sha256.Sum256(r.Body)
		digest = &sum
	}
	hex.Encode(room[:], digest[:])
	if claimed != "" && claimed != string(room[:]) { // both are the client's to know
		if prof.S3Codes {
			return "", refuse(ContentSHA256Mismatch, "The provided 'x-amz-content-sha256' header does not match what was computed.")
		}
		return "", refuse(SignatureDoesNotMatch, "The value of 'x-amz-content-sha256' does not match the SHA-256 of the body.")
	}
	return "", nil
}

func allowChunks(p *Presented, prof *Profile) error {
	if !prof.Chunked {
		return incomplete("Chunked payloads (x-amz-content-sha256: " + streaming + "...) are not supported by this service.")
	}
	switch {
	case p.Carrier != InHeader:
		return incomplete("A presigned request cannot have a chunked payload.")
	case p.PayloadHash == StreamingUnsignedTrailer:
		return nil
	case p.Algorithm == HMAC && (p.PayloadHash == StreamingPayload || p.PayloadHash == StreamingPayloadTrailer):
		return nil
	}
	return incomplete("The chunked payload of 'x-amz-content-sha256' is not supported.")
}

// noChunks refuses the other marks of a chunked body, so that one is never
// taken for plain data.
func noChunks(r *Request) error {
	for i := range r.Header {
		h := &r.Header[i]
		switch len(h.Name) {
		case len("x-amz-trailer"):
			if !sameName(h.Name, "x-amz-trailer") {
				continue
			}
		case len("content-encoding"):
			if !sameName(h.Name, "content-encoding") || !hasItem(h.Value, "aws-chunked") {
				continue
			}
		case len("x-amz-decoded-content-length"):
			if !sameName(h.Name, "x-amz-decoded-content-length") {
				continue
			}
		default:
			continue
		}
		return incomplete("Chunked payloads are not supported by this service.")
	}
	return nil
}

// hasItem looks for a word in a comma-separated list, in any case.
func hasItem(list, lower string) bool {
	for list != "" {
		var item string
		item, list, _ = strings.Cut(list, ",")
		if sameName(trimSpace(item), lower) {
			return true
		}
	}
	return false
}
