package wire_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/wire"
)

// scripted answers each operation with its entry of answers, and DeleteGroup
// with an error. It keeps the last form.
func scripted(t *testing.T, last *wire.Form) aws.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			t.Error(err)
		}
		form, err := wire.ParseForm(r.URL.RawQuery, body, maxBody)
		if err != nil || !wire.IsForm(r.Header.Get("Content-Type")) {
			t.Errorf("%v, %s", err, r.Header.Get("Content-Type"))
		}
		*last = form
		action, _ := form.Get("Action")
		w.Header().Set("Content-Type", wire.QueryXML.ContentType())
		for _, answer := range answers {
			if answer.operation == action {
				e := encoderOf(answer.operation, answer.namespace, answer.out)
				_, _ = w.Write(e.AppendXML(nil, answer.out, requestID))
				return
			}
		}
		w.WriteHeader(fault.NoSuchEntity.Status)
		_, _ = w.Write(wire.QueryXML.AppendError(nil, wire.Failure{Kind: fault.NoSuchEntity, Message: "no <group>", RequestID: requestID, Namespace: iamNamespace}))
	}))
	t.Cleanup(server.Close)
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: &server.URL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, nil
		}),
	}
}

func TestAWSsClientReadsUsers(t *testing.T) {
	var form wire.Form
	client := iam.NewFromConfig(scripted(t, &form))
	ctx := t.Context()

	created, err := client.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("bob+é &"), Path: aws.String("/a/"), Tags: []types.Tag{
		{Key: aws.String("k"), Value: aws.String("")}, {Key: aws.String("k2"), Value: aws.String("v2")}}})
	if err != nil {
		t.Fatal(err)
	}
	if u := created.User; *u.UserName != "bob" || !u.CreateDate.Equal(born.Truncate(1e9)) || *u.Tags[0].Value != `a&b <"'> c` || *u.Tags[1].Value != "" {
		t.Errorf("%+v", u)
	}
	var in struct {
		UserName, Path string
		Tags           []outTag
	}
	if err := wire.Decode(form, &in); err != nil || in.UserName != "bob+é &" || in.Path != "/a/" || len(in.Tags) != 2 || in.Tags[1] != (outTag{"k2", "v2"}) {
		t.Errorf("%v: %+v", err, in)
	}
	listed, err := client.ListUsers(ctx, &iam.ListUsersInput{MaxItems: aws.Int32(5)})
	if err != nil || len(listed.Users) != 2 || !listed.IsTruncated || *listed.Marker != "m==" || listed.Users[1].PasswordLastUsed == nil {
		t.Errorf("%v: %+v", err, listed)
	}
	if groups, err := client.ListGroups(ctx, nil); err != nil || len(groups.Groups) != 0 || groups.IsTruncated || groups.Marker != nil {
		t.Errorf("%v: %+v", err, groups)
	}
}

func TestAWSsClientReadsEveryOtherAnswer(t *testing.T) {
	var form wire.Form
	config := scripted(t, &form)
	client := iam.NewFromConfig(config)
	ctx := t.Context()

	if _, err := client.DeleteUser(ctx, &iam.DeleteUserInput{UserName: aws.String("bob")}); err != nil {
		t.Error(err)
	}
	if _, err := client.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: aws.String("r")}); err != nil {
		t.Error(err)
	}
	if summary, err := client.GetAccountSummary(ctx, nil); err != nil || summary.SummaryMap["Users"] != 3 || len(summary.SummaryMap) != 3 {
		t.Errorf("%v: %+v", err, summary)
	}
	policy, err := client.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: aws.String("bob"), PolicyName: aws.String("p")})
	if err != nil {
		t.Fatal(err)
	}
	if document, err := url.PathUnescape(*policy.PolicyDocument); err != nil || document != `{"Statement": [{"Action": "s3:*+é~"}]}` {
		t.Errorf("%v: %s", err, document)
	}
	simulated, err := client.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: aws.String("a"), ActionNames: []string{"s3:Get"}})
	if err != nil || simulated.EvaluationResults[0].EvalDecisionDetails["b"] != "allowed" {
		t.Errorf("%v: %+v", err, simulated)
	}
	report, err := client.GetCredentialReport(ctx, nil)
	if err != nil || string(report.Content) != "user,arn\n" {
		t.Errorf("%v: %+v", err, report)
	}
	caller, err := sts.NewFromConfig(config).GetCallerIdentity(ctx, nil)
	if err != nil || *caller.Account != "111122223333" || *caller.UserId != "AIDAEXAMPLE" {
		t.Errorf("%v: %+v", err, caller)
	}
}

func TestAWSsClientReadsErrors(t *testing.T) {
	var form wire.Form
	_, err := iam.NewFromConfig(scripted(t, &form)).DeleteGroup(t.Context(), &iam.DeleteGroupInput{GroupName: aws.String("g")})
	var missing *types.NoSuchEntityException
	if !errors.As(err, &missing) || missing.ErrorMessage() != "no <group>" || missing.ErrorFault() != smithy.FaultClient {
		t.Errorf("%v", err)
	}
}
