package socket

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"progressd/account"
	"progressd/downloader"
	"progressd/tracker"
)

const (
	// maxWaiting is how many lines a client may be behind.
	maxWaiting = 256
	// maxDropped is how many lines of a client may be dropped, since its user says
	// too much, until that is reason enough to end it.
	maxDropped = 2_000
	// idleTime is how often it is made sure that a silent client's program
	// still runs.
	idleTime = time.Minute
	// endTime bounds the waiting for the verdict, which the tracker gives
	// in 5 s and a look.
	endTime = 20 * time.Second
	// askEvery is how often looks are asked for then.
	askEvery = 150 * time.Millisecond
)

// A session is one run that a client reports on.
type session struct {
	server  *Server
	place   Watched
	process downloader.Process
	run     Run
	by      account.User // who reports
	id      string       // what the repository is called in our words
	log     string       // the name of its log file

	c        net.Conn
	out      chan Answer
	over     chan struct{} // closed when all is said
	overOnce sync.Once
	deaf     bool // nobody hears it any more; guarded by the server's mu
}

func newSession(s *Server, c net.Conn, place Watched, process downloader.Process, run Run) *session {
	ss := &session{
		server: s, c: c, place: place, process: process, run: run, id: run.Repo.ID,
		out: make(chan Answer, maxWaiting), over: make(chan struct{}),
	}
	if run.Name.ID != "" {
		ss.id = run.Name.ID
	}
	return ss
}

// send never waits: who doesn't read is left alone.
func (ss *session) send(a Answer) {
	select {
	case ss.out <- a:
	default:
		_ = ss.c.Close()
	}
}

func (ss *session) conclude() {
	ss.overOnce.Do(func() {
		ss.send(Answer{Over: true})
		close(ss.over)
	})
}

// serve reports the run from its beginning to its end, or the loss of it.
func (ss *session) serve(ctx context.Context, in *reader) {
	defer ss.server.end(ss)
	written := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(written)
		ss.write(done)
	}()
	defer func() { <-written }()
	defer close(done)
	ss.report(ctx, tracker.Report{Kind: tracker.RunBegan, Process: ss.process, Only: ss.run.Only, Again: ss.run.Again})
	ended, err := ss.listen(ctx, in)
	if !ended {
		ss.server.deafen(ss)
		if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
			ss.server.opts.Log.Info("a progressctl exec is no longer heard", "repo", ss.place.Repo.ID, "pid", ss.process.PID, "why", reason(err))
		}
		ss.report(ctx, tracker.Report{Kind: tracker.RunLost})
		return
	}
	ss.awaitOver(ctx, written)
}

// report stamps a report, and has a look made that is begun after it.
func (ss *session) report(ctx context.Context, r tracker.Report) {
	r.Root, r.Repo, r.At = ss.place.Root, ss.place.Repo, time.Now()
	ss.server.opts.Report(ctx, r)
	if r.Kind != tracker.RunSaid {
		ss.server.opts.Ask(ss.place)
	}
}

// awaitOver has looks made until all is said and the client has it.
func (ss *session) awaitOver(ctx context.Context, written <-chan struct{}) {
	again := time.NewTicker(askEvery)
	defer again.Stop()
	timeout := time.NewTimer(endTime)
	defer timeout.Stop()
	for {
		select {
		case <-again.C:
			ss.server.opts.Ask(ss.place)
		case <-ss.over:
			select {
			case <-written:
			case <-ctx.Done():
			case <-timeout.C:
			}
			return
		case <-timeout.C:
			ss.report(ctx, tracker.Report{Kind: tracker.RunLost})
			return
		case <-ctx.Done():
			return
		}
	}
}

// write passes lines on until all is said, or the client can't keep up. Its
// end ends the reading as well.
func (ss *session) write(done <-chan struct{}) {
	for {
		select {
		case a := <-ss.out:
			if err := answer(ss.c, writeTime, a); err != nil {
				_ = ss.c.Close()
				return
			}
			if a.Over {
				return
			}
		case <-done:
			return
		}
	}
}

// listen takes reports until the one of the end. The error says why there are
// no more.
func (ss *session) listen(ctx context.Context, in *reader) (ended bool, err error) {
	dropped := 0
	defer func() { ss.tellDropped(dropped) }()
	for {
		line, err := in.line(idleTime)
		if errors.Is(err, errIdle) && ss.runs() {
			continue
		}
		if err != nil {
			return false, err
		}
		var r report
		if err := json.Unmarshal(line, &r); err != nil {
			return false, errors.New("that is not a line of the protocol")
		}
		switch {
		case r.Ended != nil:
			ss.report(ctx, tracker.Report{Kind: tracker.RunEnded, Exit: exit(*r.Ended, ss.id)})
			return true, nil
		case !ss.server.opts.Accounts.Allow(ss.by, account.Reports):
			if dropped++; dropped > maxDropped {
				return false, errors.New("it says too much")
			}
		case r.Said != nil:
			ss.report(ctx, tracker.Report{Kind: tracker.RunSaid, Words: r.Said.words(ss.id)})
		}
	}
}

// tellDropped says what was dropped, and of whom: as a line that this user pays for.
func (ss *session) tellDropped(n int) {
	if n > 0 && ss.server.opts.Accounts.Allow(ss.by, account.Lines) {
		ss.server.opts.Log.Warn("a progressctl exec has said too much: some of it was not told",
			"repo", ss.place.Repo.ID, "uid", ss.by.String(), "lines", n)
	}
}

// runs reports whether the program may still run, so that its silence is no
// reason to end the connection.
func (ss *session) runs() bool {
	return ss.process.Started != 0 && ss.server.opts.Proc.State(ss.process) != downloader.Gone
}

// A reader takes lines of a bounded length, each in a bounded time.
type reader struct {
	c  net.Conn
	in *bufio.Reader
}

func newReader(c net.Conn) *reader { return &reader{c: c, in: bufio.NewReaderSize(c, maxLine)} }

func newFrameBuffer(c net.Conn) *bufio.Reader { return bufio.NewReaderSize(c, maxFrame) }

// errIdle: nothing has come in time, not even the beginning of a line.
var errIdle = errors.New("nothing was said in time")

// line gives the next line, valid until the next call.
func (r *reader) line(within time.Duration) ([]byte, error) {
	if err := r.c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, err
	}
	line, err := r.in.ReadSlice('\n')
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errTooLong
	case errors.Is(err, os.ErrDeadlineExceeded) && len(line) == 0:
		return nil, errIdle
	default:
		return nil, err
	}
}

// answer writes one line.
func answer(c net.Conn, within time.Duration, a any) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return write(c, within, append(line, '\n'))
}

func write(c net.Conn, within time.Duration, text []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	_, err := c.Write(text)
	return err
}

// refuse says why, if the client still listens.
func refuse(c net.Conn, a Answer) {
	a.V = Version
	_ = answer(c, refuseTime, a)
}

// reason is an error for the other end: without addresses.
func reason(err error) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, errIdle):
		return errIdle.Error()
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF):
		return "the connection was closed"
	default:
		return err.Error()
	}
}
