package sigv4

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

// hot is a request as botocore sends it, with its key at hand.
func hot(t testing.TB) (*Request, SigningKey) {
	r := &Request{Method: "POST", RawPath: "/", Host: "127.0.0.1:4260", Body: []byte("Action=GetCallerIdentity&Version=2011-06-15"), Header: []Header{
		{"Accept-Encoding", "identity"}, {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}, {"Content-Length", "43"},
		{"User-Agent", "Boto3/1.43 md/Botocore#1.43 ua/2.1 os/linux lang/python#3.13"}, {"Amz-Sdk-Invocation-Id", "0b5a52c3-6f77-4a09-9a4e-8c8c4f7d3d11"}}}
	signed(t, Own, r)
	p, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	return r, DeriveKey(testSecret, p.Scope)
}

func verifyOnce(t testing.TB, r *Request, key *SigningKey) {
	p, err := Parse(r)
	if err == nil {
		err = Verify(&p, r, key, at, Own)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAHotVerificationAllocatesAtMostTwice(t *testing.T) {
	r, key := hot(t)
	if n := testing.AllocsPerRun(1000, func() { verifyOnce(t, r, &key) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
	query := *r
	query.RawQuery = "b=2&a=1&c=%20"
	query.Header = append([]Header(nil), r.Header[:5]...)
	signed(t, Own, &query)
	if n := testing.AllocsPerRun(1000, func() { verifyOnce(t, &query, &key) }); n > 2 {
		t.Errorf("with a query: %v allocations", n)
	}
}

// BenchmarkFloor is what a verification cannot do without: the hash of what
// is signed and one HMAC.
func BenchmarkFloor(b *testing.B) {
	message, toSign, key := make([]byte, 600), make([]byte, 140), make([]byte, 32)
	h := hmac.New(sha256.New, key)
	var out [32]byte
	b.ReportAllocs()
	for b.Loop() {
		sum := sha256.Sum256(message)
		copy(toSign[100:], sum[:])
		h.Reset()
		h.Write(toSign)
		h.Sum(out[:0])
	}
}

// BenchmarkVerify parses and verifies with a cached signing key. At most 2.5
// times the floor.
func BenchmarkVerify(b *testing.B) {
	r, key := hot(b)
	b.ReportAllocs()
	for b.Loop() {
		verifyOnce(b, r, &key)
	}
}

func BenchmarkDeriveKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		DeriveKey(testSecret, Scope{"20150830", "us-east-1", "iam"})
	}
}

func FuzzHMAC(f *testing.F) {
	f.Add([]byte("key"), []byte("message"))
	f.Add(make([]byte, 64), make([]byte, 448))
	f.Add(make([]byte, 65), make([]byte, 449))
	f.Fuzz(func(t *testing.T, key, message []byte) {
		h := hmac.New(sha256.New, key)
		h.Write(message)
		if got := hmac256(key, message); !bytes.Equal(h.Sum(nil), got[:]) {
			t.Fatalf("%x", got)
		}
	})
}
