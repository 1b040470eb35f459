package operator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// cases are commands that are refused.
type refusals []struct{ name, arguments, words string }

func (list refusals) run(t *testing.T, mode, command string, prepare func(w *world)) {
	t.Helper()
	for _, x := range list {
		w := newWorld(t, mode)
		if prepare != nil {
			prepare(w)
		}
		w.refused(command+": "+x.name, w.signed(command, x.arguments), codes.FailedPrecondition, x.words)
	}
}

func TestAnAccountIsMadeWithARootKeyThatIsShownOnce(t *testing.T) {
	w := newWorld(t, "production")
	a := good[NewAccount](w, "account.create", `{"id":"333344445555","name":"Größe"}`)
	if a.Account != "333344445555" || len(a.RootKeyID) != 20 || len(a.RootSecret) != 40 {
		t.Errorf("%+v", a)
	}
	r, err := w.execute("account.list", "{}")
	if err != nil || strings.Contains(string(r.Body), a.RootKeyID) || strings.Contains(string(r.Body), a.RootSecret) || strings.Contains(string(r.Body), "ealed") {
		t.Errorf("%s %v", r.GetBody(), err)
	}
	lines := good[[]AccountLine](w, "account.list", "{}")
	if len(lines) != 3 || lines[2].ID != a.Account || lines[2].Name != "Größe" || lines[2].Created != record.At(begin) {
		t.Errorf("%+v", lines)
	}
	seen := map[string]bool{}
	for range 20 {
		id := good[NewAccount](w, "account.create", "{}").Account
		if !accountForm.MatchString(id) || id[0] == '0' || seen[id] {
			t.Errorf("a chosen id is %s", id)
		}
		seen[id] = true
	}
}

func TestAnAccountOutOfFormOrThereAlreadyIsRefused(t *testing.T) {
	refusals{
		{"eleven digits", `{"id":"11112222333"}`, "twelve digits"},
		{"thirteen digits", `{"id":"1111222233334"}`, "twelve digits"},
		{"letters", `{"id":"11112222333x"}`, "twelve digits"},
		{"other digits", `{"id":"١١١١٢٢٢٢٣٣٣٣"}`, "twelve digits"},
		{"a line more", `{"id":"111122223333\n"}`, "twelve digits"},
		{"one that exists", `{"id":"` + account + `"}`, "exists"},
		{"a long name", `{"name":"` + strings.Repeat("n", 129) + `"}`, "longer than 128 bytes"},
		{"a name that a terminal obeys", `{"name":"a\u001b[2Jb"}`, "cannot be printed"},
		{"a name of two lines", `{"name":"a\nb"}`, "cannot be printed"},
	}.run(t, "development", "account.create", nil)
	w := newWorld(t, "development")
	good[NewAccount](w, "account.create", `{"name":"`+strings.Repeat("n", 128)+`"}`)
}

func TestOnlyAnEmptyAccountIsDeletedAndWithItItsKeys(t *testing.T) {
	holds := map[string]func(w *world){
		"1 user": func(w *world) { put(w, record.Users, &record.User{Account: empty, ID: "AIDA1", Name: "u", Path: "/"}) },
		"1 group": func(w *world) {
			put(w, record.Groups, &record.Group{Account: empty, ID: "AGPA1", Name: "g", Path: "/"})
		},
		"1 role": func(w *world) { put(w, record.Roles, &record.Role{Account: empty, ID: "AROA1", Name: "r", Path: "/"}) },
		"1 policy": func(w *world) {
			put(w, record.Policies, &record.Policy{Account: empty, ID: "ANPA1", Name: "p", Path: "/"})
		},
		"1 instance profile": func(w *world) {
			put(w, record.InstanceProfiles, &record.InstanceProfile{Account: empty, ID: "AIPA1", Name: "i", Path: "/"})
		},
		"2 users, 1 role": func(w *world) {
			put(w, record.Users, &record.User{Account: empty, ID: "AIDA1", Name: "u", Path: "/"})
			put(w, record.Users, &record.User{Account: empty, ID: "AIDA2", Name: "v", Path: "/"})
			put(w, record.Roles, &record.Role{Account: empty, ID: "AROA1", Name: "r", Path: "/"})
		},
		"more than 1000 users": func(w *world) {
			w.change(func(tx record.Tx) error {
				for i := range 1001 {
					if err := record.Put(tx, record.Users, &record.User{Account: empty, ID: fmt.Sprint("AIDA", i), Name: fmt.Sprint("u", i), Path: "/"}); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	for want, fill := range holds {
		w := newWorld(t, "development")
		fill(w)
		w.refused(want, w.signed("account.delete", `{"id":"`+empty+`"}`), codes.FailedPrecondition, "still holds "+want+":")
	}
	w := newWorld(t, "development")
	a, err := record.Get(w.view, record.Accounts, empty, empty)
	if err != nil {
		t.Fatal(err)
	}
	put(w, record.KeyUses, &record.KeyUse{Account: empty, Key: a.RootKeys[0].ID})
	second, err := w.ring.NewAccountKey(w.view, empty, 2, nil, begin)
	if err != nil {
		t.Fatal(err)
	}
	put(w, record.AccountKeys, second)
	if line := good[AccountLine](w, "account.delete", `{"id":"`+empty+`"}`); line.ID != empty {
		t.Errorf("%+v", line)
	}
	for e := range w.view.All {
		if e.Key.Account() == empty {
			t.Errorf("%s is left", e.Key)
		}
	}
	if _, ok := w.view.Lookup(record.RootByKey.Name, a.RootKeys[0].ID); ok {
		t.Error("the root key is found")
	}
	if !record.Has(w.view, record.Accounts, account, account) || !record.Has(w.view, record.AccountKeys, account, record.Generation(1)) {
		t.Error("another account lost something")
	}
	refusals{
		{"of another form", `{"id":"x"}`, "twelve digits"},
		{"without an id", `{}`, "twelve digits"},
		{"that there is not", `{"id":"999999999999"}`, "there is no account"},
	}.run(t, "development", "account.delete", nil)
}

// service is the arguments of a good service.create, changed.
func service(change func(s *NewService)) string {
	s := &NewService{Name: "storage.example.com", Callers: []string{"arn:aws:iam::" + account + ":user/team/alice", "arn:aws:iam::" + account + ":role/reader"},
		Scopes: []string{"storage"}, Hosts: []string{"storage.example.com:8443"}, Actions: []string{"storage:", "storage:Get"},
		Resources: []string{"arn:aws:storage:::*"}, Accounts: []string{account}, Keys: []string{"storage:"}}
	if change != nil {
		change(s)
	}
	c, err := Sign(&Key{ID: "k", Seed: make([]byte, 32)}, "c", s, begin)
	if err != nil {
		panic(err) // texts alone
	}
	return string(c.Arguments)
}

func many(n int, format string) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(format, i))
	}
	return list
}

func TestAServiceIsRegisteredListedAndDeleted(t *testing.T) {
	w := newWorld(t, "production")
	s := good[record.Service](w, "service.create", service(nil))
	if s.Name != "storage.example.com" || len(s.Callers) != 2 || s.Created != record.At(begin) {
		t.Errorf("%+v", s)
	}
	if list := good[[]*record.Service](w, "service.list", "{}"); len(list) != 1 || list[0].Name != s.Name {
		t.Errorf("%+v", list)
	}
	good[record.Service](w, "service.delete", `{"name":"storage.example.com"}`)
	if list := good[[]*record.Service](w, "service.list", "{}"); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	w.refused("again", w.signed("service.delete", `{"name":"storage.example.com"}`), codes.FailedPrecondition, "there is no service")
	w.refused("no name", w.signed("service.delete", `{"name":"*"}`), codes.FailedPrecondition, "there is no service")
	good[record.Service](w, "service.create", service(nil)) // the name and its callers are free again
}

func TestAServiceWithinItsLimitsIsGood(t *testing.T) {
	for name, change := range map[string]func(s *NewService){
		"nothing but what it needs": func(s *NewService) { s.Scopes, s.Hosts, s.Keys = nil, nil, nil },
		"all accounts":              func(s *NewService) { s.Accounts = []string{"*"} },
		"all resources":             func(s *NewService) { s.Resources = []string{"*"} },
		"64 callers":                func(s *NewService) { s.Callers = many(64, "arn:aws:iam::"+account+":user/u%d") },
		"a name of 64 letters": func(s *NewService) {
			s.Callers = []string{"arn:aws:iam::" + account + ":user/" + strings.Repeat("u", 64)}
		},
		"a pattern of 1024 bytes":        func(s *NewService) { s.Resources = []string{"arn:aws:storage:::" + strings.Repeat("x", 1024-18)} },
		"a name of ours at another's":    func(s *NewService) { s.Name = "iam.example.com" },
		"a host that is an address":      func(s *NewService) { s.Hosts = []string{"[::1]:8443", "127.0.0.1"} },
		"a name of 128 bytes":            func(s *NewService) { s.Name = strings.Repeat("n", 120) + ".example" },
		"an action with all its letters": func(s *NewService) { s.Actions = []string{"storage:GetObject"} },
	} {
		w := newWorld(t, "production")
		if _, err := w.execute("service.create", service(change)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAServiceOutOfFormIsRefused(t *testing.T) {
	var list refusals
	add := func(words, name string, change func(s *NewService)) {
		list = append(list, struct{ name, arguments, words string }{name, service(change), words})
	}
	for _, name := range []string{"", "storage", "Storage.example.com", "storage.example.com.", "-a.example.com", "a-.example.com", "*.example.com", "a b.c", "a..b",
		"storage.example.com\n", strings.Repeat("n", 121) + ".example"} {
		add("no service principal", "name "+name, func(s *NewService) { s.Name = name })
	}
	for _, name := range []string{"iam.amazonaws.com", "sts.amazonaws.com", "organizations.amazonaws.com", "signin.amazonaws.com.cn", "holdfast.amazonaws.com"} {
		add("is our own", name, func(s *NewService) { s.Name = name })
	}
	for what, item := range map[string]struct {
		set func(s *NewService) *[]string
		bad []string
	}{
		"caller": {func(s *NewService) *[]string { return &s.Callers }, []string{"", "*", "alice", "arn:aws:iam::*:user/a", "arn:aws:iam::" + account + ":root",
			"arn:aws:iam::" + account + ":user/*", "arn:aws:iam::" + account + ":user/a?", "arn:aws:iam::" + account + ":user/a*/b", "arn:aws:iam::" + account + ":role/path/r",
			"arn:aws:iam::" + account + ":group/g", "arn:aws:sts::" + account + ":assumed-role/r/s", "arn:aws:iam::" + account + ":user/" + strings.Repeat("u", 65),
			"arn:aws:iam::" + account + ":user//a", "arn:aws:iam::1:user/a", "arn:aws:iam::" + account + ":user/a\n"}},
		"action prefix": {func(s *NewService) *[]string { return &s.Actions }, []string{"", "*", "storage", "storage:*", "storage:Get*", "storage:?", "*:Get", "iam:", "iam:Get",
			"sts:AssumeRole", "organizations:", "signin:", "holdfast:", "STORAGE:", "storage:Get "}},
		"resource pattern": {func(s *NewService) *[]string { return &s.Resources }, []string{"", "**", "storage", "arn:aws:storage:::", "arn:aws:storage::x", "aws:arn:storage:::x",
			"arn:aws:iam::" + account + ":user/*", "arn:aws:sts:::*", "arn:aws:storage:::a b", "arn:aws:storage:::" + strings.Repeat("x", 1025-18)}},
		"account": {func(s *NewService) *[]string { return &s.Accounts }, []string{"", "1", "**", "11112222333*"}},
		"scope":   {func(s *NewService) *[]string { return &s.Scopes }, []string{"", "*", "iam", "sts", "holdfast", "Storage", strings.Repeat("s", 65)}},
		"host":    {func(s *NewService) *[]string { return &s.Hosts }, []string{"", "*", "https://h", "Host", "h:", "h:x", "h/p", "u@h"}},
		"condition key prefix": {func(s *NewService) *[]string { return &s.Keys }, []string{"", "*", "storage", "storage:*", "aws:", "aws:SourceIp", "sts:", "iam:", "saml:", "holdfast:",
			"signin:", "Storage:"}},
	} {
		for _, bad := range item.bad {
			add(what+" ", what+" "+bad, func(s *NewService) { *item.set(s) = []string{bad} })
		}
		add("stands twice", what+" twice", func(s *NewService) { l := item.set(s); *l = append(slices.Clone(*l), (*l)[0]) })
		add("more than 64", what+" 65 times", func(s *NewService) { *item.set(s) = many(65, "x%d") })
	}
	for what, change := range map[string]func(s *NewService){"caller": func(s *NewService) { s.Callers = nil }, "action prefix": func(s *NewService) { s.Actions = nil },
		"resource pattern": func(s *NewService) { s.Resources = []string{} }, "account": func(s *NewService) { s.Accounts = nil }} {
		add("there is no "+what, "without "+what, change)
	}
	add("account ", "all accounts beside one", func(s *NewService) { s.Accounts = []string{"*", account} })
	list.run(t, "development", "service.create", nil)
}

func TestACallerSpeaksForOneServiceAndAServiceIsRegisteredOnce(t *testing.T) {
	w := newWorld(t, "development")
	good[record.Service](w, "service.create", service(nil))
	w.refused("the same", w.signed("service.create", service(nil)), codes.FailedPrecondition, "exists: delete it first")
	w.refused("another of one caller", w.signed("service.create", service(func(s *NewService) { s.Name = "other.example.com" })), codes.FailedPrecondition,
		"speaks for service storage.example.com already")
	// A caller whose ARN begins like another's is another.
	good[record.Service](w, "service.create", service(func(s *NewService) {
		s.Name, s.Callers = "other.example.com", []string{"arn:aws:iam::" + account + ":role/read", "arn:aws:iam::" + account + ":role/reader2"}
	}))
}

func deny(scope, target string, more ...string) string {
	all := map[string]string{"scope": scope, "target": target}
	for i := 0; i+1 < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	b, _ := json.Marshal(all) // texts alone
	return string(b)
}

// sessionID is a session's.
var sessionID = strings.Repeat("0f", 16)

func TestADenialNamesOneThingOfItsScope(t *testing.T) {
	for _, x := range []struct{ scope, target, account string }{
		{record.DenySession, sessionID, ""}, {record.DenyKey, "AKIAIOSFODNN7EXAMPLE", ""}, {record.DenyKey, "ASIAIOSFODNN7EXAMPLE", ""},
		{record.DenyKey, "ACCAIOSFODNN7EXAMPLE", ""}, {record.DenyID, userID, ""}, {record.DenyID, roleID, ""}, {record.DenyBefore, roleID, ""},
		{record.DenyBefore, account, ""}, {record.DenyIdentity, "ann@example.com", account}, {record.DenyMinter, "us-east-1a", ""}, {record.DenyAccount, account, ""},
	} {
		w := newWorld(t, "development")
		more := []string{"reason", "lost laptop"}
		if x.account != "" {
			more = append(more, "account", x.account)
		}
		d := good[record.Denial](w, "deny.create", deny(x.scope, x.target, more...))
		if !denialForm.MatchString(d.ID) || d.Scope != x.scope || d.Target != x.target || d.Account != x.account || d.By != "ann" || d.Reason != "lost laptop" ||
			d.Created != record.At(begin) || d.Lifted || (d.Before != 0) != (x.scope == record.DenyBefore) {
			t.Errorf("%+v", d)
		}
		if list := good[[]*record.Denial](w, "deny.list", "{}"); len(list) != 1 || list[0].ID != d.ID {
			t.Errorf("%+v", list)
		}
		found := false
		w.view.Range(record.DenialByTarget.Name, x.scope+record.Sep+x.target+record.Sep, "", func(string, *record.Entry) bool { found = true; return false })
		if !found {
			t.Errorf("%s of %s is not found by its target", x.scope, x.target)
		}
	}
}

func TestADenialThatIsAPatternOrCouldMatchNothingIsRefused(t *testing.T) {
	list := refusals{
		{"a scope that there is not", deny("everything", "x"), "no scope"},
		{"no scope", `{"target":"x"}`, "no scope"},
		{"a source identity without its account", deny(record.DenyIdentity, "ann@example.com"), "name it"},
		{"a source identity in a pattern of accounts", deny(record.DenyIdentity, "ann@example.com", "account", "*"), "name it"},
		{"a key in an account", deny(record.DenyKey, "AKIAIOSFODNN7EXAMPLE", "account", account), "names one thing by itself"},
		{"a key before a time", deny(record.DenyKey, "AKIAIOSFODNN7EXAMPLE", "before", "2026-11-24T11:00:00Z"), "only sessions-before has a time"},
		{"sessions before the far future", deny(record.DenyBefore, roleID, "before", "2026-11-24T12:01:02Z"), "not in the past"},
		{"sessions before all time", deny(record.DenyBefore, roleID, "before", "1969-12-31T23:59:59Z"), "not in the past"},
		{"an account that there is not", deny(record.DenyAccount, "999999999999"), "no account"},
		{"a node that there is not", deny(record.DenyMinter, "us-east-1b"), "no node"},
		{"a long reason", deny(record.DenyAccount, account, "reason", strings.Repeat("r", 1025)), "longer than 1024"},
		{"a reason of two lines", deny(record.DenyAccount, account, "reason", "a\nb"), "cannot be printed"},
	}
	for scope, targets := range map[string][]string{
		record.DenySession:  {"", "*", sessionID[:31], sessionID + "0", strings.ToUpper(sessionID), sessionID[:31] + "*"},
		record.DenyKey:      {"", "*", "AKIA*", "AKIAIOSFODNN7EXAMPL?", "akiaiosfodnn7example", "AIDAIOSFODNN7EXAMPLE", "AKIA", "AKIAIOSFODNN7EXAMPLE\n"},
		record.DenyID:       {"", "*", "AROA*", "alice", "arn:aws:iam::" + account + ":user/alice", "AKIAIOSFODNN7EXAMPLE", account, strings.ToLower(roleID)},
		record.DenyBefore:   {"", "*", "AROA*", "reader", "11112222333"},
		record.DenyIdentity: {"", "*", "a", "ann*", "ann smith", strings.Repeat("a", 65)},
		record.DenyMinter:   {"", "*", "us-*", strings.Repeat("n", 65)},
		record.DenyAccount:  {"", "*", "1111222233*", "11112222333"},
	} {
		for _, target := range targets {
			arguments := deny(scope, target)
			if scope == record.DenyIdentity {
				arguments = deny(scope, target, "account", account)
			}
			list = append(list, struct{ name, arguments, words string }{scope + " of " + target, arguments, "never a pattern"})
		}
	}
	list.run(t, "development", "deny.create", nil)
}

func TestSessionsOfThisVerySecondAreBeforeADenialWithoutATime(t *testing.T) {
	w := newWorld(t, "development") // half a second past the full one
	d := good[record.Denial](w, "deny.create", deny(record.DenyBefore, roleID))
	issued := record.At(w.now.Truncate(time.Second)).Std() // as sts writes it
	if !issued.Before(d.Before.Std()) || d.Before.Std().Sub(issued) != time.Second {
		t.Errorf("issued %v, before %v", issued, d.Before.Std())
	}
	for _, before := range []string{"2026-11-24T11:00:00Z", "2026-11-24T12:01:00Z"} { // as far as clocks may differ
		d := good[record.Denial](w, "deny.create", deny(record.DenyBefore, roleID, "before", before))
		if got := d.Before.Std().Format(time.RFC3339); got != before {
			t.Errorf("%s became %s", before, got)
		}
	}
}

func TestInProductionAMinterIsNotDeniedNorADenialLiftedByOneOperator(t *testing.T) {
	w := newWorld(t, "production")
	w.refused("a minter", w.signed("deny.create", deny(record.DenyMinter, "us-east-1a")), codes.FailedPrecondition, "two operators")
	d := good[record.Denial](w, "deny.create", deny(record.DenyAccount, account))
	w.refused("lifting", w.signed("deny.lift", `{"id":"`+d.ID+`"}`), codes.FailedPrecondition, "two operators")
}

func TestADenialIsLiftedOnceAndItsTombstoneStays(t *testing.T) {
	w := newWorld(t, "development")
	d := good[record.Denial](w, "deny.create", deny(record.DenyAccount, account))
	w.refused("no id", w.signed("deny.lift", `{"id":""}`), codes.FailedPrecondition, "no denial's id")
	w.refused("of another form", w.signed("deny.lift", `{"id":"`+strings.ToUpper(d.ID)+`x"}`), codes.FailedPrecondition, "no denial's id")
	w.refused("that there is not", w.signed("deny.lift", `{"id":"00000000ffffffff"}`), codes.FailedPrecondition, "there is no denial")
	if lifted := good[record.Denial](w, "deny.lift", `{"id":"`+d.ID+`"}`); !lifted.Lifted || lifted.By != "ann" {
		t.Errorf("%+v", lifted)
	}
	w.refused("again", w.signed("deny.lift", `{"id":"`+d.ID+`"}`), codes.FailedPrecondition, "lifted already")
	if !record.Has(w.view, record.Denials, record.None, d.ID) {
		t.Error("no tombstone")
	}
	if list := good[[]*record.Denial](w, "deny.list", "{}"); len(list) != 0 {
		t.Errorf("%+v is in force", list)
	}
}

func TestCanAnswersAsTheEngineDecides(t *testing.T) {
	w := newWorld(t, "production")
	ask := func(principal, action, resource, ip string) string {
		in := Asked{Principal: principal, Action: action, Resource: resource}
		if ip != "" {
			in.Context = map[string][]string{"aws:SourceIp": {ip}}
		}
		b, _ := json.Marshal(in)
		c, err := canonical(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(c)
	}
	alice := "arn:aws:iam::" + account + ":user/alice"
	for _, x := range []struct{ name, arguments, want string }{
		{"allowed", ask(alice, "s3:GetObject", "arn:aws:s3:::photos/cat", "10.1.2.3"), "Allowed"},
		{"from elsewhere", ask(alice, "s3:GetObject", "arn:aws:s3:::photos/cat", "8.8.8.8"), "ImplicitDeny"},
		{"from nowhere", ask(alice, "s3:GetObject", "arn:aws:s3:::photos/cat", ""), "ImplicitDeny"},
		{"denied", ask(alice, "s3:GetObject", "arn:aws:s3:::secret/cat", "10.1.2.3"), "ExplicitDeny"},
		{"another action", ask(alice, "s3:PutObject", "arn:aws:s3:::photos/cat", "10.1.2.3"), "ImplicitDeny"},
	} {
		told := good[Told](w, "can", x.arguments)
		if told.Decision != x.want || told.Allowed != (x.want == "Allowed") || (told.Reason == "") != told.Allowed || told.Revision != record.Revision("l", w.view.Head.Index) {
			t.Errorf("%s: %+v", x.name, told)
		}
	}
	secure := Asked{Principal: alice, Action: "s3:ListBucket", Resource: "*", Context: map[string][]string{"AWS:SecureTransport": {"true"}}}
	b, _ := json.Marshal(secure)
	if told := good[Told](w, "can", string(b)); !told.Allowed {
		t.Errorf("what the question says of the connection is not asked: %+v", told)
	}
	told := good[Told](w, "can", ask(alice, "s3:GetObject", "arn:aws:s3:::photos/cat", ""))
	if len(told.Considered) != 1 || told.Considered[0].Statement != "Photos" || told.Considered[0].Matched || !told.Considered[0].MissingKey {
		t.Errorf("%+v", told.Considered)
	}
	many := Asked{Principal: alice, Action: "s3:GetObject", Resource: "*", Context: map[string][]string{}}
	for i := range maxContext {
		many.Context[fmt.Sprintf("storage:k%d", i)] = []string{"v"}
	}
	twice, _ := json.Marshal(Asked{Principal: alice, Action: "s3:GetObject", Resource: "*", Context: map[string][]string{"aws:SourceIp": {"10.1.2.3"}, "aws:sourceip": {"8.8.8.8"}}})
	w.refused("a key twice by case", w.signed("can", string(twice)), codes.FailedPrecondition, "stands twice")
	hundred, _ := json.Marshal(many)
	good[Told](w, "can", string(hundred))
	many.Context["storage:one-more"] = nil
	more, _ := json.Marshal(many)
	w.refused("101 keys", w.signed("can", string(more)), codes.FailedPrecondition, "more than 100")
	for name, x := range map[string]struct{ arguments, words string }{
		"no action":          {ask(alice, "", "*", ""), "one action"},
		"a pattern":          {ask(alice, "s3:*", "*", ""), "one action"},
		"a service alone":    {ask(alice, "s3:", "*", ""), "one action"},
		"no resource":        {ask(alice, "s3:GetObject", "", ""), "the resource is empty"},
		"a long resource":    {ask(alice, "s3:GetObject", strings.Repeat("r", maxText+1), ""), "longer than"},
		"nobody":             {ask("", "s3:GetObject", "*", ""), "no ARN"},
		"who is not there":   {ask("arn:aws:iam::"+account+":user/bob", "s3:GetObject", "*", ""), "no principal"},
		"by another's words": {ask("alice", "s3:GetObject", "*", ""), "no ARN"},
	} {
		w.refused(name, w.signed("can", x.arguments), codes.FailedPrecondition, x.words)
	}
	for _, key := range []string{"aws:PrincipalArn", "AWS:username", "aws:RequestTag/x", "sts:ExternalId", "iam:ResourceTag/x", "saml:sub", "holdfast:revision", "aws:MultiFactorAuthPresent"} {
		b, _ := json.Marshal(Asked{Principal: alice, Action: "s3:GetObject", Resource: "*", Context: map[string][]string{key: {"x"}}})
		w.refused(key, w.signed("can", string(b)), codes.FailedPrecondition, "is set by the deployment")
	}
}
