// Package manager stands in for systemd where a demo, a test or a benchmark
// starts progressd: it hears when the daemon says that it is ready.
package manager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Listener hears what one daemon tells its manager. It is used once.
type Listener struct {
	conn    *net.UnixConn
	address string
	runDir  string
	ready   chan struct{}
	// readyAt is set before ready is closed.
	readyAt time.Time
	deaf    chan struct{} // closed when nothing is heard any more
}

// Listen begins to hear a daemon whose runtime directory is runDir: there it
// makes its own socket, and not where that of the machine's progressd is.
func Listen(runDir string) (*Listener, error) {
	// An abstract address: no path to be too long, no file to be removed. The
	// kernel picks one that is free, also beside others of our number in a pid
	// namespace of their own.
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen for progressd's readiness: %w", err)
	}
	l := &Listener{conn: conn, address: conn.LocalAddr().String(), runDir: runDir, ready: make(chan struct{}), deaf: make(chan struct{})}
	go l.hear()
	return l, nil
}

func (l *Listener) hear() {
	defer close(l.deaf)
	buf := make([]byte, 4096)
	for {
		n, err := l.conn.Read(buf)
		if err != nil {
			return
		}
		lines := strings.Split(string(buf[:n]), "\n")
		if l.readyAt.IsZero() && slices.Contains(lines, "READY=1") {
			l.readyAt = time.Now()
			close(l.ready)
		}
	}
}

// Environ is the environment for the daemon: our own, without what a manager
// or a developer has set for us.
func (l *Listener) Environ() []string {
	return append(Environ(), "NOTIFY_SOCKET="+l.address, "RUNTIME_DIRECTORY="+l.runDir)
}

// Socket is where the program makes the one at which it is asked.
func (l *Listener) Socket() string { return filepath.Join(l.runDir, "progressd.sock") }

// Environ is our own environment for a program that no manager starts.
func Environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		switch name, _, _ := strings.Cut(v, "="); name {
		case "JOURNAL_STREAM", "NOTIFY_SOCKET", "INVOCATION_ID", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID",
			"LOGS_DIRECTORY", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "GOGC", "GOMEMLIMIT", "GODEBUG", "GOMAXPROCS":
			return true
		default:
			return false
		}
	})
}

// Ready is closed when the daemon has said that it is ready.
func (l *Listener) Ready() <-chan struct{} { return l.ready }

// Await waits for Ready, at most so long, and returns when that was.
func (l *Listener) Await(ctx context.Context, patience time.Duration) (time.Time, error) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-l.ready:
		return l.readyAt, nil
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	case <-timeout.C:
		return time.Time{}, fmt.Errorf("progressd did not say within %v that it is ready", patience)
	case <-l.deaf:
		return time.Time{}, errors.New("progressd ended before it was ready")
	}
}

// Close ends the hearing.
func (l *Listener) Close() error {
	err := l.conn.Close()
	<-l.deaf
	return err
}
