package child

import (
	"io"
	"os"
	"sync/atomic"
	"time"
)

const (
	// pieceSize is how much is read at once, in bytes: the kernel lets nobody
	// write to a pipe while it is copied from.
	pieceSize = 16 << 10
	// ahead is how many pieces the listener may be behind: then it is told
	// that it has missed some, and the child is not held up.
	ahead = 64
	// listenRate is how many bytes a second the listener is shown, beyond
	// what it is ahead by. No downloader prints that much; a program that
	// does needs the processor itself.
	listenRate = 2 << 20
	// tailSize is how much of what the listener has missed it is shown in the
	// end: the last words are those that count.
	tailSize = 16 << 10
	// pause is after how long without a byte a stream is told to be still.
	pause = 200 * time.Millisecond
)

// A stream carries what the child prints to where we would have printed it,
// and shows it to the listener.
type stream struct {
	as    Stream
	from  io.ReadCloser
	to    *os.File
	opts  Options
	heard chan []byte
	spare chan []byte
	last  atomic.Int64 // when a piece came, in unix ns

	// credit is how many bytes may be shown now, as of the time paid.
	credit int64
	paid   time.Time
	// missed is how many of the newest bytes were not shown.
	missed int
}

func newStream(as Stream, from io.ReadCloser, to *os.File, opts Options) *stream {
	s := &stream{
		as: as, from: from, to: to, opts: opts,
		heard: make(chan []byte, ahead), spare: make(chan []byte, ahead+1),
		credit: ahead * pieceSize, paid: time.Now(),
	}
	s.last.Store(s.paid.UnixNano())
	return s
}

// run carries until the child's side is closed. Where nobody reads ours any
// more, the child finds out by the same way.
func (s *stream) run() {
	listener := make(chan struct{})
	go func() {
		defer close(listener)
		s.listen()
	}()
	// What was read lies before at, where the listener's tail is taken from.
	buf, at := make([]byte, 8*pieceSize), 0
	for {
		if len(buf)-at < pieceSize {
			at = copy(buf, buf[at-tailSize:at])
		}
		n, err := s.from.Read(buf[at : at+pieceSize])
		if n > 0 {
			now := time.Now()
			s.last.Store(now.UnixNano())
			if _, err := s.to.Write(buf[at : at+n]); err != nil {
				break
			}
			s.show(buf[:at], buf[at:at+n], now)
			at += n
		}
		if err != nil { // EOF, and EIO from a terminal that nobody has open
			break
		}
	}
	_ = s.from.Close()
	s.catchUp(buf[:at]) // the child waits for nothing any more
	close(s.heard)
	<-listener
}

// show hands the listener a copy of p, unless it is too far behind or was shown
// too much lately. before is what came before p.
func (s *stream) show(before, p []byte, now time.Time) {
	s.credit = min(s.credit+int64(now.Sub(s.paid)*listenRate/time.Second), ahead*pieceSize)
	s.paid = now
	if s.credit < int64(len(p)) || cap(s.heard)-len(s.heard) < 3 {
		s.missed += len(p)
		return
	}
	s.credit -= int64(len(p))
	s.catchUp(before)
	var piece []byte
	select {
	case piece = <-s.spare:
	default:
	}
	s.heard <- append(piece[:0], p...)
}

// catchUp shows the end of what the listener has missed.
func (s *stream) catchUp(before []byte) {
	if s.missed == 0 {
		return
	}
	tail := min(s.missed, tailSize, len(before))
	s.missed = 0
	s.heard <- nil
	s.heard <- append([]byte(nil), before[len(before)-tail:]...)
}

func (s *stream) listen() {
	quiet := time.NewTimer(pause)
	defer quiet.Stop()
	for {
		select {
		case p, ok := <-s.heard:
			if !ok {
				s.opts.Closed(s.as)
				return
			}
			s.opts.Printed(s.as, p)
			if cap(p) >= pieceSize/2 {
				select {
				case s.spare <- p:
				default:
				}
			}
			quiet.Reset(pause)
		case <-quiet.C:
			s.opts.Paused(s.as)
		}
	}
}

// still reports whether every stream has been silent for so long.
func (f *fittings) still(silence time.Duration) bool {
	for _, s := range f.streams {
		if time.Since(time.Unix(0, s.last.Load())) < silence {
			return false
		}
	}
	return true
}

// cut ends the streams that are still open.
func (f *fittings) cut() {
	for _, s := range f.streams {
		_ = s.from.Close()
	}
}
