package iam

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/wire"
)

func TestEveryRowCanBeReadFromAndWrittenToTheWire(t *testing.T) {
	table := api.NewTable(Ops(Env{}))
	for _, op := range table.All() {
		wire.NewDecoder(op.In)
		wire.NewEncoder(op.Name, "x", op.Out)
	}
	if n := len(table.All()); n < 80 {
		t.Errorf("only %d operations", n)
	}
	t.Logf("%d operations", len(table.All()))
}
