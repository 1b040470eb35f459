package sigv4

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// The key and the two requests below were made with aws-sdk-go-v2's own SigV4A
// signer (internal/v4a 1.5.11), which nobody else can import.
const (
	ecdsaX = "b6618f6a65740a99e650b33b6b4b5bd0d43b176d721a3edfea7e7d2d56d936b1"
	ecdsaY = "865ed22a7eadc9c5cb9d2cbaca1b3699139fedc5043dc6661864218330c8e518"
)

func sdkPublicKey(t *testing.T) *ecdsa.PublicKey {
	t.Helper()
	b, err := hex.DecodeString("04" + ecdsaX + ecdsaY)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sdkV4A() map[string]*Request {
	return map[string]*Request{
		"header": {Method: "POST", RawPath: "/", Host: "iam.amazonaws.com", Body: []byte("Action=ListUsers&Version=2010-05-08"), Header: []Header{
			{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}, {"Content-Length", "35"}, {"X-Amz-Date", "20150830T123600Z"},
			{"X-Amz-Region-Set", "us-east-1,eu-*"},
			{"Authorization", "AWS4-ECDSA-P256-SHA256 Credential=AKIDEXAMPLE/20150830/iam/aws4_request, SignedHeaders=content-length;content-type;host;x-amz-date;x-amz-region-set, Signature=3045022100ef6553eb09b93ccb415af819a47b4b2c98b72d12d752884a89c4c64d2889e23a02203e3951b2c134b03dfb58b2df7597ae4dd7d7dedf076be6aff8334888956cab79"}}},
		"query": {Method: "GET", RawPath: "/", Host: "sts.amazonaws.com", RawQuery: "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fsts%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=900&X-Amz-Region-Set=%2A&X-Amz-SignedHeaders=host&X-Amz-Signature=30450221009a1376ea46fcb00114045dc9f865032ce067347cbce5548e4c3befab1189f4dd022018c42781683bbfb910abc5a6a0d7ea26d5be837721952f6265decde695e4850d"},
	}
}

func TestTheSigV4AKeyOfAnAccessKeyIsAWSs(t *testing.T) {
	k, err := DeriveECDSA(testKey, testSecret)
	if err != nil {
		t.Fatal(err)
	}
	if !k.PublicKey.Equal(sdkPublicKey(t)) {
		t.Error("another key")
	}
	other, err := DeriveECDSA(testKey+"2", testSecret)
	if err != nil || other.Equal(k) {
		t.Error("two access keys share a key")
	}
	if _, err := DeriveECDSA(testKey, ""); err == nil {
		t.Error("a key is derived from no secret")
	}
}

func TestWhatAWSsSigV4ASignerSignsVerifies(t *testing.T) {
	for name, r := range sdkV4A() {
		p, err := Parse(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := VerifyPublic(&p, r, sdkPublicKey(t), at, Own); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := CheckScope(&p, p.Scope.Service, "us-east-1"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := CheckScope(&p, p.Scope.Service, "ap-south-1"); (err == nil) != (name == "query") {
			t.Errorf("%s: in a Region outside its set: %v", name, err)
		}
	}
}

func TestASigV4ASignatureNeedsItsKeyAndKind(t *testing.T) {
	r := sdkV4A()["header"]
	p, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	other, err := DeriveECDSA(testKey, "another secret")
	if err != nil {
		t.Fatal(err)
	}
	key := DeriveKey(testSecret, p.Scope)
	if VerifyPublic(&p, r, nil, at, Own) == nil || VerifyPublic(&p, r, &ecdsa.PublicKey{}, at, Own) == nil ||
		VerifyPublic(&p, r, &other.PublicKey, at, Own) == nil || Verify(&p, r, &key, at, Own) == nil ||
		VerifyPublic(&p, r, sdkPublicKey(t), at, Profile{}) == nil {
		t.Error("verified with a wrong key")
	}
	shout := p
	shout.Signature = strings.ToUpper(p.Signature)
	if VerifyPublic(&shout, r, sdkPublicKey(t), at, Own) == nil {
		t.Error("one signature has two spellings")
	}
	r.Header[3].Value = "us-east-1,eu-*,us-west-2"
	if p, err = Parse(r); err != nil || VerifyPublic(&p, r, sdkPublicKey(t), at, Own) == nil {
		t.Error("the region set can be altered")
	}
	h := signedBySDK(t, "POST", "/", "a=b", "iam", false)
	if p, err = Parse(h); err != nil || VerifyPublic(&p, h, sdkPublicKey(t), at, Own) == nil {
		t.Error("a version 4 signature verifies with a public key")
	}
}

func TestWhatWeSignWithSigV4AVerifiesAndIsAFunctionOfItsInput(t *testing.T) {
	sign := func() *Request {
		r := &Request{Method: "POST", RawPath: "/", Host: "h", Body: []byte("x")}
		if err := SignECDSA(r, testKey, testSecret, "token", "*", "sts", at, Own); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r, again := sign(), sign()
	p, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyPublic(&p, r, sdkPublicKey(t), at.Add(time.Minute), Own); err != nil {
		t.Error(err)
	}
	if q, _ := Parse(again); q.Signature != p.Signature {
		t.Error("two signatures of one request differ")
	}
}

func TestARegionSetHoldsWhatItNames(t *testing.T) {
	for _, c := range []struct {
		set, region string
		want        bool
	}{
		{"*", "eu-west-1", true}, {"eu-west-1", "eu-west-1", true}, {"eu-west-1", "eu-west-2", false}, {"us-east-1, eu-*", "eu-west-1", true},
		{"eu-*", "us-eu-1", false}, {"*-1", "eu-west-1", true}, {"*-1", "eu-west-2", false}, {"e*w*1", "eu-west-1", true}, {"eu-*-eu-west-1", "eu-west-1", false},
		{"*west*", "eu-west-1", true}, {"", "eu-west-1", false}, {"*", "", false}, {"eu-west-1,", "eu-west-1", false}, {"eu west", "eu west", false},
		{strings.Repeat("a,", 32) + "b", "b", false}, {"a*a", "a", false}, {"**", "x", true}, {"EU-WEST-1", "eu-west-1", false},
	} {
		if got := RegionSetHolds(c.set, c.region); got != c.want {
			t.Errorf("%q holds %q: %v", c.set, c.region, got)
		}
	}
}
