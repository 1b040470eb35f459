package sts

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/api/apitest"
)

// differs lists the places where our types differ from AWS's model on purpose.
var differs = map[string]string{
	"AssumeRole input Policy":             "the API reference says 2048, the model no more",
	"AssumeRole input PolicyArns":         "the API reference says 10, the model no more",
	"GetFederationToken input PolicyArns": "the API reference says 10, the model no more",
}

func TestTheTableAgreesWithAWSsModel(t *testing.T) {
	apitest.Agrees(t, "testdata/model.json", Ops(Env{}), differs)
}

func TestWhatIsNotBuiltIsSaid(t *testing.T) {
	_, names := Unbuilt()
	apitest.Unbuilt(t, "testdata/model.json", Ops(Env{}), names)
}
