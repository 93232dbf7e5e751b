package socket

import (
	"context"
	"net"
	"time"
)

// maxFrame bounds a frame, in bytes: eight files with the longest names fit.
const maxFrame = 64 << 10

// A Stream is what a daemon shows to one who watches. Next is called by one
// goroutine.
type Stream struct {
	c     net.Conn
	in    *reader
	first *Frame
	stop  func() bool
	// within is how long the next frame may take: what is there already comes
	// soon, or the daemon hangs.
	within time.Duration
}

// OpenStream watches at the daemon at path until ctx is done. The error is a
// *RefusedError if one is there that doesn't show anything.
func OpenStream(ctx context.Context, path string, w Watch) (*Stream, error) {
	return open(ctx, path, hello{V: Version, Watch: &w}, takeTime)
}

// open waits for the first frame, but not longer than within.
func open(ctx context.Context, path string, h hello, within time.Duration) (*Stream, error) {
	c, err := connect(ctx, path)
	if err != nil {
		return nil, err
	}
	s := &Stream{c: c, in: &reader{c: c, in: newFrameBuffer(c)}, within: within}
	s.stop = context.AfterFunc(ctx, func() { _ = c.Close() })
	if err = greet(c, h); err == nil {
		var f Frame
		if f, err = s.read(within); err == nil && f.Refused == "" {
			s.first = &f
			return s, nil
		}
		if f.Refused != "" {
			err = &RefusedError{Why: f.Refused, Later: f.Later}
		}
	}
	s.Close()
	return nil, err
}

// Next waits for a frame.
func (s *Stream) Next() (Frame, error) {
	if f := s.first; f != nil {
		s.first = nil
		return *f, nil
	}
	f, err := s.read(s.within)
	if f.Live {
		s.within = forever
	}
	return f, err
}

func (s *Stream) read(within time.Duration) (Frame, error) {
	line, err := s.in.line(within)
	if err != nil {
		return Frame{}, err
	}
	return parseFrame(line)
}

// Close ends the connection; a waiting Next returns.
func (s *Stream) Close() {
	s.stop()
	_ = s.c.Close()
}

// FactsAt asks the daemon at path how it fares; nil if the user may not know.
func FactsAt(ctx context.Context, path string) (*Facts, error) {
	ctx, stop := context.WithTimeout(ctx, answerTime)
	defer stop()
	s, err := open(ctx, path, hello{V: Version, Facts: true}, takeTime)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	f, err := s.Next()
	return f.Facts, err
}

// answerTime is how long a daemon may look before it answers.
const answerTime = 15 * time.Second

// AskAt asks the daemon at path how a repository stands, in each cache that it
// watches and that the user may see. None of them is no error.
func AskAt(ctx context.Context, path, model string) ([]Answered, error) {
	ctx, stop := context.WithTimeout(ctx, answerTime)
	defer stop()
	s, err := open(ctx, path, hello{V: Version, Ask: &Ask{Model: model}}, answerTime)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var all []Answered
	for {
		f, err := s.Next()
		switch {
		case err != nil:
			return nil, err
		case f.Answer != nil:
			all = append(all, *f.Answer)
		case f.Over:
			return all, nil
		}
	}
}
