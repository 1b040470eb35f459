package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// needy is a Region node's view as it would be found by code that needs what a
// data plane must not: somebody to follow, or a resolver. No release build has
// it.
func (r *Region) needy() func(context.Context) (*view.View, error) {
	return func(ctx context.Context) (*view.View, error) {
		if failpoint.On(failpoint.StopsWhenSilent) && r.replica.Silence(clock()) > 2*silentAfter {
			return nil, errors.New("nothing was heard for too long")
		}
		if failpoint.On(failpoint.NeedsDNS) {
			if _, err := net.DefaultResolver.LookupHost(ctx, "holdfast.example.com"); err != nil {
				return nil, err
			}
		}
		return r.view(), nil
	}
}

// unready answers nothing for a while, as a node would that takes connections
// before it has anything to serve.
func unready(h http.Handler) http.Handler {
	begun := clock()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if failpoint.On(failpoint.ServesUnready) && clock().Sub(begun) < 2*time.Second {
			http.Error(w, "not yet", http.StatusInternalServerError)
			return
		}
		h.ServeHTTP(w, r)
	})
}
