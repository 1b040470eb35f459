package policy_test

import (
	"fmt"

	"github.com/holdfast-iam/holdfast/policy"
)

// A policy is parsed, validated and compiled once; deciding allocates nothing.
func Example() {
	document, err := policy.Parse([]byte(`{
		"Version": "2012-10-17",
		"Statement": [
			{"Sid": "Own", "Effect": "Allow", "Action": "photos:*", "Resource": "arn:aws:photos:::albums/${aws:username}/*"},
			{"Sid": "NotFromOutside", "Effect": "Deny", "Action": "photos:Delete*", "Resource": "*",
			 "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
		]
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := document.Validate(policy.Identity); err != nil {
		fmt.Println(err)
		return
	}
	// What restricts has to be named, also where nothing does: an empty slot denies.
	policies := &policy.Policies{
		Identity: []policy.Named{{Name: "albums", Policy: policy.Compile(document)}},
		Boundary: policy.None, Session: policy.None, Endpoint: policy.None,
		ServiceControl: policy.None, ResourceControl: policy.None,
	}
	request := &policy.Request{
		Principal: policy.Principal{Kind: policy.User, ARN: "arn:aws:iam::111122223333:user/ann", Account: "111122223333"},
		Resource:  "arn:aws:photos:::albums/ann/cat.jpg",
	}
	request.Context.SetOne("aws:username", "ann")
	request.Context.SetOne("aws:SourceIp", "192.0.2.1")

	for _, action := range []string{"photos:Get", "photos:DeletePhoto", "mail:Send"} {
		request.Action = action
		decision := policy.Evaluate(policies, request)
		fmt.Println(action, decision.Kind)
		for match := range decision.Matched {
			fmt.Println("  by", match.Sid, "of", match.Policy)
		}
		if decision.Kind != policy.Allowed {
			fmt.Println(" ", decision.Sentence(request.Principal.ARN, action, request.Resource))
		}
	}
	// Output:
	// photos:Get Allowed
	//   by Own of albums
	// photos:DeletePhoto ExplicitDeny
	//   by NotFromOutside of albums
	//   User: arn:aws:iam::111122223333:user/ann is not authorized to perform: photos:DeletePhoto on resource: arn:aws:photos:::albums/ann/cat.jpg with an explicit deny in an identity-based policy
	// mail:Send ImplicitDeny
	//   User: arn:aws:iam::111122223333:user/ann is not authorized to perform: mail:Send on resource: arn:aws:photos:::albums/ann/cat.jpg because no identity-based policy allows the mail:Send action
}
