package sigv4

import (
	"net/http"
	"strconv"
	"strings"
)

// FromHTTP takes from a server's or client's request what a signature covers.
// The body is given beside it, because reading it is the caller's to limit.
//
// Content-Length is taken from the request where the header map lacks it: some
// clients sign it.
func FromHTTP(r *http.Request, body []byte) Request {
	q := Request{Method: r.Method, Host: r.Host, Body: body}
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	if q.Host == "" && r.URL != nil {
		q.Host = r.URL.Host
	}
	q.RawPath, q.RawQuery = target(r)
	n := 1
	for _, values := range r.Header {
		n += len(values)
	}
	q.Header = make([]Header, 0, n)
	length := false
	for name, values := range r.Header {
		length = length || sameName(name, "content-length")
		for _, v := range values {
			q.Header = append(q.Header, Header{name, v})
		}
	}
	if !length && r.ContentLength > 0 {
		q.Header = append(q.Header, Header{"Content-Length", strconv.FormatInt(r.ContentLength, 10)})
	}
	return q
}

// target finds path and query as they were sent. Only a server's request still
// has the line; a client's is what URL will make of it.
func target(r *http.Request) (path, query string) {
	switch {
	case r.RequestURI != "":
		return splitTarget(r.RequestURI)
	case r.URL == nil:
		return "", ""
	case r.URL.Opaque != "":
		_, opaque, _ := strings.Cut(strings.TrimPrefix(r.URL.Opaque, "//"), "/")
		return "/" + opaque, r.URL.RawQuery
	}
	return r.URL.EscapedPath(), r.URL.RawQuery
}

// splitTarget takes a request target apart, also in its absolute form (RFC
// 9112, section 3.2.2).
func splitTarget(t string) (path, query string) {
	if t != "" && t[0] != '/' {
		if _, rest, ok := strings.Cut(t, "://"); ok {
			t = ""
			if i := strings.IndexAny(rest, "/?"); i >= 0 {
				t = rest[i:]
			}
		}
	}
	path, query, _ = strings.Cut(t, "?")
	return path, query
}
