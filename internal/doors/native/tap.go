package native

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/tap"

	"github.com/holdfast-iam/holdfast/internal/doors/native/nativepb"
)

// A message of a call is read before the call comes to anybody: a mebibyte each, as
// many as there are calls, for as long as their sender likes. So who calls is looked
// at when the headers have come. What shows no credential of a registered service is
// refused there, but for streams that may open with a signed caller, and keys that a
// newer view may know: few of these wait at once, and not for long.
const (
	maxUnproven  = 64
	provenWithin = 5 * time.Second
)

// tap looks at a call's headers.
func (s *server) tap(ctx context.Context, call *tap.Info) (context.Context, error) {
	err := s.shows(ctx, call.Header)
	switch {
	case err == nil:
		return ctx, nil
	case len(call.Header.Get("authorization")) == 0 && call.FullMethodName == nativepb.Decisions_AuthorizeStream_FullMethodName, s.wants(err) > 0:
		if ctx, err = s.unproven(ctx); err == nil {
			return ctx, nil
		}
	}
	if err = failed(err); s.Turned != nil && methods[call.FullMethodName] {
		s.Turned(call.FullMethodName, err)
	}
	return nil, err
}

// methods are those that there are: the names of others are a stranger's to choose.
var methods = map[string]bool{nativepb.Decisions_Authenticate_FullMethodName: true, nativepb.Decisions_Authorize_FullMethodName: true,
	nativepb.Decisions_AuthorizeBatch_FullMethodName: true, nativepb.Decisions_AuthorizeStream_FullMethodName: true}

// shows says whether headers show a credential of a registered service.
func (s *server) shows(ctx context.Context, md metadata.MD) error {
	v, err := s.View(ctx)
	if err != nil {
		return err
	}
	c, err := s.bearerIn(md, v)
	if err == nil {
		_, err = serviceOf(v, callerARN(c))
	}
	return err
}

// provenKey holds what a call does once its caller has proven itself.
type provenKey struct{}

// unproven counts a call among those that have proven nothing, until it has or it
// ends: after a while it is ended.
func (s *server) unproven(ctx context.Context) (context.Context, error) {
	if s.strangers.Add(1) > maxUnproven {
		s.strangers.Add(-1)
		return nil, throttled()
	}
	ctx, end := context.WithCancel(ctx)
	late := time.AfterFunc(provenWithin, end)
	var once atomic.Bool
	leave := func() {
		if once.CompareAndSwap(false, true) {
			late.Stop()
			s.strangers.Add(-1)
		}
	}
	context.AfterFunc(ctx, leave)
	return context.WithValue(ctx, provenKey{}, leave), nil
}

// proven says that a call's caller has proven itself.
func proven(ctx context.Context) {
	if leave, ok := ctx.Value(provenKey{}).(func()); ok {
		leave()
	}
}
