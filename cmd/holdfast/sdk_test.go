package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"
)

// operationRow is one operation as AWS's SDK for Go calls it.
type operationRow struct {
	name    string
	good    func(ctx context.Context, c *clients) error
	refused []refusal
	// never says why the operation has no good form here: AWS's answer about
	// what nobody has is an error.
	never string
}

// refusal is a call, and the code of the error that AWS documents for it.
type refusal struct {
	code string
	call func(ctx context.Context, c *clients) error
}

// iamCall is the method of an operation.
type iamCall[In, Out any] func(*iam.Client, context.Context, *In, ...func(*iam.Options)) (*Out, error)

// refuse is a refusal of the administrator's call.
func refuse[In, Out any](code string, call iamCall[In, Out], in In) refusal {
	return refuseAt(code, call, func(*clients) In { return in })
}

// refuseAt is refuse of a call about what is made for it.
func refuseAt[In, Out any](code string, call iamCall[In, Out], in func(*clients) In) refusal {
	return refusal{code, func(ctx context.Context, c *clients) error {
		v := in(c)
		_, err := call(c.iam, ctx, &v)
		return err
	}}
}

// forbid is the refusal of the call of a user without permissions.
func forbid[In, Out any](call iamCall[In, Out], in In) refusal {
	return refusal{"AccessDenied", func(ctx context.Context, c *clients) error {
		_, err := call(c.nobody.iam, ctx, &in)
		return err
	}}
}

// pair is one caller's clients.
type pair struct {
	iam *iam.Client
	sts *sts.Client
}

// clients are the callers of a deployment: the administrator's own pair and a
// user without permissions are counted, the calls that make things are not.
type clients struct {
	pair
	nobody pair
	aside  pair
	t      *testing.T
	d      *deploymentUnderTest
	calls  *callCount
	n      *int
}

// callCount counts by operation what came back.
type callCount struct {
	mu            sync.Mutex
	good, refused map[string]int
}

func (k *callCount) register(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Count", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		k.mu.Lock()
		defer k.mu.Unlock()
		name := awsmiddleware.GetServiceID(ctx) + " " + awsmiddleware.GetOperationName(ctx)
		var answered smithy.APIError
		switch {
		case err == nil:
			k.good[name]++
		case errors.As(err, &answered):
			k.refused[name]++
		}
		return out, metadata, err
	}), middleware.After)
}

// as makes the clients of a credential; register is nil for calls that are not
// counted.
func (d *deploymentUnderTest) as(k credential, register func(*middleware.Stack) error) pair {
	d.t.Helper()
	node := d.addresses().Regions[0]
	config := aws.Config{Region: node.Region, BaseEndpoint: new("http://" + node.API),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: k.id, SecretAccessKey: k.secret, SessionToken: k.token}, nil
		})}
	if register != nil {
		config.APIOptions = append(config.APIOptions, register)
	}
	return pair{iam.NewFromConfig(config), sts.NewFromConfig(config)}
}

func newClients(t *testing.T) *clients {
	t.Helper()
	d := start(t)
	k := &callCount{good: map[string]int{}, refused: map[string]int{}}
	c := &clients{t: t, d: d, calls: k, n: new(int), pair: d.as(d.admin(), k.register), aside: d.as(d.admin(), nil)}
	c.nobody = d.as(c.key(c.user()), k.register)
	return c
}

const (
	testAccount = "111122223333"
	trustOwn    = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}}`
	readOnlyARN = "arn:aws:iam::aws:policy/ReadOnlyAccess"
	absentARN   = "arn:aws:iam::111122223333:policy/absent"
	notJSON     = `{"Version":"2012-10-17",`
	noAction    = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Resource":"*"}}`
)

func ownARN(resource string) string { return "arn:aws:iam::" + testAccount + ":" + resource }

// fresh is a name that nothing has.
func (c *clients) fresh(kind string) string {
	*c.n++
	return fmt.Sprintf("%s-%d", kind, *c.n)
}

// made fails the test when what a row needs cannot be made.
func made[Out any](c *clients) func(*Out, error) *Out {
	return func(out *Out, err error) *Out {
		c.t.Helper()
		if err != nil {
			c.t.Fatal(err)
		}
		return out
	}
}

func (c *clients) user() string {
	name := c.fresh("user")
	made[iam.CreateUserOutput](c)(c.aside.iam.CreateUser(c.t.Context(), &iam.CreateUserInput{UserName: &name}))
	return name
}

func (c *clients) key(user string) credential {
	k := made[iam.CreateAccessKeyOutput](c)(c.aside.iam.CreateAccessKey(c.t.Context(), &iam.CreateAccessKeyInput{UserName: &user})).AccessKey
	return credential{id: *k.AccessKeyId, secret: *k.SecretAccessKey}
}

func (c *clients) group() string {
	name := c.fresh("group")
	made[iam.CreateGroupOutput](c)(c.aside.iam.CreateGroup(c.t.Context(), &iam.CreateGroupInput{GroupName: &name}))
	return name
}

func (c *clients) join(group, user string) {
	made[iam.AddUserToGroupOutput](c)(c.aside.iam.AddUserToGroup(c.t.Context(), &iam.AddUserToGroupInput{GroupName: &group, UserName: &user}))
}

func (c *clients) role() string {
	name := c.fresh("role")
	made[iam.CreateRoleOutput](c)(c.aside.iam.CreateRole(c.t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: new(trustOwn)}))
	return name
}

func (c *clients) profile() string {
	name := c.fresh("profile")
	made[iam.CreateInstanceProfileOutput](c)(c.aside.iam.CreateInstanceProfile(c.t.Context(), &iam.CreateInstanceProfileInput{InstanceProfileName: &name}))
	return name
}

// filled is a profile with a role in it.
func (c *clients) filled() (profile, role string) {
	profile, role = c.profile(), c.role()
	made[iam.AddRoleToInstanceProfileOutput](c)(c.aside.iam.AddRoleToInstanceProfile(c.t.Context(), &iam.AddRoleToInstanceProfileInput{InstanceProfileName: &profile, RoleName: &role}))
	return profile, role
}

// policy makes a managed policy of so many versions, v1 the default.
func (c *clients) policy(versions int) string {
	p := made[iam.CreatePolicyOutput](c)(c.aside.iam.CreatePolicy(c.t.Context(), &iam.CreatePolicyInput{PolicyName: new(c.fresh("policy")), PolicyDocument: new(allowAll)})).Policy
	for range versions - 1 {
		made[iam.CreatePolicyVersionOutput](c)(c.aside.iam.CreatePolicyVersion(c.t.Context(), &iam.CreatePolicyVersionInput{PolicyArn: p.Arn, PolicyDocument: new(allowAll)}))
	}
	return *p.Arn
}

func (c *clients) serviceCredential(user string) *types.ServiceSpecificCredential {
	return made[iam.CreateServiceSpecificCredentialOutput](c)(c.aside.iam.CreateServiceSpecificCredential(c.t.Context(),
		&iam.CreateServiceSpecificCredentialInput{UserName: &user, ServiceName: new("holdfast.amazonaws.com")})).ServiceSpecificCredential
}

// is says that a member of an answer is there and what it should be.
func is[T comparable](what string, got *T, want T) error {
	if got == nil {
		return fmt.Errorf("%s is absent, want %v", what, want)
	}
	return eq(what, *got, want)
}

func eq[T any](what string, got, want T) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("%s (-want +got):\n%s", what, diff)
	}
	return nil
}

// absent says that a member is not part of the answer.
func absent[T any](what string, got *T) error {
	if got != nil {
		return fmt.Errorf("%s is %v, want it absent", what, *got)
	}
	return nil
}

func like(what string, got *string, pattern string) error {
	if got == nil || !regexp.MustCompile("^(?:"+pattern+")$").MatchString(*got) {
		return fmt.Errorf("%s is %q, want %s", what, aws.ToString(got), pattern)
	}
	return nil
}

func each[T, N any](list []T, of func(T) N) []N {
	out := []N{}
	for _, x := range list {
		out = append(out, of(x))
	}
	return out
}

func tagText(t types.Tag) string { return *t.Key + "=" + *t.Value }

func tagList(pairs ...string) []types.Tag {
	var list []types.Tag
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
	}
	return list
}

func TestEveryOperationIsCalledByAWSsSDKAndAnswersAsAWSDocuments(t *testing.T) {
	c := newClients(t)
	rows := slices.Concat(userRows(), keyRows(), groupRows(), roleRows(), profileRows(), policyRows(), versionRows(), moreVersionRows(), attachedRows(), inlineUserRows(), inlineGroupRows(), inlineRoleRows(),
		boundaryRows(), tagRows(), moreTagRows(), accountRows(), credentialRows(), emptyRows(), lookRows(), simulationRows(), stsRows())
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			in := *c
			in.t = t
			row.run(&in)
		})
	}
	t.Run("the whole table", func(t *testing.T) {
		for _, op := range everyOperation() {
			name := map[string]string{"iam": "IAM ", "sts": "STS "}[op.Service] + op.Name
			i := slices.IndexFunc(rows, func(r operationRow) bool { return r.name == op.Name })
			switch {
			case i < 0:
				t.Errorf("%s has no row", name)
			case c.calls.good[name] == 0 && rows[i].never == "":
				t.Errorf("%s was never called with success", name)
			case c.calls.good[name] > 0 && rows[i].never != "":
				t.Errorf("%s succeeds: give it a good call instead of %q", name, rows[i].never)
			case c.calls.refused[name] == 0:
				t.Errorf("%s was never refused", name)
			}
		}
	})
}

func (row *operationRow) run(c *clients) {
	if row.good == nil && row.never == "" {
		c.t.Fatal("no good call")
	}
	if row.good != nil {
		if err := row.good(c.t.Context(), c); err != nil {
			c.t.Errorf("good: %v", err)
		}
	}
	for i, r := range row.refused {
		err := r.call(c.t.Context(), c)
		var failed *smithy.OperationError
		var answered smithy.APIError
		if !errors.As(err, &failed) || !errors.As(err, &answered) {
			c.t.Errorf("refused %d: %v, want %s", i, err, r.code)
			continue
		}
		if answered.ErrorCode() != r.code || failed.OperationName != row.name || answered.ErrorMessage() == "" {
			c.t.Errorf("refused %d: %s: %s, want %s", i, failed.OperationName, answered, r.code)
		}
	}
}
