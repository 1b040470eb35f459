// Package sigv4 verifies and makes AWS signatures, version 4: in the
// Authorization header, in the query (presigned), over chunked bodies, and
// asymmetric (SigV4A).
//
// The invariant: a request is parsed once into one Presented value with exactly
// one credential carrier, and Verify returns nil only for a signature over the
// method, path, query, headers and body of that very request, made with the
// given key, within its time. Whatever is missing, repeated, malformed, unknown
// or beyond a limit is refused, and so is every zero value: an unparsed
// Presented, an empty key, a Profile that allows nothing.
//
// The package is pure. It reads no clock, keeps no state of its own and logs
// nothing. It never sees which account a key belongs to: the caller looks the
// key up between Parse and Verify.
//
//	p, err := sigv4.Parse(&req)           // who says it is, over which scope
//	err = sigv4.CheckScope(&p, "iam", regions...)
//	key := sigv4.DeriveKey(secret, p.Scope)
//	err = sigv4.Verify(&p, &req, &key, now, sigv4.Own)
//
// Sources: IAM User Guide, "AWS Signature Version 4 for API requests"; Amazon
// S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
package sigv4
