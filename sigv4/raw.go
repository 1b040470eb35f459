package sigv4

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// MaxRaw is how long a raw request may be, in bytes.
const MaxRaw = 16 << 20

// malformedInput is the code of input that is no HTTP request.
const malformedInput = "MalformedInput"

// RawOptions says how a raw request is to be verified.
type RawOptions struct {
	AccessKeyID, SecretAccessKey string
	// SessionToken must be the request's, if it is not empty. If it is, any is
	// accepted.
	SessionToken    string
	Region, Service string
	Now             time.Time
	// KeepPath leaves dot segments and repeated slashes in the path. Services
	// whose name begins with s3 keep them anyway.
	KeepPath bool
	// V4A verifies SigV4A, with the public key that the secret derives.
	V4A bool
}

// Result is the answer of VerifyRaw. Its JSON form is a contract of the
// command.
type Result struct {
	OK bool `json:"ok"`
	// Code is empty when OK, else AWS's code.
	Code string `json:"code"`
	// CanonicalRequest is what the request should have signed, whenever it can
	// be computed.
	CanonicalRequest string `json:"canonicalRequest"`
	// Message and StringToSign are for people.
	Message      string `json:"-"`
	StringToSign string `json:"-"`
}

// VerifyRaw verifies one raw HTTP/1.1 request: why does a signature fail. It
// is more lenient than a service where that cannot make a wrong signature
// right: lines may end in LF, the version may be missing, header lines may be
// folded, targets may hold raw spaces, and x-amz- headers may be unsigned.
// Without a Content-Length the rest of the input is the body. The chunks of a
// chunked body are verified too.
func VerifyRaw(raw []byte, o RawOptions) Result {
	r, err := readRaw(raw)
	if err != nil {
		return failed(err, Result{})
	}
	p, err := Parse(r)
	if err != nil {
		return failed(err, Result{})
	}
	prof := rawProfile(&o)
	var res Result
	res.CanonicalRequest, res.StringToSign = explain(&p, r, &prof)
	if err := verifyRaw(&p, r, &o, prof); err != nil {
		return failed(err, res)
	}
	res.OK = true
	return res
}

func rawProfile(o *RawOptions) Profile {
	if strings.HasPrefix(o.Service, "s3") {
		p := S3Store
		p.DeferredBody, p.UnsignedHeaders = false, true
		return p
	}
	return Profile{Accepts: true, RawPath: o.KeepPath, UnsignedHeaders: true, RepeatedParameters: true, MaxExpires: 7 * 24 * time.Hour}
}

func verifyRaw(p *Presented, r *Request, o *RawOptions, prof Profile) error {
	if p.Carrier != InHeader && p.Carrier != InQuery {
		return refuse(MissingAuthenticationToken, "Request is missing Authentication Token")
	}
	tokens := o.SessionToken == "" || subtle.ConstantTimeCompare([]byte(o.SessionToken), []byte(p.SessionToken)) == 1
	if p.AccessKeyID != o.AccessKeyID || !tokens {
		return refuse(InvalidClientTokenId, "The security token included in the request is invalid.")
	}
	if err := CheckScope(p, o.Service, o.Region); err != nil {
		return err
	}
	chunked := strings.HasPrefix(p.PayloadHash, streaming)
	var chunks *ChunkReader
	if o.V4A {
		key, err := DeriveECDSA(o.AccessKeyID, o.SecretAccessKey)
		if err != nil {
			return refuse(InvalidClientTokenId, "The security token included in the request is invalid.")
		}
		if !chunked {
			return VerifyPublic(p, r, &key.PublicKey, o.Now, prof)
		}
		if chunks, err = OpenChunksPublic(bytes.NewReader(r.Body), p, r, &key.PublicKey, o.Now, prof); err != nil {
			return err
		}
	} else {
		key := DeriveKey(o.SecretAccessKey, p.Scope)
		if !chunked {
			return Verify(p, r, &key, o.Now, prof)
		}
		var err error
		if chunks, err = OpenChunks(bytes.NewReader(r.Body), p, r, &key, o.Now, prof); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, chunks)
	return err
}

// explain computes what should have been signed, whatever else is wrong.
func explain(p *Presented, r *Request, prof *Profile) (canonical, toSign string) {
	if p.Carrier != InHeader && p.Carrier != InQuery {
		return "", ""
	}
	s := takeScratch()
	defer s.giveBack()
	if err := s.canonical(r, p.SignedHeaders, prof); err != nil {
		return "", ""
	}
	switch {
	case p.PayloadHash == UnsignedPayload || strings.HasPrefix(p.PayloadHash, streaming):
		s.out = append(s.out, p.PayloadHash...)
	case p.PayloadHash == "" && p.Carrier == InQuery && prof.UnsignedPayload:
		s.out = append(s.out, UnsignedPayload...)
	default:
		s.out = append(s.out, r.bodyHash()...)
	}
	digest := sha256.Sum256(s.out)
	return string(s.out), string(appendStringToSign(nil, p, &digest))
}

func failed(err error, res Result) Result {
	var e *Error
	if !errors.As(err, &e) {
		e = refuse(malformedInput, err.Error())
	}
	res.OK, res.Code, res.Message = false, e.Code, e.Message
	if e.CanonicalRequest != "" {
		res.CanonicalRequest = e.CanonicalRequest
	}
	if e.StringToSign != "" {
		res.StringToSign = e.StringToSign
	}
	return res
}

func badInput(message string) *Error { return refuse(malformedInput, message) }

// readRaw takes a raw request apart.
func readRaw(raw []byte) (*Request, error) {
	if len(raw) > MaxRaw {
		return nil, badInput("The input is too long.")
	}
	first, rest := nextLine(raw)
	method, target, ok := strings.Cut(first, " ")
	if !ok {
		return nil, badInput("The first line must be a request line, as in GET / HTTP/1.1.")
	}
	if i := strings.LastIndex(target, " HTTP/"); i >= 0 {
		target = target[:i]
	}
	r := &Request{Method: method}
	r.RawPath, r.RawQuery = splitTarget(target)
	body, err := r.readHeaders(rest)
	if err != nil {
		return nil, err
	}
	return r, r.takeBody(body)
}

// nextLine cuts a line that ends in LF or CRLF.
func nextLine(b []byte) (string, []byte) {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	return string(bytes.TrimSuffix(line, []byte("\r"))), rest
}

func (r *Request) readHeaders(b []byte) (body []byte, err error) {
	host, lines := false, 0
	for len(b) > 0 {
		var line string
		if line, b = nextLine(b); line == "" {
			break
		}
		if lines++; lines > 4*MaxHeaders {
			return nil, badInput("The request has too many header lines.")
		}
		if line[0] == ' ' || line[0] == '\t' {
			if len(r.Header) == 0 {
				return nil, badInput("The first header line is folded.")
			}
			last := &r.Header[len(r.Header)-1]
			last.Value += " " + trimSpace(line)
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return nil, badInput("A header line has no name and colon.")
		}
		if sameName(name, "host") {
			if host {
				return nil, badInput("The host must be given once.")
			}
			host, r.Host = true, trimSpace(value)
			continue
		}
		if len(r.Header) >= MaxHeaders {
			return nil, badInput("The request has too many headers.")
		}
		r.Header = append(r.Header, Header{name, value})
	}
	if !host {
		return nil, badInput("The request has no Host header.")
	}
	return b, nil
}

// takeBody takes Content-Length bytes, or everything. Line ends that an editor
// left behind are no body.
func (r *Request) takeBody(b []byte) error {
	if _, found, _ := r.only("transfer-encoding"); found {
		return badInput("A body with Transfer-Encoding is not read; give it with Content-Length.")
	}
	length, found, err := r.only("content-length")
	if err != nil {
		return err
	}
	blank := len(bytes.Trim(b, "\r\n")) == 0
	if !found {
		if !blank {
			r.Body = b
		}
		return nil
	}
	n, err := strconv.ParseUint(length, 10, 32)
	if err != nil || uint64(len(b)) < n {
		return badInput("The body is shorter than its Content-Length says.")
	}
	if len(bytes.Trim(b[n:], "\r\n")) != 0 {
		return badInput("The body is longer than its Content-Length says.")
	}
	r.Body = b[:n]
	return nil
}
