package web

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// keepEvery is how often a stream on which nothing happens shows that it lives.
const keepEvery = 15 * time.Second

// streamEvents tells how all downloads stand, then what happens: as server-sent
// events to those who accept these, else as a line of JSON each.
func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request) {
	leave, ok := enter(s.streams)
	if !ok {
		busy(w, r, "too many streams are open")
		return
	}
	defer leave()
	reader, messages, err := s.relay.subscribe(r.Context(), r.Header.Get("Last-Event-ID"))
	if err != nil {
		nobody(w, r, err)
		return
	}
	defer s.relay.unsubscribe(reader)
	out := newStream(w, r)
	if r.Method == http.MethodHead {
		return
	}
	for _, m := range messages {
		out.tell(m)
	}
	keep := time.NewTicker(keepEvery)
	defer keep.Stop()
	for out.flush() == nil {
		select {
		case m, ok := <-reader.messages:
			if !ok {
				return // too slow
			}
			out.tell(m)
			out.rest(reader.messages)
		case <-keep.C:
			out.keep()
		case <-r.Context().Done():
			return
		}
	}
}

// A stream is an answer without an end.
type stream struct {
	out    io.Writer
	rc     *http.ResponseController
	events bool // server-sent events
	err    error
}

func newStream(w http.ResponseWriter, r *http.Request) *stream {
	s := &stream{out: w, rc: http.NewResponseController(w), events: strings.Contains(r.Header.Get("Accept"), "text/event-stream")}
	kind := "application/x-ndjson"
	if s.events {
		kind = "text/event-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep it back
	s.err = s.rc.SetReadDeadline(time.Time{})
	return s
}

// put writes; what isn't taken in time ends the stream.
func (s *stream) put(parts ...string) {
	if s.err == nil {
		s.err = s.rc.SetWriteDeadline(time.Now().Add(writeTime))
	}
	for _, part := range parts {
		if s.err == nil {
			_, s.err = io.WriteString(s.out, part)
		}
	}
}

func (s *stream) tell(m *message) {
	if !s.events {
		s.put(string(m.text), "\n")
		return
	}
	if m.place.epoch != "" {
		s.put("id: ", m.place.String(), "\n")
	}
	s.put("event: ", m.kind, "\ndata: ", string(m.text), "\n\n")
}

// rest tells what waits already.
func (s *stream) rest(messages <-chan *message) {
	for range len(messages) {
		if m, ok := <-messages; ok {
			s.tell(m)
		}
	}
}

// keep shows that the stream lives. Lines of JSON have no word for it.
func (s *stream) keep() {
	if s.events {
		s.put(": keep\n\n")
	}
}

func (s *stream) flush() error {
	if s.err == nil {
		s.err = s.rc.Flush()
	}
	return s.err
}

// enter takes a turn, if there is one.
func enter(turns chan struct{}) (leave func(), ok bool) {
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, true
	default:
		return nil, false
	}
}

// enterSoon waits for a turn.
func enterSoon(ctx context.Context, turns chan struct{}) (leave func(), ok bool) {
	ctx, stop := context.WithTimeout(ctx, heardTime)
	defer stop()
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, true
	case <-ctx.Done():
		return nil, false
	}
}
