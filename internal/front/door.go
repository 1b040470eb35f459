package front

import (
	"net/http"
	"strings"
)

// doors names the decision doors' paths, for the log and the metrics.
var doors = map[string]string{
	"/holdfast/v1/authorize": "authorize", "/holdfast/v1/authenticate": "authenticate", "/holdfast/v1/caller": "caller",
	"/access/v1/evaluation": "evaluation", "/access/v1/evaluations": "evaluations", "/.well-known/authzen-configuration": "metadata",
}

// isDoor says whether a path belongs to the decision doors.
func isDoor(path string) bool {
	return strings.HasPrefix(path, "/holdfast/v1/") || strings.HasPrefix(path, "/access/v1/") || path == "/.well-known/authzen-configuration"
}

// knock hands the request to the decision doors and sees how they answer.
func (q *request) knock() {
	if q.door = doors[q.r.URL.Path]; q.door == "" {
		q.door = "none"
	}
	w := &seen{ResponseWriter: q.w, status: http.StatusOK}
	q.h.Doors.ServeHTTP(w, q.r)
	q.status, q.code = w.status, w.Header().Get("X-Amzn-ErrorType")
}

// seen notes the status of an answer.
type seen struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (w *seen) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
