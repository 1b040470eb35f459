package node

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/holdfast-iam/holdfast/internal/clocks"
	"github.com/holdfast-iam/holdfast/internal/local"
)

// floorEach is how often a control-plane node looks at the head's commit time.
const floorEach = time.Second

// timeFloor is a control-plane node's: the newest commit time of its own view,
// as far as its clock has borne it out. A replica has its own.
type timeFloor struct {
	c     *Control
	path  string
	floor clocks.Floor // of one goroutine at a time
	at    atomic.Int64 // the same for readers, milliseconds
	ahead bool         // was said
}

func newTimeFloor(c *Control) *timeFloor {
	f := &timeFloor{c: c, path: filepath.Join(c.Config.Dir, "floor")}
	var at time.Time
	if err := local.Read(f.path, &at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Log.Error("the time floor cannot be read", "error", err)
	}
	f.floor = clocks.FloorAt(at)
	f.raise()
	return f
}

// At is the floor: nothing that ended before it is accepted.
func (f *timeFloor) At() time.Time { return time.UnixMilli(f.at.Load()) }

// run follows the head until ctx ends.
func (f *timeFloor) run(ctx context.Context) error {
	for ctx.Err() == nil {
		f.raise()
		sleep(ctx, floorEach)
	}
	return nil
}

func (f *timeFloor) raise() {
	v := f.c.writer.View()
	if v == nil {
		return
	}
	ok := f.floor.Raise(v.Head.At(), clock())
	if !ok && !f.ahead {
		f.c.Log.Error("a commit time is far ahead of this node's clock; the floor stays", "commit", v.Head.At())
	}
	f.ahead = !ok
	f.at.Store(f.floor.At().UnixMilli())
	if !f.floor.Due() {
		return
	}
	if err := local.Write(f.path, f.floor.At(), 0o600); err != nil {
		f.c.Log.Error("the time floor is not on the disk: after a restart with a wrong clock it is an older one", "error", err)
	}
}
