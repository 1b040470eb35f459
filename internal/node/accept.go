package node

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// sayEach is how often a listener says that it can take no connection.
const sayEach = 10 * time.Second

// telling is a listener that says why it takes no connection: mostly because the
// process has no descriptor left, while strangers hold them. Servers wait after
// such an error and try again, and say nothing.
type telling struct {
	net.Listener
	log  *slog.Logger
	said time.Time // servers accept from one goroutine
}

// Accept hands the error on as it is: servers ask it whether it passes.
func (l *telling) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return conn, err
	}
	if now := clock(); now.Sub(l.said).Abs() >= sayEach {
		l.said = now
		l.log.Error("no connection can be taken", "listener", l.Addr().String(), "error", err)
	}
	if failpoint.On(failpoint.AcceptErrorEnds) {
		err = errors.New(err.Error())
	}
	return nil, err
}
