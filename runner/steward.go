package runner

import (
	"context"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"progressd/hfcache"
	"progressd/record"
	"progressd/sizer"
)

// killAfter is how long a program that was asked to end may take.
const killAfter = 10 * time.Second

// A steward looks after the program by how its download stands: it tells the
// service manager, and stops a program whose download stands still for too
// long, if that was asked for.
type steward struct {
	// notify tells the service manager; nil: there is none.
	notify func(state string)
	// extend is how long a start may take once a byte has come.
	extend time.Duration
	// patience is how long a download may be stalled; 0: for ever.
	patience time.Duration
	// stop gives the program a signal. gaveUp is called before the first.
	stop   func(sig syscall.Signal)
	gaveUp func()

	news chan *record.Download // the newest; nil: the daemon was lost
}

func newSteward(notify func(string), extend, patience time.Duration, stop func(syscall.Signal), gaveUp func()) *steward {
	return &steward{notify: notify, extend: extend, patience: patience, stop: stop, gaveUp: gaveUp, news: make(chan *record.Download, 1)}
}

// wanted reports whether there is anything to look after.
func (s *steward) wanted() bool { return s.notify != nil || s.patience > 0 }

// stands takes how the download stands. It never waits.
func (s *steward) stands(d record.Download) { s.put(&d) }

// lost is told that nothing is known of the download for a while: what stood
// still may have moved since.
func (s *steward) lost() { s.put(nil) }

// put leaves the newest in the box.
func (s *steward) put(d *record.Download) {
	select {
	case <-s.news:
	default:
	}
	select {
	case s.news <- d:
	default:
	}
}

// Run looks after the program until ctx is done.
func (s *steward) Run(ctx context.Context) error {
	var said string
	var grown int64
	var due, kill <-chan time.Time
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case d := <-s.news:
			switch stalled := d != nil && d.State == record.Stalled; {
			case kill != nil || s.patience == 0:
			case stalled && due == nil:
				timer.Reset(s.patience)
				due = timer.C
			case !stalled && due != nil:
				timer.Stop()
				due = nil
			}
			if d != nil && s.notify != nil {
				said, grown = s.report(*d, said, grown)
			}
		case <-due:
			s.gaveUp()
			s.stop(syscall.SIGTERM)
			due, kill = nil, time.After(killAfter)
		case <-kill:
			s.stop(syscall.SIGKILL)
			kill = time.After(killAfter) // it may have started something since
		case <-ctx.Done():
			return nil
		}
	}
}

// report tells the service manager how it stands, and that bytes have come: a
// start then may take so much longer.
func (s *steward) report(d record.Download, said string, grown int64) (string, int64) {
	var lines []string
	if text := statusText(d); text != said {
		said = text
		lines = append(lines, "STATUS="+text)
	}
	if d.Bytes != nil && *d.Bytes > grown {
		grown = *d.Bytes
		lines = append(lines, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", s.extend.Microseconds()))
	}
	if len(lines) > 0 {
		s.notify(strings.Join(lines, "\n"))
	}
	return said, grown
}

// statusText is a line for systemctl status.
func statusText(d record.Download) string {
	name := hfcache.Repo{Type: hfcache.RepoType(d.RepoType), ID: d.Model}.String()
	if d.Bytes == nil || d.State == record.Preparing {
		return "Preparing to download " + name
	}
	amount := sizer.FormatBytes(*d.Bytes)
	if d.Total > 0 {
		amount = sizer.FormatProgress(*d.Bytes, d.Total)
	}
	switch d.State {
	case record.Downloading:
	case record.Completed:
		return name + " is there: " + amount
	default:
		return "Download of " + name + " " + string(d.State) + ": " + amount
	}
	text := "Downloading " + name + ": " + amount
	if d.Rate > 0 {
		text += ", " + sizer.FormatRate(d.Rate)
	}
	if d.SecondsLeft > 0 {
		text += ", " + sizer.FormatLeft(time.Duration(d.SecondsLeft)*time.Second) + " left"
	}
	return text
}

// notifier tells the service manager at a socket, nil if there is none. Who
// doesn't listen is not waited for.
func notifier(address string) func(state string) {
	if address == "" {
		return nil
	}
	return func(state string) {
		const patience = time.Second
		c, err := net.Dial("unixgram", address)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		_, _ = c.Write([]byte(state))
	}
}
