package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"time"
)

// Skew is how far a request's time may be from the verifier's.
const Skew = 5 * time.Minute

// Profile says what a service accepts. The zero value accepts nothing.
type Profile struct {
	// Accepts must be set: a profile that nobody filled in refuses.
	Accepts bool
	// KeepPath leaves the path as it was sent, encoded once (S3).
	KeepPath bool
	// UnsignedPayload allows UNSIGNED-PAYLOAD (S3).
	UnsignedPayload bool
	// AllAmz demands that every x-amz- header received is signed.
	AllAmz bool
	// MaxExpires bounds how long a presigned request lives.
	MaxExpires time.Duration
}

// Own is the profile of our own services (DESIGN §7); S3 that of S3 and
// services like it, without chunked bodies.
var (
	Own = Profile{Accepts: true, AllAmz: true, MaxExpires: 15 * time.Minute}
	S3  = Profile{Accepts: true, KeepPath: true, UnsignedPayload: true, MaxExpires: 7 * 24 * time.Hour}
)

// SigningKey is a key derived for one day, Region and service.
type SigningKey [32]byte

// DeriveKey derives the signing key of a secret for a scope.
func DeriveKey(secret string, s Scope) SigningKey {
	k := mac([]byte("AWS4"+secret), s.Date)
	k = mac(k[:], s.Region)
	k = mac(k[:], s.Service)
	return mac(k[:], terminator)
}

func mac(key []byte, text string) SigningKey {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	var out SigningKey
	h.Sum(out[:0])
	return out
}

const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	streamingPrefix = "STREAMING-"
)

// Verify checks a presented signature over its request: nil only if it was
// made with the key, within its time, over all that the profile demands.
// Errors are *Error.
func Verify(p *Presented, r *Request, key *SigningKey, now time.Time, profile Profile) error {
	if !profile.Accepts || key == nil || p.Algorithm != HMAC || (p.Carrier != InHeader && p.Carrier != InQuery) {
		return refuse(MissingAuthenticationToken, "Request is missing Authentication Token")
	}
	if err := p.inTime(now, profile); err != nil {
		return err
	}
	if err := p.signsEnough(r, profile); err != nil {
		return err
	}
	payload, err := p.payload(r, profile)
	if err != nil {
		return err
	}
	return p.compare(r, key, profile, payload)
}

func (p *Presented) compare(r *Request, key *SigningKey, profile Profile, payload string) error {
	var room [2048]byte
	canonical, err := r.canonical(room[:0], p, profile, payload)
	if err != nil {
		return err
	}
	var scratch [256]byte
	toSign := p.stringToSign(scratch[:0], canonical)
	want := mac(key[:], string(toSign))
	var text [64]byte
	hex.Encode(text[:], want[:])
	if subtle.ConstantTimeCompare(text[:], []byte(p.Signature)) != 1 {
		return mismatch(string(canonical), string(toSign))
	}
	return nil
}

// stringToSign appends task 2's string.
func (p *Presented) stringToSign(b, canonical []byte) []byte {
	sum := sha256.Sum256(canonical)
	b = append(append(b, nameHMAC...), '\n')
	b = append(appendStamp(b, p.Time), '\n')
	b = append(append(b, p.Scope.Date...), '/')
	b = append(append(b, p.Scope.Region...), '/')
	b = append(append(b, p.Scope.Service...), '/')
	b = append(append(b, terminator...), '\n')
	return hex.AppendEncode(b, sum[:])
}

// inTime checks the request's time against the clock, and its day against the
// scope's.
func (p *Presented) inTime(now time.Time, profile Profile) error {
	if p.Time.UTC().Format("20060102") != p.Scope.Date {
		return refuse(SignatureDoesNotMatch, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '"+
			p.Scope.Date+"' != '"+p.Time.UTC().Format("20060102")+"', from '"+stamp(p.Time)+"'.")
	}
	life := Skew
	if p.Carrier == InQuery {
		if life = p.Expires; life == 0 {
			life = profile.MaxExpires
		}
		if life > profile.MaxExpires {
			return refuse(IncompleteSignature, "X-Amz-Expires must be at most "+inWords(profile.MaxExpires))
		}
	}
	if now.After(p.Time.Add(life)) {
		return expired(p.Time, now, life)
	}
	if p.Time.After(now.Add(Skew)) {
		return notYetCurrent(p.Time, now)
	}
	return nil
}

// signsEnough checks that the signature covers host, and every x-amz- header
// where the profile asks for that.
func (p *Presented) signsEnough(r *Request, profile Profile) error {
	if !p.signs("host") {
		return refuse(SignatureDoesNotMatch, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	if !profile.AllAmz {
		return nil
	}
	for i := range r.Header {
		name := r.Header[i].Name
		if len(name) < 6 || !sameName(name[:6], "x-amz-") {
			continue
		}
		if !p.signs(strings.ToLower(name)) {
			return refuse(SignatureDoesNotMatch, "The header '"+visible(strings.ToLower(name))+"' must be signed.")
		}
	}
	return nil
}

// signs says whether a header is among the signed ones.
func (p *Presented) signs(name string) bool {
	list := p.SignedHeaders
	for list != "" {
		one, rest, _ := strings.Cut(list, ";")
		if one == name {
			return true
		}
		list = rest
	}
	return false
}

// payload returns the hash that the canonical request ends in, after checking
// that it is the body's.
func (p *Presented) payload(r *Request, profile Profile) (string, error) {
	sum := r.BodyHash
	if sum == nil {
		s := sha256.Sum256(r.Body)
		sum = &s
	}
	actual := hex.EncodeToString(sum[:])
	switch claimed := p.PayloadHash; {
	case strings.HasPrefix(claimed, streamingPrefix):
		return "", incomplete("Chunked bodies (" + visible(claimed) + ") are not accepted here.")
	case claimed == unsignedPayload || claimed == "" && p.Carrier == InQuery && profile.UnsignedPayload:
		if !profile.UnsignedPayload {
			return "", incomplete("An unsigned payload is not accepted here.")
		}
		return unsignedPayload, nil
	case claimed != "" && subtle.ConstantTimeCompare([]byte(claimed), []byte(actual)) != 1:
		return "", refuse(SignatureDoesNotMatch, "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return actual, nil
}

// validPayload says whether a value may stand in X-Amz-Content-Sha256.
func validPayload(s string) bool {
	if s == unsignedPayload || strings.HasPrefix(s, streamingPrefix) && len(s) < 64 {
		return true
	}
	if len(s) != 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if _, ok := hexValue(s[i]); !ok {
			return false
		}
	}
	return true
}

// maxRegionSet bounds how many Regions a SigV4A signature names.
const maxRegionSet = 32

func validRegionSet(s string) bool {
	parts := strings.Split(s, ",")
	if len(parts) > maxRegionSet {
		return false
	}
	for _, p := range parts {
		if p = strings.Trim(p, " "); p != "*" && !all(strings.ReplaceAll(p, "*", "-"), scopeByte) {
			return false
		}
	}
	return true
}
