package store

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// A member's file never shrinks by itself: what is deleted leaves pages that are
// used again. What counts against the quota is the file, so after a peak it is
// written anew without them. The member answers nothing meanwhile.

// leastFreed is the share of the quota for which a member pauses.
const leastFreed = 8

// File is how large an embedded member's file is, and how much of it is in use.
func (e *Etcd) File() (size, used int64) {
	if e.server == nil {
		return 0, 0
	}
	b := e.server.Server.Backend()
	return b.Size(), b.SizeInUse()
}

// Fragmented says whether the member's file is worth a pause of the member: of
// several the others go on, so that half of it and an eighth of the quota are
// enough; one that is alone takes the whole store with it, and waits until its
// quota is near, or until its next start.
func (e *Etcd) Fragmented(alone bool) bool {
	size, used := e.File()
	if size-used < e.quota/leastFreed {
		return false
	}
	if alone {
		return size > e.quota/4*3
	}
	return size-used > used
}

// Defragment writes the member's file anew, and takes back the alarm that it was
// full when it is no longer. It returns how many bytes that freed.
func (e *Etcd) Defragment(ctx context.Context) (int64, error) {
	if e.server == nil {
		return 0, errOther
	}
	before, _ := e.File()
	if err := e.server.Server.Defragment(); err != nil {
		return 0, err
	}
	after, _ := e.File()
	return before - after, e.Disarm(ctx)
}

// NearQuota says whether the member's file has little room left.
func (e *Etcd) NearQuota() bool {
	size, _ := e.File()
	return size > e.quota/leastFreed*(leastFreed-1)
}

// Disarm takes back this member's alarm that it was full, once it has room again:
// etcd would refuse every write for good. To ask for alarms is an entry of etcd's
// log, with which a file that takes no writes counts what has become free in it.
func (e *Etcd) Disarm(ctx context.Context) error {
	if e.server == nil || failpoint.On(failpoint.AlarmStays) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, memberTimeout)
	defer cancel()
	all, err := e.client.AlarmList(ctx)
	if err != nil || e.NearQuota() {
		return err
	}
	var errs []error
	for _, a := range all.Alarms {
		if a.Alarm == etcdserverpb.AlarmType_NOSPACE && a.MemberID == uint64(e.server.Server.MemberID()) {
			_, err := e.client.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: a.MemberID, Alarm: a.Alarm})
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// turnLength is how long one of several members has for it: a file of the
// largest quota at the speed of a slow disk.
const turnLength = 10 * time.Minute

// Turn says whether the nth of several members may begin now: they take turns by
// the clock, which are so long that no two are at it at once. Nothing is written
// for it, so that it works in a store that is full.
func Turn(now time.Time, n, members int) bool {
	turn := now.Unix() / int64(turnLength/time.Second)
	return turn%int64(members) == int64(n) && now.Unix()%int64(turnLength/time.Second) < int64(turnLength/time.Second)/10
}
