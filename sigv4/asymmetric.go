package sigv4

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
)

// maxRegionSet is how many Regions and patterns a region set may name.
const maxRegionSet = 32

// orderMinusTwo is the order of P-256 less two, the bound on a derived secret.
var orderMinusTwo = [32]byte{
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x4f,
}

// DeriveECDSA derives the SigV4A key pair of an access key: NIST SP 800-108 in
// counter mode over HMAC-SHA-256, tried again with the next counter while the
// candidate is out of range. Unlike a SigningKey it is good for every day,
// Region and service; a verifier needs its public half only.
func DeriveECDSA[S ~string | ~[]byte](accessKeyID string, secret S) (*ecdsa.PrivateKey, error) {
	if accessKeyID == "" || len(secret) == 0 {
		return nil, errors.New("sigv4: no access key to derive from")
	}
	mac := hmac.New(sha256.New, append([]byte("AWS4A"), secret...))
	for counter := byte(1); counter < 255; counter++ {
		mac.Reset()
		mac.Write([]byte{0, 0, 0, 1}) // the only block
		mac.Write([]byte(nameECDSA))
		mac.Write([]byte{0})
		mac.Write([]byte(accessKeyID))
		mac.Write([]byte{counter})
		mac.Write([]byte{0, 0, 1, 0}) // 256 bits
		candidate := mac.Sum(nil)
		if bytes.Compare(candidate, orderMinusTwo[:]) > 0 {
			continue // once in 2^32 access keys: the time tells nothing of this one
		}
		d := new(big.Int).Add(new(big.Int).SetBytes(candidate), big.NewInt(1))
		return ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(make([]byte, 32)))
	}
	return nil, errors.New("sigv4: no key can be derived")
}

func verifyECDSA(key *ecdsa.PublicKey, toSign []byte, signature string) bool {
	if key == nil || key.Curve != elliptic.P256() || hasUpper(signature) {
		return false
	}
	der, err := hex.DecodeString(signature)
	if err != nil {
		return false
	}
	digest := sha256.Sum256(toSign)
	return ecdsa.VerifyASN1(key, digest[:], der)
}

// signECDSA signs without randomness (RFC 6979), so that signing is a function
// of what is signed.
func signECDSA(key *ecdsa.PrivateKey, toSign []byte) (string, error) {
	digest := sha256.Sum256(toSign)
	der, err := key.Sign(nil, digest[:], crypto.SHA256)
	return hex.EncodeToString(der), err
}

func validRegionSet(set string) bool {
	n := 0
	for more := true; more; n++ {
		var item string
		item, set, more = strings.Cut(set, ",")
		item = trimSpace(item)
		if len(item) > 64 || !all(strings.ReplaceAll(item, "*", "-"), scopeByte) || n >= maxRegionSet {
			return false
		}
	}
	return true
}

// RegionSetHolds reports whether a region set names a Region, itself or by a
// pattern. A star stands for any number of characters.
func RegionSetHolds(set, region string) bool {
	if region == "" || !validRegionSet(set) {
		return false
	}
	for more := true; more; {
		var item string
		item, set, more = strings.Cut(set, ",")
		if matchRegion(trimSpace(item), region) {
			return true
		}
	}
	return false
}

// matchRegion takes the leftmost place for every part between stars, which
// needs no backtracking.
func matchRegion(pattern, region string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == region
	}
	region, ok := strings.CutPrefix(region, first)
	for ok {
		var part string
		part, rest, star = strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(region, part)
		}
		i := strings.Index(region, part)
		if ok = i >= 0; ok {
			region = region[i+len(part):]
		}
	}
	return false
}
