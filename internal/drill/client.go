package drill

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/sigv4"
)

// Credential is what a request is signed with; the zero value signs nothing.
type Credential struct{ ID, Secret, Token string }

// Client asks one address. It does not retry.
type Client struct {
	Base   string // http://HOST:PORT
	Region string
	HTTP   *http.Client
	Now    func() time.Time
}

// idleConnection is for how long a connection is kept that nothing is sent on, as
// the AWS SDK for Go does: shorter than the servers' two minutes, or a request that
// is sent in the moment in which the server closes it counts as a failure.
const idleConnection = 90 * time.Second

// NewClient is a client with connections of its own.
func NewClient(address, region string, now func() time.Time) *Client {
	return &Client{Base: "http://" + address, Region: region, Now: now,
		HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: idleConnection}}} // no proxy: loopback
}

// Answer is an answer as it came.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// Code is the error code of an answer, "" for none.
func (a *Answer) Code() string {
	if a.Status < 300 {
		return ""
	}
	var x struct {
		Code string `xml:"Error>Code"`
	}
	if xml.Unmarshal(a.Body, &x); x.Code != "" {
		return x.Code
	}
	var j struct {
		Error struct{ Code string } `json:"error"`
	}
	_ = json.Unmarshal(a.Body, &j) // without a code there is none
	return j.Error.Code
}

// Element is the text of the first element of a name.
func (a *Answer) Element(name string) string {
	_, rest, _ := strings.Cut(string(a.Body), "<"+name+">")
	text, _, _ := strings.Cut(rest, "</"+name+">")
	return text
}

// Elements are the texts of all elements of a name.
func (a *Answer) Elements(name string) (all []string) {
	for _, part := range strings.Split(string(a.Body), "<"+name+">")[1:] {
		text, _, _ := strings.Cut(part, "</"+name+">")
		all = append(all, text)
	}
	return all
}

// Credential is the one that an answer tells.
func (a *Answer) Credential() Credential {
	return Credential{a.Element("AccessKeyId"), a.Element("SecretAccessKey"), a.Element("SessionToken")}
}

// Revision is the revision that answered.
func (a *Answer) Revision() string { return a.Header.Get("X-Holdfast-Revision") }

var versions = map[string]string{"iam": "2010-05-08", "sts": "2011-06-15"}

// Call calls an operation of the query protocol with name, value, name, value.
// As SDKs do, it names each call: two equal ones of one second would have one
// signature, and the second the answer of the first.
func (c *Client) Call(ctx context.Context, who Credential, service, action string, params ...string) (*Answer, error) {
	return c.CallAs(ctx, rand.Text(), who, service, action, params...)
}

// CallAs is Call with an SDK's invocation id, under which it is done once.
func (c *Client) CallAs(ctx context.Context, invocation string, who Credential, service, action string, params ...string) (*Answer, error) {
	form := url.Values{"Action": {action}, "Version": {versions[service]}}
	for i := 0; i+1 < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	headers := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	headers["Amz-Sdk-Invocation-Id"] = invocation
	return c.Send(ctx, who, service, "POST", "/", headers, []byte(form.Encode()))
}

// Send signs and sends one request.
func (c *Client) Send(ctx context.Context, who Credential, service, method, target string, headers map[string]string, body []byte) (*Answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.Base+target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	if who.ID != "" {
		if err := c.sign(r, who, service, body); err != nil {
			return nil, err
		}
	}
	res, err := c.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return &Answer{res.StatusCode, res.Header, b}, err
}

func (c *Client) sign(r *http.Request, who Credential, service string, body []byte) error {
	path, query, _ := strings.Cut(r.URL.RequestURI(), "?")
	q := &sigv4.Request{Method: r.Method, RawPath: path, RawQuery: query, Host: r.URL.Host, Body: body}
	for k := range r.Header {
		q.Header = append(q.Header, sigv4.Header{Name: k, Value: r.Header.Get(k)})
	}
	if err := sigv4.Sign(q, who.ID, who.Secret, who.Token, c.Region, service, c.Now(), sigv4.Own); err != nil {
		return err
	}
	for _, h := range q.Header {
		r.Header.Set(h.Name, h.Value)
	}
	return nil
}
