package keyring

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Prefixes of access key ids.
const (
	LongTerm  = "AKIA"
	Temporary = "ASIA"
)

// accountBits is where an access key id carries its account: 40 bits above
// the lowest seven of its first six bytes, as AWS's do (STS GetAccessKeyInfo).
const accountBits = 7

var errKeyID = errors.New("keyring: no access key id with an account in it")

// NewKeyID makes an access key id of the account: prefix and sixteen base32
// characters.
func NewKeyID(prefix, account string) (string, error) {
	n, err := strconv.ParseUint(account, 10, 64)
	if err != nil || len(account) != 12 {
		return "", fmt.Errorf("keyring: %q is no account id", account)
	}
	var b [10]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	low := uint64(b[5]) & (1<<accountBits - 1)
	v := 1<<47 | n<<accountBits | low
	for i := range 6 {
		b[i] = byte(v >> (40 - 8*i))
	}
	return prefix + base32.StdEncoding.EncodeToString(b[:]), nil
}

// AccountOf reads the account that an access key id carries.
func AccountOf(keyID string) (string, error) {
	if len(keyID) != 20 || (!strings.HasPrefix(keyID, LongTerm) && !strings.HasPrefix(keyID, Temporary)) {
		return "", errKeyID
	}
	b, err := base32.StdEncoding.DecodeString(keyID[4:])
	if err != nil {
		return "", errKeyID
	}
	var v uint64
	for _, c := range b[:6] {
		v = v<<8 | uint64(c)
	}
	n := v & 0x7fffffffff80 >> accountBits
	if n > 999999999999 {
		return "", errKeyID
	}
	return fmt.Sprintf("%012d", n), nil
}

// NewSecret makes a secret access key: forty characters from thirty random
// bytes.
func NewSecret() string {
	var b [30]byte
	rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

// bearerPrefix marks the Bearer of a service-specific credential, for secret
// scanners and people.
const bearerPrefix = "hfb_"

// NewBearer makes the Bearer of the credential with this id, and what is kept
// of it: the SHA-256 of its secret part, which has 256 random bits.
func NewBearer(id string) (bearer string, hash []byte) {
	var b [32]byte
	rand.Read(b[:])
	secret := base64.RawURLEncoding.EncodeToString(b[:])
	sum := sha256.Sum256([]byte(secret))
	return bearerPrefix + id + "." + secret, sum[:]
}

// ParseBearer splits a Bearer into the credential's id and its secret part.
func ParseBearer(bearer string) (id, secret string, ok bool) {
	rest, ok := strings.CutPrefix(bearer, bearerPrefix)
	if !ok || len(rest) > 128 {
		return "", "", false
	}
	id, secret, ok = strings.Cut(rest, ".")
	return id, secret, ok && id != "" && secret != ""
}

// BearerMatches compares a Bearer's secret part with the hash that is kept, in
// constant time.
func BearerMatches(secret string, hash []byte) bool {
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], hash) == 1
}
