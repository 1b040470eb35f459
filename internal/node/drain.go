package node

import (
	"net"
	"net/http"
)

// ending has a node that was asked to end say so before it stops to listen, so
// that balancers send it nothing new while what it has is answered.
func ending(status func() Status, asked <-chan struct{}) func() Status {
	return func() Status {
		s := status()
		select {
		case <-asked:
			s.Ready, s.Why = false, "it is ending"
		default:
		}
		return s
	}
}

// leaving has clients of a node that was asked to end, or leaves requests to
// others, take another connection for their next request: one that is idle when
// the node ends is cut, and what is sent on it at that moment fails.
func leaving(next http.Handler, asked <-chan struct{}, l net.Listener) http.Handler {
	shared, _ := l.(*yielding)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-asked:
			w.Header().Set("Connection", "close")
		default:
			if shared != nil && shared.Away.Load() {
				w.Header().Set("Connection", "close")
			}
		}
		next.ServeHTTP(w, r)
	})
}
