package iam

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/api/apitest"
)

// differs lists the places where our types differ from AWS's model on purpose.
var differs = map[string]string{}

func TestTheTableAgreesWithAWSsModel(t *testing.T) {
	apitest.Agrees(t, "testdata/model.json", Ops(Env{}), differs)
}

func TestWhatIsNotBuiltIsSaid(t *testing.T) {
	_, names := Unbuilt()
	apitest.Unbuilt(t, "testdata/model.json", Ops(Env{}), names)
}
