package front

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/wire"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// route finds the row that the request means. The signals are the credential
// scope, X-Amz-Target, Action with Version, and the host; two that disagree
// are refused (DESIGN §7).
func (q *request) route() error {
	scope := q.shown.Scope.Service
	served := scope == "" || q.h.Operations.serves(scope)
	if !served {
		return fault.InvalidAction.Errorf("The service %s is not served here; this endpoint serves iam and sts.", printable(scope))
	}
	if q.r.Header.Get("X-Amz-Target") != "" {
		return fault.InvalidAction.Errorf("No service that is called with X-Amz-Target is served here; iam and sts take the query protocol.")
	}
	if q.r.URL.Path != "/" && q.r.URL.Path != "" {
		return fault.InvalidAction.Errorf("There is nothing at the path %s.", printable(q.r.URL.Path))
	}
	if err := q.parseForm(); err != nil {
		return err
	}
	return q.findRow(scope)
}

func (q *request) parseForm() error {
	body := q.body
	switch {
	case q.r.Method != http.MethodPost && q.r.Method != http.MethodGet:
		return fault.InvalidAction.Errorf("The method %s is not supported; use POST or GET.", printable(q.r.Method))
	case len(body) > 0 && !wire.IsForm(q.r.Header.Get("Content-Type")):
		return fault.MalformedInput.Errorf("The request body must be application/x-www-form-urlencoded.")
	}
	form, err := wire.ParseForm(q.r.URL.RawQuery, body, MaxBody)
	q.form = form
	return err
}

func (q *request) findRow(scope string) error {
	action, ok := q.form.Get("Action")
	if !ok || action == "" {
		return fault.MissingAction.Errorf("The request is missing an action or a required parameter.")
	}
	version, _ := q.form.Get("Version")
	op := q.h.Operations.table.Find(version, action)
	if op == nil && q.h.Operations.table.Unbuilt(version, action) {
		return fault.NotImplemented.Errorf("%s is not built in this release.", action)
	}
	if op == nil {
		return fault.InvalidAction.Errorf("Could not find operation %s for version %s", printable(action), printable(orNone(version)))
	}
	if host := serviceOfHost(q.r.Host); host != "" && host != op.Service {
		return fault.InvalidAction.Errorf("Could not find operation %s for version %s at the host of %s.", op.Name, op.Version, host)
	}
	if scope != "" && scope != op.Service {
		return fault.SignatureDoesNotMatch.Errorf("Credential should be scoped to correct service: '%s'. ", op.Service)
	}
	if scope == "" && !op.Unsigned {
		return fault.MissingAuthenticationToken.Errorf("Request is missing Authentication Token")
	}
	q.op = op
	if q.shown.Carrier == sigv4.InQuery && op.Effect != api.Read && op.Name != "GetCallerIdentity" {
		return fault.AccessDenied.Errorf("A presigned request may only read: sign %s in the Authorization header.", op.Name)
	}
	return nil
}

// serviceOfHost reads iam.*, sts.* and sts.<region>.* from a host name; "" when
// the host names no service.
func serviceOfHost(host string) string {
	first, rest, ok := strings.Cut(host, ".")
	if !ok || rest == "" {
		return ""
	}
	if _, err := netip.ParseAddrPort(host); err == nil {
		return ""
	}
	switch first {
	case "iam", "sts":
		return first
	}
	return ""
}

func (o *Operations) serves(service string) bool { return slices.Contains(o.services, service) }

func orNone(s string) string {
	if s == "" {
		return "NO_VERSION_SPECIFIED"
	}
	return s
}

// printable cuts a stranger's text for an error message.
func printable(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return '?'
		}
		return r
	}, s)
}

func hostOnly(addr string) string {
	if ap, err := netip.ParseAddrPort(addr); err == nil {
		return ap.Addr().Unmap().WithZone("").String()
	}
	return ""
}
