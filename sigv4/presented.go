package sigv4

import (
	"net/http"
	"strings"
	"time"
)

// Carrier says where a request carries its credential. Exactly one, or the
// request is refused.
type Carrier uint8

const (
	// None: the request carries no credential. Verify refuses it.
	None Carrier = iota
	// InHeader: an Authorization header with an AWS4 algorithm.
	InHeader
	// InQuery: a presigned request.
	InQuery
	// Foreign: an Authorization header of another scheme (Bearer, Basic, the
	// older AWS) and nothing else. Verify refuses it; the caller may know the
	// scheme.
	Foreign
)

// Algorithm is a signing algorithm.
type Algorithm uint8

const (
	NoAlgorithm Algorithm = iota
	HMAC                  // AWS4-HMAC-SHA256, version 4
	ECDSA                 // AWS4-ECDSA-P256-SHA256, version 4A
)

const (
	nameHMAC   = "AWS4-HMAC-SHA256"
	nameECDSA  = "AWS4-ECDSA-P256-SHA256"
	terminator = "aws4_request"
)

// String returns the name that signatures carry.
func (a Algorithm) String() string {
	switch a {
	case HMAC:
		return nameHMAC
	case ECDSA:
		return nameECDSA
	}
	return ""
}

func algorithm(name string) Algorithm {
	switch name {
	case nameHMAC:
		return HMAC
	case nameECDSA:
		return ECDSA
	}
	return NoAlgorithm
}

// Scope is the credential scope without its terminator.
type Scope struct {
	Date    string // YYYYMMDD, UTC
	Region  string // empty with SigV4A, which names a region set instead
	Service string
}

// Presented is what a request claims. Nothing in it is proven before Verify.
// Its strings share the request's memory. Only Parse makes one that Verify
// takes.
type Presented struct {
	Carrier       Carrier
	Algorithm     Algorithm
	AccessKeyID   string
	Scope         Scope
	SignedHeaders string // lower case, sorted, joined with semicolons
	Signature     string // as sent
	SessionToken  string // X-Amz-Security-Token, or empty
	Time          time.Time
	// Expires is how long a presigned request says that it lives; 0 if it does
	// not say.
	Expires time.Duration
	// RegionSet is X-Amz-Region-Set: Regions and patterns, joined with commas.
	// SigV4A only.
	RegionSet string
	// PayloadHash is X-Amz-Content-Sha256 as sent: 64 hexadecimal digits,
	// UNSIGNED-PAYLOAD or a STREAMING- word. Empty if it was not sent.
	PayloadHash string
}

// Names of what a presigned request carries.
const (
	paramAlgorithm = "X-Amz-Algorithm"
	paramCred      = "X-Amz-Credential"
	paramDate      = "X-Amz-Date"
	paramExpires   = "X-Amz-Expires"
	paramSigned    = "X-Amz-SignedHeaders"
	paramSignature = "X-Amz-Signature"
	paramToken     = "X-Amz-Security-Token"
	paramRegionSet = "X-Amz-Region-Set"
	paramPayload   = "X-Amz-Content-Sha256"
)

// carried are the header lines that signing gives a meaning to, none of which
// may be repeated.
type carried struct {
	authorization, date, token, payload, regionSet, httpDate line
}

type line struct {
	value string
	found bool
}

func (l *line) take(h *Header, name string) error {
	if l.found {
		return repeatedHeader(name)
	}
	l.value, l.found = trimSpace(h.Value), true
	return nil
}

func (c *carried) read(headers []Header) error {
	for i := range headers {
		h := &headers[i]
		var err error
		switch len(h.Name) {
		case 4:
			if sameName(h.Name, "date") {
				// Only an unsigned Date may come twice; parseTime refuses
				// one that it needs.
				if c.httpDate.found {
					c.httpDate.value = ""
				} else {
					err = c.httpDate.take(h, "date")
				}
			} else if sameName(h.Name, "host") {
				err = incomplete("The host must be given once.")
			}
		case 10:
			if sameName(h.Name, "x-amz-date") {
				err = c.date.take(h, "x-amz-date")
			}
		case 13:
			if sameName(h.Name, "authorization") {
				err = c.authorization.take(h, "authorization")
			}
		case 16:
			if sameName(h.Name, "x-amz-region-set") {
				err = c.regionSet.take(h, "x-amz-region-set")
			}
		case 20:
			if sameName(h.Name, "x-amz-security-token") {
				err = c.token.take(h, "x-amz-security-token")
			} else if sameName(h.Name, "x-amz-content-sha256") {
				err = c.payload.take(h, "x-amz-content-sha256")
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Parse finds the one credential that a request carries and reads it. Errors
// are *Error, mostly IncompleteSignature. A request without a credential is no
// error: its Carrier is None.
//
// The body is not looked at. A caller that takes parameters from query and
// body refuses those that stand in both.
func Parse(r *Request) (Presented, error) {
	if err := r.wellFormed(); err != nil {
		return Presented{}, err
	}
	var c carried
	if err := c.read(r.Header); err != nil {
		return Presented{}, err
	}
	var q params
	if r.RawQuery != "" {
		if err := q.read(r.RawQuery); err != nil {
			return Presented{}, err
		}
	}
	switch {
	case c.authorization.found && q.carriesCredential:
		return Presented{}, incomplete("The request must carry its credential either in the Authorization header or in the query, not in both.")
	case q.carriesCredential:
		return parseQuery(&q, &c)
	case !c.authorization.found:
		return Presented{}, nil
	case strings.HasPrefix(c.authorization.value, "AWS4-"):
		return parseHeader(&c, &q)
	}
	return Presented{Carrier: Foreign}, nil
}

func parseHeader(c *carried, q *params) (Presented, error) {
	auth := c.authorization.value
	p := Presented{Carrier: InHeader, SessionToken: c.token.value, PayloadHash: c.payload.value, RegionSet: c.regionSet.value}
	if len(auth) > MaxAuthorization {
		return Presented{}, incomplete("The Authorization header is too long.")
	}
	if q.payload != "" || q.regionSet != "" {
		return Presented{}, incomplete("The signature is in the Authorization header, so '" + paramPayload + "' and '" + paramRegionSet + "' must be headers.")
	}
	name, rest, _ := strings.Cut(auth, " ")
	if p.Algorithm = algorithm(name); p.Algorithm == NoAlgorithm {
		return Presented{}, aboutHeader("Unsupported AWS 'algorithm' in the Authorization header.", auth)
	}
	credential, err := p.readAuthorization(rest, auth, c.date.found || c.httpDate.found)
	if err != nil {
		return Presented{}, err
	}
	if err := p.readTime(c); err != nil {
		return Presented{}, err
	}
	return p.finish(credential)
}

// readAuthorization reads the key=value list after the algorithm. AWS names
// everything that is missing at once.
func (p *Presented) readAuthorization(list, whole string, dated bool) (credential string, err error) {
	for list != "" {
		var item string
		item, list, _ = strings.Cut(list, ",")
		item = trimSpace(item)
		key, value, ok := strings.Cut(item, "=")
		if !ok {
			return "", aboutHeader("A part of the Authorization header is not a valid key=value pair (missing equal-sign).", whole)
		}
		var to *string
		switch key {
		case "Credential":
			to = &credential
		case "SignedHeaders":
			to = &p.SignedHeaders
		case "Signature":
			to = &p.Signature
		default:
			return "", aboutHeader("The Authorization header has an unknown parameter.", whole)
		}
		if *to != "" {
			return "", aboutHeader("A parameter of the Authorization header is repeated.", whole)
		}
		*to = value
	}
	if credential != "" && p.Signature != "" && p.SignedHeaders != "" && dated {
		return credential, nil
	}
	var missing []string
	for _, m := range []struct{ value, name string }{{credential, "Credential"}, {p.Signature, "Signature"}, {p.SignedHeaders, "SignedHeaders"}} {
		if m.value == "" {
			missing = append(missing, "Authorization header requires '"+m.name+"' parameter.")
		}
	}
	if !dated {
		missing = append(missing, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	return "", aboutHeader(strings.Join(missing, " "), whole)
}

// readTime takes the time from X-Amz-Date, else from Date.
func (p *Presented) readTime(c *carried) error {
	if c.date.found {
		t, ok := parseStamp(c.date.value)
		if !ok {
			return incomplete("Date must be in ISO-8601 'basic format', as in 20150830T123600Z.")
		}
		p.Time = t
		return nil
	}
	t, ok := parseStamp(c.httpDate.value)
	if !ok {
		var err error
		if t, err = http.ParseTime(c.httpDate.value); err != nil {
			return incomplete("The 'Date' header must be one valid HTTP date or ISO-8601 'basic format'.")
		}
	}
	p.Time = t.UTC()
	return nil
}

// finish checks what both carriers have in common.
func (p *Presented) finish(credential string) (Presented, error) {
	if err := p.readCredential(credential); err != nil {
		return Presented{}, err
	}
	if err := checkSignedHeaders(p.SignedHeaders); err != nil {
		return Presented{}, err
	}
	switch {
	case len(p.Signature) > 256 || !all(p.Signature, graphicByte):
		return Presented{}, incomplete("The signature is not valid.")
	case len(p.SessionToken) > MaxSessionToken || p.SessionToken != "" && !all(p.SessionToken, graphicByte):
		return Presented{}, incomplete("The security token is not valid.")
	case p.PayloadHash != "" && !validPayload(p.PayloadHash):
		return Presented{}, incomplete("The value of 'x-amz-content-sha256' is not valid.")
	case p.Algorithm == ECDSA && !validRegionSet(p.RegionSet):
		return Presented{}, incomplete("'X-Amz-Region-Set' must name one to 32 Regions.")
	case p.Algorithm == HMAC && p.RegionSet != "":
		return Presented{}, incomplete("'X-Amz-Region-Set' belongs to " + nameECDSA + ".")
	}
	return *p, nil
}

// readCredential splits keyid/date/region/service/aws4_request; SigV4A has no
// region in it.
func (p *Presented) readCredential(s string) error {
	form, want := "keyid/date/region/service/term", 5
	if p.Algorithm == ECDSA {
		form, want = "keyid/date/service/term", 4
	}
	if strings.Count(s, "/") != want-1 {
		return refusef(IncompleteSignature, "Credential has the wrong number of elements.",
			"Credential must have exactly %d slash-delimited elements, e.g. %s, got '%s'", want, form, visible(s))
	}
	var last string
	p.AccessKeyID, s, _ = strings.Cut(s, "/")
	p.Scope.Date, s, _ = strings.Cut(s, "/")
	if p.Algorithm == HMAC {
		p.Scope.Region, s, _ = strings.Cut(s, "/")
	}
	p.Scope.Service, last, _ = strings.Cut(s, "/")
	switch {
	case len(p.AccessKeyID) > 128 || !all(p.AccessKeyID, keyByte):
		return incomplete("The access key id in Credential is not valid.")
	case !isDate(p.Scope.Date):
		return incomplete("Credential must name a date as in 20150830.")
	case p.Algorithm == HMAC && (len(p.Scope.Region) > 64 || !all(p.Scope.Region, scopeByte)):
		return incomplete("Credential should be scoped to a valid region.")
	case len(p.Scope.Service) > 64 || !all(p.Scope.Service, scopeByte):
		return incomplete("Credential should be scoped to a valid service.")
	case last != terminator:
		return refusef(SignatureDoesNotMatch, "Credential has another terminator.",
			"Credential should be scoped with a valid terminator: '%s', not '%s'.", terminator, visible(last))
	}
	return nil
}

// checkSignedHeaders refuses a list that is not lower case, sorted and without
// repetition, so that one list has one spelling.
func checkSignedHeaders(list string) error {
	previous, n := "", 0
	for rest := list; ; {
		name, more, found := strings.Cut(rest, ";")
		if !isToken(name) || hasUpper(name) || name <= previous {
			return incomplete("SignedHeaders must be header names in lower case, sorted, each once, joined with semicolons.")
		}
		if n++; n > MaxSignedHeaders {
			return incomplete("SignedHeaders has too many names.")
		}
		if !found {
			return nil
		}
		previous, rest = name, more
	}
}

func hasUpper(s string) bool {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return true
		}
	}
	return false
}

// visible makes a client's text fit to be quoted in a message.
func visible(s string) string {
	if len(s) > 256 {
		s = s[:256]
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f {
			return '?'
		}
		return c
	}, s)
}
