package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"time"

	"github.com/holdfast-iam/holdfast/sigv4"
)

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// signatureSection verifies a request as botocore sends it with a cached
// signing key, beside the hash and the HMAC that no verifier can do without.
func signatureSection(p *plan) error {
	now := time.Now().UTC()
	body := []byte("Action=GetCallerIdentity&Version=2011-06-15")
	r := &sigv4.Request{Method: "POST", RawPath: "/", Host: "127.0.0.1:4260", Body: body, Header: []sigv4.Header{
		{Name: "Accept-Encoding", Value: "identity"}, {Name: "Content-Type", Value: "application/x-www-form-urlencoded; charset=utf-8"},
		{Name: "Content-Length", Value: "43"}, {Name: "User-Agent", Value: "Boto3/1.43 md/Botocore#1.43 ua/2.1 os/linux lang/python#3.13"},
		{Name: "Amz-Sdk-Invocation-Id", Value: "0b5a52c3-6f77-4a09-9a4e-8c8c4f7d3d11"}}}
	if err := sigv4.Sign(r, "AKIAIOSFODNN7EXAMPLE", secret, "", "us-east-1", "sts", now, sigv4.Own); err != nil {
		return err
	}
	first, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	key := sigv4.DeriveKey(secret, first.Scope)
	if err := sigv4.Verify(&first, r, &key, now, sigv4.Own); err != nil {
		return err
	}
	ours := contender{"ours", func(n int) {
		for range n {
			parsed, err := sigv4.Parse(r)
			if err == nil {
				err = sigv4.Verify(&parsed, r, &key, now, sigv4.Own)
			}
			if err != nil {
				panic(err) // it was right before
			}
		}
	}}
	derive := contender{"derive", func(n int) {
		for range n {
			sigv4.DeriveKey(secret, first.Scope)
		}
	}}
	if err := p.profile("signature", func() { ours.run(calibrate(ours, 5*p.batch)) }); err != nil {
		return err
	}
	f := race(p, []contender{ours, {"floor", signatureFloor}, derive, {"four HMACs", deriveFloor}})
	var t table
	t.add("step", "ours (allocs)", "floor (allocs)", "ours ÷ floor", "spread of ours", "goal", "met")
	ratio := f[0].median() / f[1].median()
	t.add("parse and verify, signing key cached", f[0].cell(), f[1].cell(), times(f[0].median(), f[1].median()), f[0].spread(),
		"≤ 2.5 × floor, ≤ 2 allocations", met(ratio <= 2.5 && f[0].allocs <= 2))
	t.add("derive a signing key", f[2].cell(), f[3].cell(), times(f[2].median(), f[3].median()), f[2].spread(), "–", "–")
	t.print(p)
	return nil
}

// signatureFloor is SHA-256 of a canonical request of 600 bytes and one HMAC.
func signatureFloor(n int) {
	message, toSign, key := make([]byte, 600), make([]byte, 140), make([]byte, 32)
	h := hmac.New(sha256.New, key)
	var out [32]byte
	for range n {
		sum := sha256.Sum256(message)
		copy(toSign[100:], sum[:])
		h.Reset()
		h.Write(toSign)
		h.Sum(out[:0])
	}
}

// deriveFloor is the four HMACs of a signing key with the standard library.
func deriveFloor(n int) {
	for range n {
		key := []byte("AWS4" + secret)
		for _, part := range []string{"20260101", "us-east-1", "sts", "aws4_request"} {
			h := hmac.New(sha256.New, key)
			h.Write([]byte(part))
			key = h.Sum(nil)
		}
	}
}
