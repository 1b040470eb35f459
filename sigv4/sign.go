package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// Sign adds X-Amz-Date, X-Amz-Security-Token if there is a token, and the
// Authorization header to a request that has none of them, signing all headers
// it has and host.
func Sign(r *Request, accessKeyID, secret, token, region, service string, now time.Time, profile Profile) error {
	r.Header = append(r.Header, Header{"X-Amz-Date", stamp(now)})
	if token != "" {
		r.Header = append(r.Header, Header{"X-Amz-Security-Token", token})
	}
	names := []string{"host"}
	for _, h := range r.Header {
		if n := strings.ToLower(h.Name); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	p := Presented{Carrier: InHeader, Algorithm: HMAC, AccessKeyID: accessKeyID, Time: now.UTC().Truncate(time.Second),
		Scope: Scope{Date: now.UTC().Format("20060102"), Region: region, Service: service}, SignedHeaders: strings.Join(names, ";")}
	sum := sha256.Sum256(r.Body)
	canonical, err := r.canonical(nil, &p, profile, hex.EncodeToString(sum[:]))
	if err != nil {
		return err
	}
	key := DeriveKey(secret, p.Scope)
	signature := mac(key[:], string(p.stringToSign(nil, canonical)))
	r.Header = append(r.Header, Header{"Authorization", nameHMAC + " Credential=" + accessKeyID + "/" + p.Scope.Date + "/" + region + "/" + service + "/" +
		terminator + ", SignedHeaders=" + p.SignedHeaders + ", Signature=" + hex.EncodeToString(signature[:])})
	return nil
}
