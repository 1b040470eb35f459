package iam

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/api/apitest"
)

// differs lists the places where our types differ from AWS's model on purpose.
var differs = map[string]string{
	"SimulateCustomPolicy input OrderedOrganizationPolicyInputList": "newer than the model at hand; aws-sdk-go-v2 service/iam v1.64.9 has it",
}

func TestTheTableAgreesWithAWSsModel(t *testing.T) {
	apitest.Agrees(t, "testdata/model.json", Ops(Env{}), differs)
}

func TestWhatIsNotBuiltIsSaid(t *testing.T) {
	_, names := Unbuilt()
	apitest.Unbuilt(t, "testdata/model.json", Ops(Env{}), names)
}
