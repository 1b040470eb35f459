package front

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/admission"
	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// readOnly is the transaction of a read: it refuses every write.
type readOnly struct{ record.Reader }

func (readOnly) Put(e *record.Entry, _ []byte) error {
	return fault.InternalFailure.Errorf("a read operation tried to write %s", e.Key.Kind())
}
func (readOnly) Delete(record.Key) { panic("front: a read operation tried to delete") }

// answerRead runs a read, or a Region's own operation, on the request's view.
func (q *request) answerRead(in any) error {
	c := q.call(readOnly{q.view}, q.start)
	rand.Read(c.Seed[:])
	if err := q.prepare(c, in); err != nil {
		return err
	}
	out, err := q.perform(c, in)
	if err != nil {
		return err
	}
	q.answer(out, 0)
	return nil
}

func (q *request) prepare(c *api.Call, in any) error {
	if q.op.Prepare == nil {
		return nil
	}
	made, err := q.op.Prepare(c, in)
	c.Made = made
	return err
}

// perform is the part of a call that runs on one state: kind of session,
// authorization, body.
func (q *request) perform(c *api.Call, in any) (any, error) {
	if err := q.permit(c, in); err != nil {
		return nil, err
	}
	return q.op.Run(c, in)
}

// permit says whether the caller may do this: first what its kind of session
// may do at all, then its policies.
func (q *request) permit(c *api.Call, in any) error {
	if q.op.Unsigned {
		return nil // its body checks the token that it is given
	}
	if err := authn.Allowed(c.Caller, q.op.Service, q.op.Name); err != nil {
		return err
	}
	if q.op.Open {
		return nil
	}
	list, err := q.op.Access(c, in)
	if err != nil {
		return err
	}
	if err := q.freshFor(c, list); err != nil {
		return err
	}
	for i := range list {
		if err := q.check(c, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

// freshFor refuses what an account, the caller's or that of what is asked for, wants
// answered from a younger view. A change is judged at the newest there is.
func (q *request) freshFor(c *api.Call, list []api.Access) error {
	age := q.h.Age(q.h.Now())
	if q.op.Effect == api.Write || age <= authz.LeastWithin {
		return nil
	}
	for i := range list {
		question := q.question(c, &list[i])
		err := authz.Fresh(q.view, c.Account, question.Action, age)
		if err == nil && question.Account != c.Account {
			err = authz.Fresh(q.view, question.Account, question.Action, age)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (q *request) check(c *api.Call, a *api.Access) error {
	question := q.question(c, a)
	return q.h.Authorizer.Check(c.Tx, &question)
}

func (q *request) question(c *api.Call, a *api.Access) authz.Question {
	question := authz.Question{Caller: c.Caller, Action: a.Action, Resource: a.Resource, Account: a.Account,
		Context: a.Context, Trust: a.Trust, Source: c.Source, Secure: c.Secure, Agent: c.Agent, Region: c.Region, Now: c.Now}
	if question.Action == "" {
		question.Action = q.op.Action()
	}
	if question.Account == "" {
		question.Account = c.Account
	}
	return question
}

// write has the sequencer run the call. What goes out is what was committed.
func (q *request) write(in any) error {
	first := q.call(readOnly{q.view}, q.start)
	rand.Read(first.Seed[:])
	if err := q.prepare(first, in); err != nil {
		return err
	}
	q.place.Leave() // to wait for a commit is no work
	change, err := q.h.Changes.Enter(q.r.Context(), admission.Change, q.r.RemoteAddr, q.caller.KeyID)
	if err != nil {
		return throttled()
	}
	change.Proven(q.caller.Account)
	defer change.Leave()
	var out any
	id := q.callID()
	status, _ := q.form.Get("Status")
	w := &Write{
		CallID: id, Account: first.Account, Reduces: reduces(q.op.Name, status), Insist: q.insist,
		Admit: func(r record.Reader, _ time.Time) error { // the commit's may be of a clock that was ahead once
			return q.h.Verifier.Standing(r, q.caller, q.h.Now())
		},
		Apply: func(tx record.Tx, now time.Time, _ uint64) ([]byte, error) {
			c := q.call(tx, now)
			c.Seed, c.Made = first.Seed, first.Made
			var err error
			if c.Caller, err = q.caller.At(tx); err != nil { // its policies as this commit has them
				return nil, err
			}
			if out, err = q.perform(c, in); err != nil {
				return nil, err
			}
			return q.private(tx, id, out)
		},
	}
	o := q.h.Commit(q.r.Context(), w)
	if o.Moved { // since it was asked who sequences
		if answered, err := q.relay(); answered || err != nil {
			return err
		}
		if !q.insist { // it was handed on to this node: once is enough
			return Unavailable("another node takes changes now")
		}
		w.Insist = true
		o = q.h.Commit(q.r.Context(), w)
	}
	if o.Err != nil {
		return o.Err
	}
	if o.Replayed {
		var err error
		if out, err = q.replay(id, o.Private); err != nil {
			return err
		}
	}
	change.Leave()
	q.w.Header().Set(HeaderApplied, applied(o.Missing))
	q.answer(out, o.Index)
	return nil
}

// private makes the log record's private part: the audit of this call, and its
// answer, sealed.
func (q *request) private(tx record.Tx, id string, out any) ([]byte, error) {
	plain, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	sealed, err := q.h.Verifier.Ring.SealAnswer(tx, q.caller.Account, id, plain)
	if err != nil {
		return nil, err
	}
	return json.Marshal(record.Private{Caller: q.caller.ARN, Operation: q.name(), Request: q.redacted(),
		RequestID: q.id, Source: hostOnly(q.r.RemoteAddr), Answer: sealed})
}

// replay reads the answer that the log keeps for this call id.
func (q *request) replay(id string, private []byte) (any, error) {
	var p record.Private
	if err := json.Unmarshal(private, &p); err != nil {
		return nil, err
	}
	plain, err := q.h.Verifier.Ring.OpenAnswer(q.view, q.caller.Account, id, p.Answer)
	if err != nil {
		return nil, err
	}
	out := reflect.New(q.op.Out).Interface()
	return out, json.Unmarshal(plain, out)
}

// callID names this call so that its repetition is recognised: credential and
// the SDK's invocation id, or without one the signature, and the body.
func (q *request) callID() string {
	h := sha256.New()
	part := func(s string) {
		n := len(s)
		h.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		h.Write([]byte(s))
	}
	part(q.caller.KeyID)
	if id := q.r.Header.Get("Amz-Sdk-Invocation-Id"); id != "" {
		part("invocation")
		part(id)
	} else if q.shown.Algorithm == sigv4.ECDSA { // whose signatures anybody can spell in two ways
		part("time")
		part(q.shown.Time.String())
	} else {
		part("signature")
		part(q.shown.Signature)
	}
	part(q.r.URL.RawQuery)
	part(string(q.body))
	return hex.EncodeToString(h.Sum(nil))
}

// redacted is the request as the audit keeps it: the form without what is
// secret. IAM's inputs hold few secrets; those whose names say so are dropped.
func (q *request) redacted() json.RawMessage {
	kept := map[string]string{}
	q.form.Each(func(name, value string) {
		if secretParameter(name) {
			value = "…"
		}
		kept[name] = value
	})
	b, _ := json.Marshal(kept) // strings alone: cannot fail
	return b
}

func secretParameter(name string) bool {
	for _, word := range []string{"Password", "Secret", "PrivateKey", "Token", "Seed", "Signature", "AuthenticationCode"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// reduces says whether a call takes something away, by its verb or because it
// deactivates a credential: such calls may use the reserved tenth of the store.
func reduces(name, status string) bool {
	for _, verb := range []string{"Delete", "Detach", "Remove", "Untag", "Deactivate"} {
		if strings.HasPrefix(name, verb) {
			return true
		}
	}
	return strings.HasPrefix(name, "Update") && status == "Inactive"
}

// relayTimeout bounds a relayed write: the control plane's bound for the
// in-sync set and a queue.
const relayTimeout = 10 * time.Second

// relay hands the write as it came, unverified, to the node that commits it, and
// its answer back as it is. False: it is to be run here.
func (q *request) relay() (answered bool, err error) {
	change, err := q.h.Changes.Enter(q.r.Context(), admission.Change, q.r.RemoteAddr, q.shown.AccessKeyID)
	if err != nil {
		return false, throttled()
	}
	defer change.Leave()
	m := &Relayed{Method: q.r.Method, Target: q.r.RequestURI, Host: q.r.Host, Body: q.body,
		Source: q.r.RemoteAddr, Secure: q.r.TLS != nil, Arrived: q.start}
	for name, values := range q.r.Header {
		for _, v := range values {
			m.Header = append(m.Header, [2]string{name, v})
		}
	}
	ctx, cancel := context.WithTimeout(q.r.Context(), relayTimeout)
	defer cancel()
	reply, err := q.h.Relay(ctx, m)
	if err != nil {
		return false, err
	}
	if reply.Here {
		q.insist = reply.Insist
		return false, nil
	}
	change.Leave()
	for _, kv := range reply.Header {
		q.w.Header()[kv[0]] = []string{kv[1]}
	}
	q.send(reply.Status, reply.Body)
	return true, nil
}
