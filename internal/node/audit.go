package node

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/holdfast-iam/holdfast/internal/audit"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// auditor follows the log with the audit files: a cursor, so a write waits for
// it only through the log, which is not trimmed past it.
type auditor struct {
	files  *audit.Files
	fresh  chan *record.LogValue // just committed; when it is full, the log is read instead
	caught atomic.Int64          // when the files last held every record, in milliseconds
}

// auditQueue is how many commits may wait before the log is read instead.
const auditQueue = 1024

// Pauses of the auditor: between syncs, so that they do not compete with the
// store's, and after an error.
const (
	auditPause = 100 * time.Millisecond
	auditRetry = time.Second
)

// auditRead bounds how much of the log is read at once, in bytes.
const auditRead = 16 << 20

func openAuditor(dir string) (*auditor, error) {
	files, err := audit.Open(filepath.Join(dir, "audit"))
	a := &auditor{files: files, fresh: make(chan *record.LogValue, auditQueue)}
	a.caught.Store(clock().UnixMilli())
	return a, err
}

// note hands a commit over; it never waits.
func (a *auditor) note(l *record.LogValue) {
	select {
	case a.fresh <- l:
	default:
	}
}

// follow writes what was committed until ctx ends. What it cannot write it
// says, and tries again: the log keeps it meanwhile.
func (c *Control) follow(ctx context.Context) error {
	defer c.audit.files.Close()
	if failpoint.On(failpoint.AuditForgets) {
		_ = c.audit.files.Skip(c.writer.View().Head.Index)
	}
	tick := time.NewTicker(auditPause)
	defer tick.Stop()
	for {
		if err := c.auditMore(ctx); err != nil && ctx.Err() == nil {
			c.Log.Error("the audit cannot be written; the log is kept until it can", "index", c.audit.files.Index(), "error", err)
			sleep(ctx, auditRetry)
		}
		select {
		case <-ctx.Done():
			return c.auditMore(context.WithoutCancel(ctx))
		case <-tick.C:
		}
	}
}

// auditMore brings the files up to the settled head.
func (c *Control) auditMore(ctx context.Context) error {
	for {
		head, at := c.writer.View().Head.Index, c.audit.files.Index()
		if at >= head {
			c.audit.drain()
			c.audit.caught.Store(clock().UnixMilli())
			return nil
		}
		values := c.audit.drain()
		if len(values) == 0 || starts(values[0]) > at+1 {
			var err error
			if values, err = c.writer.ReadLog(ctx, at+1, auditRead); err != nil {
				return err
			}
		}
		if len(values) == 0 {
			return nil
		}
		if from := starts(values[0]); from > at+1 {
			c.Log.Error("the log had been trimmed before the audit saw it", "from", at+1, "to", from-1)
			if err := c.audit.files.Skip(from - 1); err != nil {
				return err
			}
		}
		if err := c.appendAudit(values); err != nil {
			return err
		}
	}
}

// appendAudit writes commits to the audit.
func (c *Control) appendAudit(values []*record.LogValue) error {
	failpoint.Crash(failpoint.BetweenAudit)
	if failpoint.Wrong(failpoint.AuditFails) {
		if failpoint.On(failpoint.AuditGivesUp) {
			return c.audit.files.Skip(values[len(values)-1].Head.Index)
		}
		return errors.New("the disk takes no more")
	}
	return c.audit.files.Append(values)
}

// drain takes what waits.
func (a *auditor) drain() []*record.LogValue {
	var values []*record.LogValue
	for {
		select {
		case v := <-a.fresh:
			values = append(values, v)
		default:
			return values
		}
	}
}

// starts is the first index of a commit.
func starts(v *record.LogValue) uint64 { return v.Head.Index - uint64(len(v.Records)) + 1 }

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
