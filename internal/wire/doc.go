// Package wire turns AWS's query protocol into Go structs and back: a form
// into an operation's input, an operation's output into XML or JSON, a fault
// into the error document of the protocol that the client speaks.
//
// The invariant: what is decoded was sent exactly once, in strict encoding and
// within limits, and nothing that was sent beneath a known parameter is
// silently dropped; what is encoded is well-formed whatever text it holds, so
// no caller's text can forge a part of an answer.
//
// # Structs
//
// A field's name is its name on the wire. A struct tag changes what is not
// usual, as a list of words: `q:"required"` (input: must be present),
// `q:"name=arn"` (another name), `q:"omitempty"` (output: left out when it
// holds the zero value or an empty list), `q:"-"` (not on the wire). Fields of
// embedded structs count as the outer struct's.
//
// Types: string, bool, int, int32, int64 and types made of them; []byte
// (base64); time.Time; structs; slices; pointers to all of them, where nil
// means absent; types with UnmarshalText and MarshalText; and, in outputs
// only, maps from strings to any of these.
//
// A constraint belongs to a type: a method Limits() Limit on its value.
//
// Source: the query protocol as in https://smithy.io/2.0/aws/protocols/aws-query-protocol.html;
// messages as IAM and STS word them.
package wire
