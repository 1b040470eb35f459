package node

import "net/http"

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

// leaving has clients of a node that was asked to end take another connection for
// their next request: one that is idle when the node ends is cut, and what is sent
// on it at that moment fails.
func leaving(next http.Handler, asked <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-asked:
			w.Header().Set("Connection", "close")
		default:
		}
		next.ServeHTTP(w, r)
	})
}
