package node

import (
	"context"
	"os"
	"path/filepath"

	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// fencedFile says that this node was fenced: it stays out, also when it starts
// again and reaches nobody.
const fencedFile = "fenced"

// errTakenOut is a fenced node's answer to everything. Clients try another node.
var errTakenOut = fault.ServiceUnavailable.Errorf("This node was taken out of the deployment. Ask another one.")

// fencedIn lists the nodes that were taken out.
func fencedIn(v *view.View) (list []string) {
	_ = record.Scan(v, record.Nodes, record.NodeByID, "", "", func(id string, n *record.Node) bool { // one that cannot be read is waited for
		if n.Fenced {
			list = append(list, id)
		}
		return true
	})
	return list
}

func wasFenced(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, fencedFile))
	return err == nil
}

// fence takes this node out, on the word of a control-plane node whose key its
// state pins: such a node could as well write the record. The record itself the
// node never gets, nor anything that was written after it.
func (r *Region) fence() {
	if r.fenced.Swap(true) {
		return
	}
	r.Log.Error("this node is fenced: it serves nobody any more")
	f, err := os.OpenFile(filepath.Join(r.Config.Dir, fencedFile), os.O_WRONLY|os.O_CREATE, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		r.Log.Error("that it is fenced cannot be kept: started again while it is cut off, it would serve", "error", err)
	}
}

// unlessFenced is a view to answer from, unless the node is fenced.
func (r *Region) unlessFenced(current func(context.Context) (*view.View, error)) func(context.Context) (*view.View, error) {
	return func(ctx context.Context) (*view.View, error) {
		if r.fenced.Load() {
			return nil, errTakenOut
		}
		return current(ctx)
	}
}
