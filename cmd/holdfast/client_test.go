package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/iam"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/sts"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// credential is what a request is signed with; the zero value signs nothing.
type credential struct{ id, secret, token string }

// endpoint is one node's address, for requests that no SDK would send.
type endpoint struct {
	t      *testing.T
	d      *deploymentUnderTest
	base   string
	region string
	http   *http.Client
}

// reply is an answer as it came.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// code is the error code of a query-protocol answer, "" for none.
func (r *reply) code() string {
	var e struct {
		Code string `xml:"Error>Code"`
	}
	if r.status < 300 {
		return ""
	}
	_ = xml.Unmarshal(r.body, &e)
	if e.Code == "" {
		var j struct {
			Error struct{ Code string } `json:"error"`
		}
		_ = json.Unmarshal(r.body, &j)
		return j.Error.Code
	}
	return e.Code
}

func (d *deploymentUnderTest) addresses() local.Addresses {
	d.t.Helper()
	var a local.Addresses
	if err := local.Read(local.Layout{Dir: d.data}.AddressesFile(), &a); err != nil {
		d.t.Fatal(err)
	}
	return a
}

func (d *deploymentUnderTest) endpoint() *endpoint {
	return &endpoint{d.t, d, "http://" + d.addresses().Regions[0].API, "us-east-1", &http.Client{Timeout: 20 * time.Second}}
}

func (d *deploymentUnderTest) admin() credential {
	c, err := local.Layout{Dir: d.data}.Credentials("")
	if err != nil {
		d.t.Fatal(err)
	}
	return credential{id: c.AdminKeyID, secret: c.AdminSecret}
}

func (d *deploymentUnderTest) root() credential {
	c, err := local.Layout{Dir: d.data}.Credentials("")
	if err != nil {
		d.t.Fatal(err)
	}
	return credential{id: c.RootKeyID, secret: c.RootSecret}
}

// in is the endpoint for a subtest.
func (e *endpoint) in(t *testing.T) *endpoint {
	c := *e
	c.t = t
	return &c
}

// try calls an operation of the query protocol.
func (e *endpoint) try(c credential, service, version, action string, params url.Values) (*reply, error) {
	form := url.Values{"Action": {action}, "Version": {version}}
	for k, v := range params {
		form[k] = v
	}
	return e.send(c, service, "POST", "/", map[string]string{"Content-Type": "application/x-www-form-urlencoded", "amz-sdk-invocation-id": rand.Text()}, []byte(form.Encode()))
}

func (e *endpoint) iam(c credential, action string, params ...string) *reply {
	e.t.Helper()
	return e.must(e.try(c, "iam", "2010-05-08", action, values(params)))
}

func (e *endpoint) sts(c credential, action string, params ...string) *reply {
	e.t.Helper()
	return e.must(e.try(c, "sts", "2011-06-15", action, values(params)))
}

func (e *endpoint) must(r *reply, err error) *reply {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
	return r
}

// values makes parameters of name, value, name, value.
func values(list []string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(list); i += 2 {
		v.Set(list[i], list[i+1])
	}
	return v
}

// send signs and sends one request.
func (e *endpoint) send(c credential, service, method, target string, headers map[string]string, body []byte) (*reply, error) {
	r, err := http.NewRequest(method, e.base+target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	if c.id != "" {
		e.sign(c, service, r, body)
	}
	// On a busy machine a node may be behind what was answered: demand it.
	if seen := e.d.seen.Load(); seen != nil {
		r.Header.Set("X-Holdfast-Min-Revision", *seen)
	}
	res, err := e.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if revision := res.Header.Get("X-Holdfast-Revision"); revision != "" && res.Header.Get("X-Holdfast-Applied") != "" {
		e.d.seen.Store(&revision)
	}
	return &reply{res.StatusCode, res.Header, b}, err
}

func (e *endpoint) sign(c credential, service string, r *http.Request, body []byte) {
	e.t.Helper()
	path, query, _ := strings.Cut(r.URL.RequestURI(), "?")
	req := &sigv4.Request{Method: r.Method, RawPath: path, RawQuery: query, Host: r.URL.Host, Body: body}
	for k := range r.Header {
		req.Header = append(req.Header, sigv4.Header{Name: k, Value: r.Header.Get(k)})
	}
	if err := sigv4.Sign(req, c.id, c.secret, c.token, e.region, service, time.Now(), sigv4.Own); err != nil {
		e.t.Fatal(err)
	}
	for _, h := range req.Header {
		r.Header.Set(h.Name, h.Value)
	}
}

// asker is whose service shows requests: the administrator.
func (e *endpoint) asker() credential { return e.d.admin() }

// door asks a decision door with a JSON body.
func (e *endpoint) door(c credential, path string, body any) *reply {
	e.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		e.t.Fatal(err)
	}
	return e.must(e.send(c, "holdfast", "POST", path, map[string]string{"Content-Type": "application/json"}, b))
}

// between returns what stands between two texts in an answer.
func (r *reply) element(name string) string {
	_, rest, _ := strings.Cut(string(r.body), "<"+name+">")
	text, _, _ := strings.Cut(rest, "</"+name+">")
	return text
}

func (r *reply) credential() credential {
	return credential{r.element("AccessKeyId"), r.element("SecretAccessKey"), r.element("SessionToken")}
}

// newUser makes a user with a key and one inline policy ("" for none).
func (e *endpoint) newUser(admin credential, name, document string) credential {
	e.t.Helper()
	e.made(e.iam(admin, "CreateUser", "UserName", name))
	if document != "" {
		e.made(e.iam(admin, "PutUserPolicy", "UserName", name, "PolicyName", "p", "PolicyDocument", document))
	}
	return e.made(e.iam(admin, "CreateAccessKey", "UserName", name)).credential()
}

// newRole makes a role that its account may assume, with one inline policy.
func (e *endpoint) newRole(admin credential, name, document string) {
	e.t.Helper()
	e.made(e.iam(admin, "CreateRole", "RoleName", name, "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}}`))
	if document != "" {
		e.made(e.iam(admin, "PutRolePolicy", "RoleName", name, "PolicyName", "p", "PolicyDocument", document))
	}
}

func (e *endpoint) assume(c credential, role, session string, more ...string) *reply {
	e.t.Helper()
	return e.sts(c, "AssumeRole", append([]string{"RoleArn", "arn:aws:iam::111122223333:role/" + role, "RoleSessionName", session}, more...)...)
}

func (e *endpoint) made(r *reply) *reply {
	e.t.Helper()
	if r.status != 200 {
		e.t.Fatalf("%d %s", r.status, r.body)
	}
	return r
}

const allowAll = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`

// everyOperation is the table that both planes load.
func everyOperation() []*api.Op { return api.NewTable(iam.Ops(iam.Env{}), sts.Ops(sts.Env{})).All() }

// samples are values for members, by the name of their type, that are well
// formed and name nothing that exists.
var samples = map[string]string{
	"ARN": "arn:aws:iam::111122223333:policy/absent", "KeyID": "AKIAABSENTABSENT0000", "CredentialID": "ACCAABSENTABSENT0000", "PolicyText": allowAll,
	"Status": "Inactive", "VersionID": "v9", "MaxItems": "1", "SessionSeconds": "3600", "ServiceName": "holdfast.amazonaws.com",
	"Alias": "absent-alias", "TagKey": "k", "TagValue": "v", "ActionName": "s3:GetObject", "Description": "d", "RoleDescription": "d",
	"RoleARN": "arn:aws:iam::111122223333:role/absent", "Path": "/", "TokenVersion": "v1Token",
}

// wellFormed fills the required members of an operation's input. keyID is one of
// the caller's account.
func wellFormed(op *api.Op, keyID string) url.Values {
	v := url.Values{}
	fill(v, "", op.In)
	if _, named := op.In.FieldByName("UserName"); named {
		v.Set("UserName", "absent") // optional in places, where it means the caller
	}
	if strings.HasPrefix(op.Name, "GetAccessKey") {
		v.Set("AccessKeyId", keyID) // of a key that does not exist IAM says AccessDenied
	}
	if op.Name == "AssumeRole" {
		v.Set("RoleArn", "arn:aws:iam::111122223333:role/absent")
	}
	if strings.HasSuffix(op.Name, "ForPrincipalPolicy") || op.Name == "SimulatePrincipalPolicy" {
		v.Set("PolicySourceArn", "arn:aws:iam::111122223333:user/absent")
	}
	return v
}

func fill(v url.Values, prefix string, t reflect.Type) {
	for f := range t.Fields() {
		tag := f.Tag.Get("q")
		if f.Anonymous && tag == "" {
			fill(v, prefix, f.Type)
			continue
		}
		if !strings.Contains(tag, "required") {
			continue
		}
		name, kind := prefix+f.Name, f.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if kind.Kind() == reflect.Slice && kind.Elem().Kind() != reflect.Uint8 {
			name, kind = name+".member.1", kind.Elem()
		}
		if kind.Kind() == reflect.Struct {
			fill(v, name+".", kind)
			continue
		}
		v.Set(name, sample(kind))
	}
}

func sample(kind reflect.Type) string {
	if s, ok := samples[kind.Name()]; ok {
		return s
	}
	switch kind.Kind() {
	case reflect.Int, reflect.Int64:
		return "3600"
	case reflect.Bool:
		return "true"
	}
	return "absent"
}

// manyConnections keeps as many connections as there are clients.
func manyConnections(n int) *http.Transport { return &http.Transport{MaxIdleConnsPerHost: n} }

// serviceFor registers a service for which a user speaks.
func (d *deploymentUnderTest) serviceFor(user string) { d.service(user, "user/"+user) }

func (d *deploymentUnderTest) serviceForRole(role string) { d.service(role+"-role", "role/"+role) }

func (d *deploymentUnderTest) service(name, caller string) {
	d.t.Helper()
	out, err := exec.Command(d.bin, "--data", d.data, "service", "create", name+".example.com", "--caller", "arn:aws:iam::111122223333:"+caller,
		"--action", "storage:", "--resource", "arn:aws:storage:::*", "--account", "*", "--scope", "storage", "--host", "photos.example.com").CombinedOutput()
	if err != nil {
		d.t.Fatalf("%v %s", err, out)
	}
}

// signedFor is a client's request to a service, as the service shows it.
func (e *endpoint) signedFor(c credential, service, host string) map[string]any {
	e.t.Helper()
	req := &sigv4.Request{Method: "GET", RawPath: "/a", Host: host}
	if err := sigv4.Sign(req, c.id, c.secret, c.token, e.region, service, time.Now(), sigv4.Own); err != nil {
		e.t.Fatal(err)
	}
	var headers [][2]string
	for _, h := range req.Header {
		headers = append(headers, [2]string{h.Name, h.Value})
	}
	return map[string]any{"method": "GET", "target": "/a", "host": host, "headers": headers}
}
