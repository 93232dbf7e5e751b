package web

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"progressd/live"
	"progressd/record"
)

const (
	// maxPast is how many events are kept for readers that come again, as
	// many as the daemon keeps.
	maxPast = 1000
	// maxBehind is how many messages a reader may be behind before it is cut
	// off.
	maxBehind = 256
	// heardTime is how long a request waits for the daemon to answer.
	heardTime = 5 * time.Second
)

// A relay follows the daemon for all who are connected: one watches, whatever
// their number. What readers are told is a line of JSON that is made once.
type relay struct {
	sockets []string

	mu   sync.Mutex
	view live.View
	// heard: since follow began, the daemon has said how all stand, or it was
	// found that none answers.
	heard bool
	// from and place are the first and the last place in the daemon's stream
	// between which past has all that was told.
	from, place place
	past        []*message
	readers     map[*reader]struct{}
	// changed is closed when anything has.
	changed chan struct{}
}

// A message is what readers are told.
type message struct {
	place place
	// kind is its name as a server-sent event, text the JSON.
	kind string
	text []byte
}

// A frame is a message in JSON. One of its fields is set, but for ID and Key.
type frame struct {
	// ID is the place in the stream: a reader that comes again names the last
	// one it has seen.
	ID string `json:"id,omitempty"`
	// Key is that of the download that an event is about.
	Key      string           `json:"key,omitempty"`
	Event    *record.Record   `json:"event,omitempty"`
	Download *record.Download `json:"download,omitempty"`
	Gone     string           `json:"gone,omitempty"`
	Snapshot *snapshot        `json:"snapshot,omitempty"`
	// Lost is why no daemon answers.
	Lost string `json:"lost,omitempty"`
}

// A snapshot is how all downloads stand.
type snapshot struct {
	Version string `json:"version,omitempty"`
	// Reset: some of what was told before it may not have been heard, and
	// never will.
	Reset     bool              `json:"reset,omitempty"`
	Downloads []record.Download `json:"downloads"`
}

// A reader follows the events. Its messages are closed when it is too slow.
type reader struct{ messages chan *message }

func newRelay(sockets []string) *relay {
	return &relay{sockets: sockets, readers: map[*reader]struct{}{}, changed: make(chan struct{})}
}

// follow hears the daemon until ctx is done.
func (r *relay) follow(ctx context.Context) {
	r.mu.Lock()
	r.view, r.heard, r.past, r.from, r.place = live.View{}, false, nil, place{}, place{}
	r.mu.Unlock()
	_ = live.Follow(ctx, live.Wish{Sockets: r.sockets, Levels: true, Past: true}, func(u live.Update) error {
		r.hear(u)
		return nil
	})
}

// hear passes on what has happened.
func (r *relay) hear(u live.Update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := u.Lost != nil && r.view.Lost == nil
	r.view.Apply(u)
	switch {
	case u.Event != nil:
		m := newMessage(frame{ID: u.Place, Key: u.Key, Event: u.Event})
		r.keep(m)
		r.tell(m)
	case u.Level != nil:
		r.tell(newMessage(frame{Download: u.Level}))
	case u.Gone != "":
		r.tell(newMessage(frame{Gone: u.Gone}))
	case u.Standing != nil:
		from := parsePlace(u.Standing.From)
		if from.epoch == r.from.epoch {
			from.seq = max(from.seq, r.from.seq)
		}
		r.from, r.place, r.heard = from, parsePlace(u.Place), true
		r.tell(r.standing(r.place, u.Standing.Reset))
	case first:
		r.heard = true
		r.tell(newMessage(frame{Lost: u.Lost.Err.Error()}))
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// keep remembers an event for those who come again.
func (r *relay) keep(m *message) {
	if m.place.epoch == "" {
		return // an end that was made up for: how all stand says it as well
	}
	r.place = m.place
	r.past = append(r.past, m)
	if over := len(r.past) - maxPast; over > 0 {
		if lost := r.past[over-1].place; lost.epoch == r.from.epoch {
			r.from.seq = max(r.from.seq, lost.seq)
		}
		r.past = slices.Delete(r.past, 0, over)
	}
}

// tell gives a message to all readers. One that is too far behind is cut off.
func (r *relay) tell(m *message) {
	for reader := range r.readers {
		select {
		case reader.messages <- m:
		default:
			delete(r.readers, reader)
			close(reader.messages)
		}
	}
}

// standing is how all stand now.
func (r *relay) standing(at place, reset bool) *message {
	return newMessage(frame{ID: at.String(), Snapshot: &snapshot{Version: r.view.Version, Reset: reset, Downloads: r.view.Downloads()}})
}

// now is how all stand, once that is known: what is in it is the caller's.
func (r *relay) now(ctx context.Context) (now, error) {
	ctx, stop := context.WithTimeout(ctx, heardTime)
	defer stop()
	for {
		n, heard := r.look()
		if heard {
			return n, nil
		}
		select {
		case <-n.changed:
		case <-ctx.Done():
			return now{}, errSlow
		}
	}
}

// now is how all stand at a time.
type now struct {
	version   string
	downloads []record.Download
	// lost is why no daemon answers now, nil if one does.
	lost *live.Lost
	// changed is closed when that isn't all any more.
	changed <-chan struct{}
}

func (r *relay) look() (n now, heard bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now{version: r.view.Version, downloads: r.view.Downloads(), lost: r.view.Lost, changed: r.changed}, r.heard
}

// subscribe begins a stream of messages, after the place that the reader has
// seen last; what it begins with is given as well.
func (r *relay) subscribe(ctx context.Context, since string) (*reader, []*message, error) {
	if _, err := r.now(ctx); err != nil {
		return nil, nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	reader := &reader{messages: make(chan *message, maxBehind)}
	r.readers[reader] = struct{}{}
	return reader, r.begin(since), nil
}

func (r *relay) unsubscribe(reader *reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.readers, reader)
}

// begin is what a stream begins with: how all stand, then what was told since.
// Only the last of it has a place, so that nothing is lost if it breaks off in
// between.
func (r *relay) begin(since string) []*message {
	seen := parsePlace(since)
	complete := seen.epoch == r.from.epoch && seen.seq >= r.from.seq && seen.seq <= r.place.seq
	if since == "" || !complete {
		return append([]*message{r.standing(r.place, since != "")}, r.loss()...)
	}
	messages := []*message{r.standing(place{}, false)}
	for _, m := range r.past {
		if m.place.epoch == seen.epoch && m.place.seq > seen.seq {
			messages = append(messages, m)
		}
	}
	return append(messages, r.loss()...)
}

// loss says that no daemon answers, if that is so.
func (r *relay) loss() []*message {
	if r.view.Lost == nil {
		return nil
	}
	return []*message{newMessage(frame{Lost: r.view.Lost.Err.Error()})}
}

func newMessage(f frame) *message {
	text, err := json.Marshal(f)
	if err != nil { // it can't be: there are only texts, numbers and times
		text = []byte("{}")
	}
	m := &message{place: parsePlace(f.ID), text: text}
	switch {
	case f.Event != nil:
		m.kind = "event"
	case f.Download != nil:
		m.kind = "download"
	case f.Gone != "":
		m.kind = "gone"
	case f.Snapshot != nil:
		m.kind = "snapshot"
	default:
		m.kind = "lost"
	}
	return m
}

// A place in the daemon's stream: EPOCH-SEQ.
type place struct {
	epoch string
	seq   uint64
}

func parsePlace(text string) place {
	epoch, number, ok := strings.Cut(text, "-")
	seq, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return place{}
	}
	return place{epoch, seq}
}

func (p place) String() string {
	if p.epoch == "" {
		return ""
	}
	return p.epoch + "-" + strconv.FormatUint(p.seq, 10)
}
