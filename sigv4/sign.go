package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sign adds X-Amz-Date, X-Amz-Security-Token if there is a token, with an S3
// profile X-Amz-Content-Sha256, and the Authorization header to a request that
// has no credential yet. It signs the host and all headers but those that
// proxies and HTTP libraries change on the way. On an error the request is as
// it was.
func Sign(r *Request, accessKeyID, secret, token, region, service string, now time.Time, profile Profile) error {
	scope := Scope{Date: day(now), Region: region, Service: service}
	key := DeriveKey(secret, scope)
	a := attempt{r: r, algorithm: HMAC, credential: accessKeyID + "/" + scope.Date + "/" + region + "/" + service + "/" + terminator,
		token: token, now: now, profile: profile}
	return a.inHeader(func(toSign []byte) (string, error) { return signHMAC(&key, toSign) })
}

// SignECDSA is Sign with SigV4A: the signature holds in every Region of the
// set, which names Regions and patterns, joined with commas.
func SignECDSA(r *Request, accessKeyID, secret, token, regionSet, service string, now time.Time, profile Profile) error {
	key, err := DeriveECDSA(accessKeyID, secret)
	if err != nil {
		return err
	}
	a := attempt{r: r, algorithm: ECDSA, credential: accessKeyID + "/" + day(now) + "/" + service + "/" + terminator,
		token: token, regionSet: regionSet, now: now, profile: profile}
	return a.inHeader(func(toSign []byte) (string, error) { return signECDSA(key, toSign) })
}

// Presign adds the signature to the query. All headers that the request has
// are signed and have to be sent with it. The request expires after the given
// time, which the verifier's profile bounds.
func Presign(r *Request, accessKeyID, secret, token, region, service string, now time.Time, expires time.Duration, profile Profile) error {
	scope := Scope{Date: day(now), Region: region, Service: service}
	key := DeriveKey(secret, scope)
	a := attempt{r: r, algorithm: HMAC, credential: accessKeyID + "/" + scope.Date + "/" + region + "/" + service + "/" + terminator,
		token: token, now: now, profile: profile}
	return a.inQuery(expires, func(toSign []byte) (string, error) { return signHMAC(&key, toSign) })
}

func day(now time.Time) string { return now.UTC().Format("20060102") }

func signHMAC(key *SigningKey, toSign []byte) (string, error) {
	if *key == (SigningKey{}) {
		return "", errors.New("sigv4: no secret to sign with")
	}
	mac := hmac256(key[:], toSign)
	return hex.EncodeToString(mac[:]), nil
}

// attempt is one signature in the making. It is finished by the verifier's own
// reading of the request, so that nothing is signed that would not verify.
type attempt struct {
	r                            *Request
	algorithm                    Algorithm
	credential, token, regionSet string
	now                          time.Time
	profile                      Profile
}

func (a *attempt) inHeader(sign func(toSign []byte) (string, error)) error {
	before := a.r.Header
	err := a.header(sign)
	if err != nil {
		a.r.Header = before
	}
	return err
}

func (a *attempt) header(sign func(toSign []byte) (string, error)) error {
	r := a.r
	_, hashed, err := r.only("x-amz-content-sha256")
	if err != nil {
		return err
	}
	r.Header = append(slices.Clone(r.Header), Header{paramDate, stamp(a.now)})
	if a.token != "" {
		r.Header = append(r.Header, Header{paramToken, a.token})
	}
	if a.regionSet != "" {
		r.Header = append(r.Header, Header{paramRegionSet, a.regionSet})
	}
	if !hashed && a.profile.UnsignedPayload {
		r.Header = append(r.Header, Header{paramPayload, r.bodyHash()})
	}
	value := a.algorithm.String() + " Credential=" + a.credential + ", SignedHeaders=" + signable(r.Header) + ", Signature="
	at := len(r.Header)
	r.Header = append(r.Header, Header{"Authorization", value + "0"})
	signature, err := a.finish(sign)
	if err != nil {
		return err
	}
	r.Header[at].Value = value + signature
	return nil
}

func (a *attempt) inQuery(expires time.Duration, sign func(toSign []byte) (string, error)) error {
	before := a.r.RawQuery
	q := before
	add := func(name, value string) {
		if q != "" {
			q += "&"
		}
		q += name + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
	}
	add(paramAlgorithm, a.algorithm.String())
	add(paramCred, a.credential)
	add(paramDate, stamp(a.now))
	add(paramExpires, strconv.FormatInt(int64(expires/time.Second), 10))
	add(paramSigned, signable(a.r.Header))
	if a.token != "" {
		add(paramToken, a.token)
	}
	q += "&" + paramSignature + "="
	a.r.RawQuery = q + "0"
	signature, err := a.finish(sign)
	if err != nil {
		a.r.RawQuery = before
		return err
	}
	a.r.RawQuery = q + signature
	return nil
}

// finish reads the request back, with a placeholder for its signature, and
// signs what the verifier would have it sign.
func (a *attempt) finish(sign func(toSign []byte) (string, error)) (string, error) {
	p, err := Parse(a.r)
	if err != nil {
		return "", err
	}
	s := takeScratch()
	defer s.giveBack()
	digest, err := s.prepare(&p, a.r, a.algorithm, p.Time, &a.profile)
	if err != nil {
		return "", err
	}
	return sign(appendStringToSign(nil, &p, &digest))
}

// bodyHash is the SHA-256 of the body in hexadecimal.
func (r *Request) bodyHash() string {
	if r.BodyHash != nil {
		return hex.EncodeToString(r.BodyHash[:])
	}
	sum := sha256.Sum256(r.Body)
	return hex.EncodeToString(sum[:])
}

// signable lists the headers that a signer signs: those that arrive as they
// were sent.
func signable(headers []Header) string {
	names := []string{"host"}
	for _, h := range headers {
		switch n := strings.ToLower(h.Name); n {
		case "accept-encoding", "authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id":
		default:
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ";")
}
