// Package shown stands in for a daemon that watches nothing and shows what it is
// told to: at a real socket, by the daemon's own board. It has as many lives as
// a test wants.
package shown

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"progressd/hfcache"
	"progressd/record"
	"progressd/sink"
	"progressd/socket"
	"progressd/stream"
	"progressd/tracker"
)

// A Daemon is what shows.
type Daemon struct {
	dir   string
	board *stream.Board
	stop  func()
	lives int

	mu    sync.Mutex
	seq   int
	ended []tracker.Event
	// Answers are what it answers to a question.
	Answers []socket.Answered
	// Facts are added to what the board knows; nil: nothing.
	Facts func(*socket.Facts)
}

// New is a Daemon with its socket in a directory of its own, which Close removes.
func New() (*Daemon, error) {
	dir, err := os.MkdirTemp("", "pd") // a socket's path must be short
	return &Daemon{dir: dir}, err
}

// Path is that of its socket.
func (d *Daemon) Path() string { return filepath.Join(d.dir, socket.Name) }

// Start begins a life.
func (d *Daemon) Start() error {
	d.lives++
	d.board = stream.NewBoard(stream.Options{
		Epoch: fmt.Sprint("e", d.lives), Version: fmt.Sprint("v", d.lives), Ended: d.ended,
		Record: sink.Form{Text: sink.Message, Stamp: sink.Clock, Zone: sink.LocalZone()}.Record,
		Rights: stream.Rights{
			User: os.Geteuid(), Groups: func() []int { return nil },
			Owner: func(string) int { return -1 }, Public: func() bool { return false },
		},
	})
	server := socket.NewServer(socket.Options{Streams: shows{d.board, d}, Log: slog.New(slog.DiscardHandler)})
	l, err := socket.Listen(d.dir, 0o700)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(ctx, l) }()
	d.stop = sync.OnceFunc(func() {
		stop()
		<-done
		_ = l.Close()
	})
	return nil
}

// Stop ends a life.
func (d *Daemon) Stop() { d.stop() }

// Close ends all.
func (d *Daemon) Close() error {
	d.stop()
	return os.RemoveAll(d.dir)
}

// Stands has a download shown. Its model and, if it is set, Root say which it is.
func (d *Daemon) Stands(now tracker.Event, change ...func(*tracker.Standing)) {
	now = of(now)
	s := tracker.Standing{
		Episode: episode(now), Root: now.Root, Repo: now.Repo, State: tracker.Progress,
		Began: now.At.Add(-time.Minute), Grown: now.At, Now: now, Device: 0x801,
	}
	for _, c := range change {
		c(&s)
	}
	d.board.Shown(s)
}

// Tells has an event told of a download, which stands so.
func (d *Daemon) Tells(kind tracker.Kind, now tracker.Event, change ...func(*tracker.Standing)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	e := of(now)
	e.ID, e.Kind, e.Log = fmt.Sprintf("%s-%d", episode(e), d.seq), kind, "x.log"
	over := record.EndOf(e) != ""
	d.Stands(now, append(change, func(s *tracker.Standing) {
		if s.Over = over; kind == tracker.Stalled || kind == tracker.Interrupted || kind == tracker.Failed {
			s.State = kind
		}
	})...)
	d.board.Put(e)
	if over {
		d.ended = append(d.ended, e)
	}
}

func of(e tracker.Event) tracker.Event {
	if e.Root == "" {
		e.Root = "/home/alice/.cache/huggingface/hub"
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	return e
}

func episode(e tracker.Event) string {
	return strings.NewReplacer("/", ".", "-", "_").Replace(e.Root + e.Repo.ID)
}

// Model names one.
func Model(id string) hfcache.Repo { return hfcache.Repo{Type: hfcache.Model, ID: id} }

// shows is its socket.Streams.
type shows struct {
	*stream.Board
	d *Daemon
}

func (s shows) Answer(socket.Reader, hfcache.Repo, <-chan struct{}) []socket.Answered {
	return s.d.Answers
}

func (s shows) Facts(by socket.Reader) *socket.Facts {
	f := s.Board.Facts(by)
	if f != nil && s.d.Facts != nil {
		s.d.Facts(f)
	}
	return f
}
