// Package live is a running progressd as a client sees it: it finds the socket,
// watches and asks, and goes on over restarts of the daemon. All subcommands of
// progressctl see through it.
package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"progressd/record"
	"progressd/socket"
)

// Wish is what to watch.
type Wish struct {
	// Sockets are where a daemon is looked for, in that order.
	Sockets []string
	// Model is a repository as hfcache.ParseRepo reads it; empty: all.
	Model string
	// Levels: also how each download stands, about each second while it moves.
	Levels bool
	// Past: what the daemon still knows to have told comes first.
	Past bool
}

// An Update is one thing that is heard: one of Standing, Event, Level, Gone and
// Lost is set.
type Update struct {
	// Standing are all downloads as they stand: at the beginning, and when a
	// daemon was found again.
	Standing *Standing
	// Event is one that was told, of the download with that Key; empty: of
	// none.
	Event *record.Record
	Key   string
	// Place is where in the daemon's stream an Event or a Standing is,
	// EPOCH-SEQ; empty of an Event that was made up for.
	Place string
	// Level is how one download stands now.
	Level *record.Download
	// Gone is the key of a download that ended without a line.
	Gone string
	// Lost says that no daemon answers, at each try.
	Lost *Lost
}

// Standing is how all downloads stand.
type Standing struct {
	Downloads []record.Download
	// Version is that of the daemon.
	Version string
	// Reset: some of what was told since the last Update may not have been
	// heard, and never will.
	Reset bool
	// From is the place since which all that was told is still known.
	From string
}

// Lost is why no daemon answers, and since when.
type Lost struct {
	Err   error
	Since time.Time
}

// ErrStop ends Follow without an error.
var ErrStop = errors.New("that is enough")

// The pauses between two tries to find a daemon.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = time.Second
)

// Follow watches until ctx is done or hear gives an error, which it returns,
// but for ErrStop. It calls hear for each Update, in order. What is heard twice
// because a daemon was lost is passed on once.
func Follow(ctx context.Context, wish Wish, hear func(Update) error) error {
	f := &follower{wish: wish, hear: hear}
	if wish.Past {
		f.since = "0"
	}
	pause := firstPause
	for {
		err := f.listen(ctx)
		switch {
		case errors.Is(err, ErrStop):
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case f.heard != nil:
			return f.heard
		}
		if f.found {
			f.found, pause = false, firstPause
		}
		if f.lost.IsZero() {
			f.lost = time.Now()
		}
		if err := f.hear(Update{Lost: &Lost{err, f.lost}}); err != nil {
			if errors.Is(err, ErrStop) {
				return nil
			}
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause = min(2*pause, lastPause)
	}
}

// follower is one who follows, over the lives of several daemons.
type follower struct {
	wish Wish
	hear func(Update) error
	// since is the last place in the stream, "" before the first.
	since string
	// found: the last try has found a daemon. again: one was found before.
	found, again bool
	lost         time.Time
	told         recent
	heard        error // by hear
}

// listen hears one daemon until that is lost.
func (f *follower) listen(ctx context.Context) error {
	s, path, err := dial(ctx, f.wish, f.since)
	if err != nil {
		return err
	}
	defer s.Close()
	standing, live := &Standing{}, false
	for {
		frame, err := s.Next()
		if errors.Is(err, io.EOF) {
			err = errClosed
		}
		if err != nil {
			return &NobodyError{[]string{path}, []error{err}}
		}
		if frame.ID != "" {
			f.since = frame.ID
		}
		switch {
		case frame.Watching != nil:
			standing.Version, standing.From, standing.Reset = frame.Watching.Version, frame.Watching.From, frame.Watching.Reset && f.again
		case frame.Download != nil && !live:
			standing.Downloads = append(standing.Downloads, *frame.Download)
		case frame.Live:
			live, f.found, f.lost = true, true, time.Time{}
			err = f.stands(standing, frame.ID)
		default:
			err = f.pass(frame)
		}
		if err != nil {
			f.heard = err
			return err
		}
	}
}

// stands passes on how all stand. Ends that were told while no daemon was heard
// are told before.
func (f *follower) stands(s *Standing, place string) error {
	for _, d := range s.Downloads {
		if !d.State.Over() || f.told.has(d.ID) {
			continue
		}
		f.told.add(d.ID)
		if !f.again {
			continue
		}
		if err := f.hear(Update{Event: &d.Record, Key: d.Key}); err != nil {
			return err
		}
	}
	f.again = true
	return f.hear(Update{Standing: s, Place: place})
}

// pass passes on what has happened.
func (f *follower) pass(frame socket.Frame) error {
	switch {
	case frame.Event != nil:
		if f.told.has(frame.Event.ID) {
			return nil
		}
		f.told.add(frame.Event.ID)
		return f.hear(Update{Event: frame.Event, Key: frame.Key, Place: frame.ID})
	case frame.Download != nil:
		return f.hear(Update{Level: frame.Download})
	case frame.Gone != "":
		return f.hear(Update{Gone: frame.Gone})
	default:
		return nil // of a newer daemon
	}
}

// recent are the ids of events that were heard last: more than a daemon can
// send again.
type recent struct {
	ids   map[string]bool
	order []string
}

const maxRecent = 4096

func (r *recent) has(id string) bool { return r.ids[id] }

func (r *recent) add(id string) {
	if id == "" {
		return
	}
	if r.ids == nil {
		r.ids = map[string]bool{}
	}
	r.ids[id] = true
	if r.order = append(r.order, id); len(r.order) > maxRecent {
		delete(r.ids, r.order[0])
		r.order = r.order[1:]
	}
}

// errClosed: the daemon was stopped, or is about to start again.
var errClosed = errors.New("it has closed the connection")

// dial finds the first daemon that answers, and gives the path of its socket.
func dial(ctx context.Context, wish Wish, since string) (*socket.Stream, string, error) {
	var failed []error
	for _, path := range wish.Sockets {
		s, err := socket.OpenStream(ctx, path, socket.Watch{Since: since, Model: wish.Model, Levels: wish.Levels})
		if err == nil {
			return s, path, nil
		}
		failed = append(failed, err)
	}
	return nil, "", &NobodyError{wish.Sockets, failed}
}

// Ask asks how a repository stands, in each cache that the daemon watches and
// the user may see. None is no error.
func Ask(ctx context.Context, sockets []string, model string) ([]socket.Answered, error) {
	var failed []error
	for _, path := range sockets {
		all, err := socket.AskAt(ctx, path, model)
		if err == nil {
			return all, nil
		}
		failed = append(failed, err)
	}
	return nil, &NobodyError{sockets, failed}
}

// Facts asks how the daemon itself fares; nil if the user may not know.
func Facts(ctx context.Context, sockets []string) (*socket.Facts, error) {
	var failed []error
	for _, path := range sockets {
		facts, err := socket.FactsAt(ctx, path)
		if err == nil {
			return facts, nil
		}
		failed = append(failed, err)
	}
	return nil, &NobodyError{sockets, failed}
}

// NobodyError says that no daemon answers at any socket, and why.
type NobodyError struct {
	Sockets []string
	Errs    []error
}

func (e *NobodyError) Error() string {
	if len(e.Sockets) == 0 {
		return "no progressd is known: name its socket by --socket, or set XDG_RUNTIME_DIR"
	}
	var parts []string
	for i, path := range e.Sockets {
		if i < len(e.Errs) {
			parts = append(parts, fmt.Sprintf("%q: %v", path, cause(e.Errs[i])))
		}
	}
	return "no progressd answers at " + strings.Join(parts, ", nor at ")
}

// Unwrap gives the errors of all sockets.
func (e *NobodyError) Unwrap() []error { return e.Errs }

// Hint says how a daemon is started.
func (e *NobodyError) Hint() string {
	return "start it: systemctl start progressd, or systemctl --user start progressd for your own caches"
}

// cause is an error without the path, which is named anyway.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
