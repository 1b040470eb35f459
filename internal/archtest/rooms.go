// Package archtest is the surveyor: the house's plan as data, and the tests
// that hold the code against it.
//
// Invariant: a room that is not in the plan, or imports what its line does not
// list, fails the tests. The import graph is the availability argument: what
// cannot import the store cannot need it.
package archtest

// Room is one line of the plan.
type Room struct {
	Path  string // below the module
	Floor int
	// Uses lists our rooms that it may import. arn and internal/record are
	// open to every room above floor 1, internal/fault from floor 3 up, and
	// internal/failpoint, of which a release build holds nothing, to all that
	// make up a node.
	Uses []string
	// Modules lists the outside modules that it may import, by prefix.
	Modules []string
}

// Plan is the whole house, bottom up.
var Plan = []Room{
	{Path: "arn", Floor: 0},
	{Path: "policy", Floor: 0, Uses: []string{"arn"}},
	{Path: "policy/internal/literal", Floor: 0},
	{Path: "policy/internal/mutate", Floor: 0},
	{Path: "sigv4", Floor: 0},

	{Path: "internal/failpoint", Floor: 1},
	{Path: "internal/fault", Floor: 1},
	{Path: "internal/wire", Floor: 1, Uses: []string{"internal/fault"}},
	{Path: "internal/record", Floor: 1, Uses: []string{"arn"}},
	{Path: "internal/config", Floor: 1},
	{Path: "internal/policyline", Floor: 1, Uses: []string{"policy"}},
	{Path: "internal/policysuite", Floor: 1, Uses: []string{"policy", "internal/policyline"}, Modules: []string{"go.yaml.in/yaml/v3"}},
	{Path: "internal/lint", Floor: 1, Uses: []string{"arn", "policy", "internal/lint/source", "internal/lint/catalogue"}},
	{Path: "internal/lint/source", Floor: 1, Modules: []string{"go.yaml.in/yaml/v3"}},
	{Path: "internal/lint/catalogue", Floor: 1},

	{Path: "internal/view", Floor: 2, Uses: []string{"policy"}, Modules: []string{"github.com/dchest/siphash", "github.com/tidwall/btree"}},
	{Path: "internal/overlay", Floor: 2, Uses: []string{"internal/view"}},
	{Path: "internal/managed", Floor: 2},
	{Path: "internal/clocks", Floor: 2},
	{Path: "internal/audit", Floor: 2},
	{Path: "internal/admission", Floor: 2},
	{Path: "internal/store", Floor: 2, Uses: []string{"internal/view", "internal/audit"}, Modules: []string{"go.etcd.io/etcd", "go.uber.org/zap", "google.golang.org/grpc"}},
	{Path: "internal/peer", Floor: 2, Uses: []string{"internal/peer/peerpb"}, Modules: []string{"google.golang.org/grpc", "google.golang.org/protobuf"}},
	{Path: "internal/peer/peerpb", Floor: 2, Modules: []string{"google.golang.org/grpc", "google.golang.org/protobuf"}},
	{Path: "internal/feed", Floor: 2, Uses: []string{"internal/view", "internal/peer", "internal/peer/peerpb"}, Modules: []string{"google.golang.org/grpc"}},
	{Path: "internal/replica", Floor: 2, Uses: []string{"internal/clocks", "internal/view", "internal/feed", "internal/peer", "internal/peer/peerpb"}, Modules: []string{"google.golang.org/grpc"}},
	{Path: "internal/lineage", Floor: 2, Uses: []string{"internal/view"}},
	{Path: "internal/backup", Floor: 2, Uses: []string{"internal/view"}, Modules: []string{"filippo.io/age"}},
	{Path: "internal/keyring", Floor: 2, Uses: []string{"sigv4"}},
	{Path: "internal/session", Floor: 2, Uses: []string{"internal/keyring"}},

	{Path: "internal/authn", Floor: 3, Uses: []string{"sigv4", "internal/session", "internal/keyring", "internal/view"}},
	{Path: "internal/authz", Floor: 3, Uses: []string{"policy", "internal/view", "internal/authn"}},
	{Path: "internal/api", Floor: 3, Uses: []string{"internal/wire", "internal/authn", "internal/authz"}},

	{Path: "internal/api/apitest", Floor: 3, Uses: []string{"internal/api", "internal/wire"}},

	{Path: "internal/iam", Floor: 4, Uses: []string{"policy", "internal/wire", "internal/api", "internal/authn", "internal/authz", "internal/keyring"}},
	{Path: "internal/sts", Floor: 4, Uses: []string{"policy", "internal/wire", "internal/view", "internal/api", "internal/authn", "internal/authz", "internal/session", "internal/keyring"}},

	{Path: "internal/front", Floor: 5, Uses: []string{"sigv4", "internal/wire", "internal/view", "internal/api", "internal/authn", "internal/authz", "internal/audit", "internal/admission"}},
	{Path: "internal/doors/native", Floor: 5, Uses: []string{"sigv4", "policy", "internal/view", "internal/admission", "internal/authn", "internal/authz", "internal/session", "internal/keyring", "internal/doors/native/nativepb"}, Modules: []string{"google.golang.org/grpc", "google.golang.org/protobuf"}},
	{Path: "internal/doors/native/nativepb", Floor: 5, Modules: []string{"google.golang.org/grpc", "google.golang.org/protobuf"}},
	{Path: "internal/doors/authzen", Floor: 5, Uses: []string{"internal/doors/native"}},
	{Path: "internal/operator", Floor: 5, Uses: []string{"policy", "internal/view", "internal/backup", "internal/keyring", "internal/authn", "internal/authz", "internal/operator/operatorpb"}, Modules: []string{"google.golang.org/grpc", "google.golang.org/protobuf", "golang.org/x/sys"}},
	{Path: "internal/operator/operatorpb", Floor: 5, Modules: []string{"google.golang.org/grpc", "google.golang.org/protobuf"}},

	{Path: "internal/local", Floor: 6, Uses: []string{"internal/config"}, Modules: []string{"go.etcd.io/etcd/client/pkg/v3"}},
	{Path: "internal/node", Floor: 6, Uses: []string{"*"}, Modules: []string{"github.com/prometheus/client_golang", "github.com/prometheus/client_model", "google.golang.org/grpc", "golang.org/x/sys", "golang.org/x/sync", "github.com/pires/go-proxyproto"}},
	{Path: "internal/drill", Floor: 6, Uses: []string{"sigv4", "internal/local"}},
	{Path: "internal/model", Floor: 6},
	{Path: "internal/scenario", Floor: 6},
	{Path: "internal/simtest", Floor: 6, Uses: []string{"internal/view", "internal/store", "internal/feed", "internal/replica", "internal/overlay", "internal/clocks", "internal/lineage", "internal/session", "internal/peer/peerpb"}},
	{Path: "cmd/holdfast", Floor: 6, Uses: []string{"*"}, Modules: []string{"filippo.io/age", "github.com/spf13/cobra", "github.com/spf13/pflag", "google.golang.org/grpc", "golang.org/x/sys", "github.com/coreos/go-systemd/v22/daemon"}},
}

// Never lists rooms that must not reach a module or room even through others:
// the partition guarantee, stated as imports.
var Never = map[string][]string{
	"internal/authn":         {"go.etcd.io", "internal/store"},
	"internal/authz":         {"go.etcd.io", "internal/store"},
	"internal/sts":           {"go.etcd.io", "internal/store", "internal/iam", "internal/feed"},
	"internal/session":       {"go.etcd.io", "internal/store"},
	"internal/replica":       {"go.etcd.io", "internal/store"},
	"internal/front":         {"go.etcd.io", "internal/store", "internal/iam", "internal/sts"},
	"internal/iam":           {"go.etcd.io", "internal/store"},
	"internal/doors/native":  {"go.etcd.io", "internal/store"},
	"internal/doors/authzen": {"go.etcd.io", "internal/store"},
	"policy":                 {"context", "net/http", "log", "os"},
	"arn":                    {"context", "net/http", "log", "os"},
	"sigv4":                  {"log", "os/exec"},
}
