package operator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

var accountForm = regexp.MustCompile(`^[0-9]{12}$`)

// own are the services that are ours: no other may speak for them or ask about
// their actions.
var own = []string{"iam", "sts", "organizations", "signin", "holdfast"}

// command finds a command by its name; what is not here is refused.
func (s *Server) command(c *operatorpb.Command, by signers) (*command, error) {
	switch c.Name {
	case "account.create":
		return adds(c, by, s.createAccount)
	case "account.list":
		return reads(c, listAccounts)
	case "account.delete":
		return reduces(c, by, deleteAccount)
	case "account.freshness":
		return asks(c, func(in *idIn, v *view.View) (any, error) { return showFreshness(in, v) })
	case "account.demand":
		return adds(c, by, setFreshness)
	case "account.regions":
		return asks(c, func(in *idIn, v *view.View) (any, error) { return accountRegions(in, v) })
	case "account.enable":
		return adds(c, by, s.enableRegion)
	case "account.disable":
		return reduces(c, by, s.disableRegion)
	case "service.create":
		return adds(c, by, createService)
	case "service.list":
		return reads(c, func(r record.Reader) (any, error) { return list(r, record.Services, record.ServiceByName) })
	case "service.delete":
		return reduces(c, by, deleteService)
	case "deny.create":
		return reduces(c, by, createDenial)
	case "contain.plan":
		return asks(c, s.contain)
	case "deny.together":
		return reduces(c, by, createDenials)
	case "deny.list":
		return reads(c, func(r record.Reader) (any, error) { return list(r, record.Denials, record.DenialByTarget) })
	case "node.list":
		return reads(c, listNodes)
	case "node.fence":
		return reduces(c, by, fenceNode)
	case "node.exposed":
		return asks(c, func(in *exposedIn, v *view.View) (any, error) { return exposedKeys(in, v) })
	case "region.create":
		return adds(c, by, s.admitRegion)
	case "region.delete":
		return reduces(c, by, removeRegion)
	case "region.admitted":
		return reads(c, func(r record.Reader) (any, error) { return list(r, record.Regions, record.RegionByName) })
	case "node.pins":
		return reads(c, pins)
	case "operator.enroll":
		return adds(c, by, enrollOperator)
	case "operator.list":
		return reads(c, func(r record.Reader) (any, error) { return operators(r) })
	case "operator.remove":
		return reduces(c, by, removeOperator)
	case "can":
		return asks(c, s.can)
	case "deny.lift":
		return adds(c, by, liftDenial)
	}
	return nil, fmt.Errorf("operator: there is no command %q", c.Name)
}

// body is a command that changes something: a pure function of its arguments
// but for the ids and keys that it makes.
type body[In any] func(in *In, by signers, tx record.Tx, now time.Time) (any, error)

func adds[In any](c *operatorpb.Command, by signers, do body[In]) (*command, error) {
	if err := decode(c, new(In)); err != nil {
		return nil, err
	}
	return &command{apply: func(tx record.Tx, now time.Time) (any, error) {
		in := new(In) // anew: the sequencer may run it again
		if err := decode(c, in); err != nil {
			return nil, err
		}
		return do(in, by, tx, now)
	}}, nil
}

// reduces is a command that takes something away.
func reduces[In any](c *operatorpb.Command, by signers, do body[In]) (*command, error) {
	out, err := adds(c, by, do)
	if out != nil {
		out.reduces = true
	}
	return out, err
}

func reads(c *operatorpb.Command, do func(r record.Reader) (any, error)) (*command, error) {
	return &command{read: func(v *view.View) (any, error) { return do(v) }}, decode(c, new(struct{}))
}

// asks is a command that reads by what its arguments say.
func asks[In any](c *operatorpb.Command, do func(in *In, v *view.View) (any, error)) (*command, error) {
	in := new(In)
	return &command{read: func(v *view.View) (any, error) { return do(in, v) }}, decode(c, in)
}

// decode reads a command's arguments: canonical, so that the audit shows the
// one thing that they can mean, and without a member that we do not know.
func decode(c *operatorpb.Command, in any) error {
	b, err := canonical(c.Arguments)
	if err != nil {
		return fmt.Errorf("operator: arguments of %s: %w", c.Name, err)
	}
	if !bytes.Equal(b, c.Arguments) || b[0] != '{' {
		return fmt.Errorf("operator: arguments of %s are no canonical JSON object", c.Name)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(in); err != nil {
		return fmt.Errorf("operator: arguments of %s: %w", c.Name, err)
	}
	return exactNames(c.Name, b, reflect.TypeOf(in).Elem())
}

// exactNames refuses a member whose name is ours in other letters only: the
// decoder would take "ID" for "id", also beside it.
func exactNames(command string, object []byte, t reflect.Type) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return err
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		delete(members, name)
	}
	for name := range members {
		return fmt.Errorf("operator: arguments of %s: unknown member %q", command, name)
	}
	return nil
}

func list[R any](r record.Reader, k *record.Kind[R], ix *record.Index[R]) ([]*R, error) {
	out := []*R{}
	err := record.Scan(r, k, ix, "", "", func(_ string, v *R) bool {
		out = append(out, v)
		return true
	})
	return out, err
}

// missing turns the absence of a record into a sentence; another error stays.
func missing(err error, format string, args ...any) error {
	if errors.Is(err, record.ErrNotFound) {
		return refuse(format, args...)
	}
	return err
}

// plain says whether a text for people fits and holds nothing that a terminal
// or a table would obey.
func plain(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func repeated(list []string) (string, bool) {
	sorted := slices.Sorted(slices.Values(list))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return sorted[i], true
		}
	}
	return "", false
}
