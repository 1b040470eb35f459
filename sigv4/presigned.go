package sigv4

import (
	"strings"
	"time"
)

// params are the parameters of the query that signing gives a meaning to,
// decoded.
type params struct {
	algorithm, credential, date, expires, signed, signature, token, regionSet, payload string
	// carriesCredential is set by any parameter that a header signature must
	// not stand beside.
	carriesCredential bool
}

// slot finds where a parameter belongs, by its decoded name.
func (q *params) slot(name string) *string {
	switch name {
	case paramAlgorithm:
		return &q.algorithm
	case paramCred:
		return &q.credential
	case paramDate:
		return &q.date
	case paramExpires:
		return &q.expires
	case paramSigned:
		return &q.signed
	case paramSignature:
		return &q.signature
	case paramToken:
		return &q.token
	case paramRegionSet:
		return &q.regionSet
	case paramPayload:
		return &q.payload
	}
	return nil
}

// authParams are the names that slot knows, for finding misspelt ones.
var authParams = [...]string{paramAlgorithm, paramCred, paramDate, paramExpires, paramSigned, paramSignature, paramToken, paramRegionSet, paramPayload}

// read collects the parameters. Each may stand once and has one spelling: a
// name in another case is refused, because somebody else may read it.
func (q *params) read(raw string) error {
	for n := 0; raw != ""; n++ {
		if n >= MaxParameters {
			return refuse(InvalidQueryParameter, "The query string has too many parameters.")
		}
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		name, value, _ := strings.Cut(pair, "=")
		if len(name) < len(paramDate) || !mayBeAuth(name) {
			continue
		}
		name, ok := unescape(name)
		if !ok {
			return malformedQuery()
		}
		to := q.slot(name)
		if to == nil {
			for _, known := range authParams {
				if strings.EqualFold(name, known) {
					return refuse(InvalidQueryParameter, "The query parameter '"+known+"' is misspelt.")
				}
			}
			continue
		}
		value, ok = unescape(value)
		if !ok {
			return malformedQuery()
		}
		if *to != "" {
			return refuse(InvalidQueryParameter, "The query parameter '"+name+"' must not be repeated.")
		}
		if value == "" {
			return refuse(InvalidQueryParameter, "The query parameter '"+name+"' must not be empty.")
		}
		*to = value
		q.carriesCredential = q.carriesCredential || to != &q.regionSet && to != &q.payload
	}
	return nil
}

// mayBeAuth is a cheap first look: an authentication parameter begins with
// x-amz- in some case, or hides behind an escape.
func mayBeAuth(name string) bool {
	return strings.IndexByte(name, '%') >= 0 || sameName(name[:6], "x-amz-")
}

func malformedQuery() *Error {
	return refuse(InvalidQueryParameter, "The query string is malformed.")
}

func parseQuery(q *params, c *carried) (Presented, error) {
	if c.token.found || c.regionSet.found || c.payload.found && q.payload != "" {
		return Presented{}, incomplete("A presigned request must carry its security token, region set and payload hash in the query alone.")
	}
	var missing []string
	for _, m := range []struct{ value, name string }{
		{q.algorithm, paramAlgorithm}, {q.credential, paramCred}, {q.signature, paramSignature},
		{q.signed, paramSigned}, {q.date, paramDate},
	} {
		if m.value == "" {
			missing = append(missing, "AWS query-string parameters must include '"+m.name+"'.")
		}
	}
	if missing != nil {
		return Presented{}, incomplete(strings.Join(missing, " ") + " Re-examine the query-string parameters.")
	}
	p := Presented{Carrier: InQuery, Algorithm: algorithm(q.algorithm), SignedHeaders: q.signed, Signature: q.signature,
		SessionToken: q.token, RegionSet: q.regionSet, PayloadHash: q.payload}
	if p.PayloadHash == "" {
		p.PayloadHash = c.payload.value
	}
	if p.Algorithm == NoAlgorithm {
		return Presented{}, incomplete("Unsupported AWS 'algorithm' in the query.")
	}
	var ok bool
	if p.Time, ok = parseStamp(q.date); !ok {
		return Presented{}, incomplete("X-Amz-Date must be in ISO-8601 'basic format', as in 20150830T123600Z.")
	}
	if q.expires != "" {
		if p.Expires, ok = parseExpires(q.expires); !ok {
			return Presented{}, incomplete("X-Amz-Expires must be a number of seconds from 1 to 604800.")
		}
	}
	return p.finish(q.credential)
}

// parseExpires reads 1 to 604800 seconds, without sign or leading zero.
func parseExpires(s string) (time.Duration, bool) {
	if len(s) > 6 || s[0] == '0' {
		return 0, false
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return time.Duration(n) * time.Second, n <= 604800
}
