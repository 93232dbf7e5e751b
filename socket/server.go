package socket

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"progressd/account"
	"progressd/downloader"
	"progressd/hfcache"
	"progressd/record"
	"progressd/tracker"
)

// Watched is where a download is that the daemon watches.
type Watched struct {
	hfcache.Place
	// Owner is the user whose root that is, by number, -1 if unknown.
	Owner int
}

// Errors of Options.Find.
var (
	// ErrUnwatched: no root of this daemon is meant.
	ErrUnwatched = errors.New("this progressd does not watch that cache")
	// ErrNotYet: it will be watched when it is there and was found.
	ErrNotYet = errors.New("that cache is not watched yet")
)

// Options are what a Server is made of. All fields are needed where
// nothing else is said.
type Options struct {
	// Find gives the download that a run is about, or one of the errors
	// above. It neither opens nor looks up what the run names.
	Find func(Run) (Watched, error)
	// Name gives the name of its log file, by which its lines are known. It
	// is asked only for those who may report on it.
	Name func(Watched) string
	// Report hands a report over to the tracker; what there is on disk is
	// added to that of an end. Ask has a download looked at soon.
	Report func(context.Context, tracker.Report)
	Ask    func(Watched)
	// Line renders an event for the client.
	Line func(tracker.Event) string
	// Peer tells who is at the other end; nil asks the kernel.
	Peer func(*net.UnixConn) (Peer, error)
	// Streams are what is shown to those who watch and ask; nil: nothing.
	Streams Streams
	// Groups tells the groups of the user at the other end; nil asks the kernel.
	Groups func(*net.UnixConn) []int
	// Proc is /proc, if it is empty.
	Proc downloader.ProcDir
	// Accounts are those that connections, and what is said, are charged to; nil:
	// there is no bound.
	Accounts *account.Book
	Log      *slog.Logger
}

// maxMissed bounds the verdicts that nobody has heard.
var maxMissed = int(account.Unheard.Limit().All)

// How long the other end may take. A connection costs two goroutines and some 40 KB,
// whether it reports, watches or asks.
const (
	helloTime = 5 * time.Second
	writeTime = 5 * time.Second
	// refuseTime is what a client that isn't let in may cost the others.
	refuseTime = 10 * time.Millisecond
)

// Server takes reports of runs and gives back the lines that they lead to.
// Serve may be called for several listeners at once.
type Server struct {
	opts Options

	mu   sync.Mutex
	runs map[string]*session // by log file
	// levels counts the runs whose clients want to know how they stand.
	levels atomic.Int64
	// missed are the newest verdicts that were told while nobody was there
	// to hear them: a client that comes again may be owed one.
	missed map[string]missed
}

// missed is a verdict that nobody has heard.
type missed struct {
	line  string
	about tracker.Tenant
}

// NewServer returns a Server. It starts nothing.
func NewServer(opts Options) *Server {
	if opts.Peer == nil {
		opts.Peer = peer
	}
	if opts.Groups == nil {
		opts.Groups = peerGroups
	}
	if opts.Proc == "" {
		opts.Proc = downloader.ProcDir("/proc")
	}
	return &Server{opts: opts, runs: make(map[string]*session), missed: make(map[string]missed)}
}

// A listener is a *net.UnixListener.
type listener interface {
	AcceptUnix() (*net.UnixConn, error)
	SetDeadline(t time.Time) error
}

// Serve accepts connections until ctx is done, then ends all of them. The
// listener stays open: what connects meanwhile waits for the next Serve.
func (s *Server) Serve(ctx context.Context, l listener) error {
	if err := l.SetDeadline(time.Time{}); err != nil {
		return err
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_ = l.SetDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() { // or the next Serve might be woken by it
			<-woken
		}
	}()
	var all sync.WaitGroup
	defer all.Wait()
	var failures int
	for ctx.Err() == nil {
		c, err := l.AcceptUnix()
		switch {
		case err == nil:
			failures = 0
			s.admit(ctx, &all, c)
		case ctx.Err() != nil:
		case errors.Is(err, net.ErrClosed):
			return err
		default: // out of descriptors: it is over some time
			if failures++; failures == 1 {
				s.opts.Log.Warn("cannot take a connection of progressctl exec: it is tried again until it works", "err", err)
			}
			rest(ctx, min(time.Second, 5*time.Millisecond<<min(failures, 10)))
		}
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// admit takes a connection in, if there is room for it and its user.
func (s *Server) admit(ctx context.Context, all *sync.WaitGroup, c *net.UnixConn) {
	by, err := s.opts.Peer(c)
	if err != nil {
		_ = c.Close()
		return
	}
	who := account.User(by.UID)
	if err := s.enter(who); err != nil {
		refuse(c, Answer{Refused: err.Error(), Later: errors.Is(err, errOften)})
		_ = c.Close()
		return
	}
	all.Go(func() {
		defer func() {
			_ = c.Close()
			s.opts.Accounts.Give(who, account.Connections, 1)
		}()
		// A stop ends all waiting for the client.
		stop := context.AfterFunc(ctx, func() { _ = c.Close() })
		defer stop()
		s.attend(ctx, c, by)
	})
}

var (
	errCrowded = errors.New("too many connections")
	errOften   = errors.New("too many connections in a row: try again later")
)

// enter charges a connection to a user, unless it has too many.
func (s *Server) enter(who account.User) error {
	if !s.opts.Accounts.Allow(who, account.Hellos) {
		return errOften
	}
	if !s.opts.Accounts.Take(who, account.Connections, 1) {
		return errCrowded
	}
	return nil
}

// attend serves one connection to its end.
func (s *Server) attend(ctx context.Context, c *net.UnixConn, by Peer) {
	in := newReader(c)
	line, err := in.line(helloTime)
	if err != nil {
		refuse(c, Answer{Refused: reason(err)})
		return
	}
	h, err := readHello(line)
	if err != nil {
		refuse(c, Answer{Refused: err.Error()})
		return
	}
	if h.Watch != nil || h.Ask != nil || h.Facts {
		s.read(ctx, c, h, by.UID)
		return
	}
	run, err := h.run()
	if err != nil {
		refuse(c, Answer{Refused: err.Error()})
		return
	}
	ss, err := s.begin(c, run, by)
	if err != nil {
		later := errors.Is(err, ErrNotYet) || errors.Is(err, errTaken)
		s.opts.Log.Debug("a run is not taken", "repo", run.Repo.ID, "uid", by.UID, "err", err)
		refuse(c, Answer{Refused: err.Error(), Later: later})
		return
	}
	ss.serve(ctx, in)
}

var (
	// errTaken: of one download one run is told at a time; the first.
	errTaken   = errors.New("another run of that download is being told")
	errForeign = errors.New("that cache belongs to another user")
	errProcess = errors.New("that process belongs to another user")
)

// begin finds what a run is about, and whether its reporter may speak of it.
func (s *Server) begin(c net.Conn, run Run, by Peer) (*session, error) {
	place, err := s.opts.Find(run)
	if err != nil {
		return nil, err
	}
	if by.UID != 0 && by.UID != place.Owner {
		return nil, errForeign
	}
	process, err := s.process(run, by)
	if err != nil {
		return nil, err
	}
	ss := newSession(s, c, place, process, run)
	ss.by = account.User(by.UID)
	ss.log = s.opts.Name(place)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs[ss.log] != nil {
		return nil, errTaken
	}
	s.runs[ss.log] = ss
	if run.Levels {
		s.levels.Add(1)
	}
	ss.send(Answer{V: Version, Taken: true})
	if m, ok := s.missed[ss.log]; ok && run.Again && !otherRoot(m.about, place) {
		ss.send(Answer{Line: m.line})
	}
	delete(s.missed, ss.log)
	return ss, nil
}

// deafen has verdicts kept for the one who comes again.
func (s *Server) deafen(ss *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ss.deaf = true
}

func (s *Server) end(ss *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, ss.log)
	if ss.run.Levels {
		s.levels.Add(-1)
	}
}

// Put gives an event to the client whose run it is about, if there is one. It
// never waits: a client that doesn't read loses its connection. It is an
// outlet of the ledger.
func (s *Server) Put(e tracker.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ss := s.runs[e.Log]
	if ss != nil && otherRoot(e.Tenant, ss.place) {
		ss = nil // the log has its name from another root by now
	}
	switch {
	case ss != nil && !ss.deaf:
		ss.send(Answer{Line: s.opts.Line(e)})
	case e.Verdict():
		s.miss(e)
	}
}

// otherRoot reports whether what is known to be about one root is not about that
// place.
func otherRoot(about tracker.Tenant, at Watched) bool {
	return about.Root != "" && about.Root != at.Root
}

// miss keeps a verdict. Where there are too many, those of the user of whom most
// are kept go.
func (s *Server) miss(e tracker.Event) {
	if len(s.missed) >= maxMissed {
		most := account.MostOf(s.opts.Accounts, maps.Values(s.missed), func(m missed) account.User { return m.about.Owner })
		maps.DeleteFunc(s.missed, func(_ string, m missed) bool { return s.opts.Accounts.Whose(m.about.Owner) == most })
	}
	s.missed[e.Log] = missed{s.opts.Line(e), e.Tenant}
}

// Watched reports whether a client that reports wants to know each second how
// its download stands.
func (s *Server) Watched() bool { return s.levels.Load() > 0 }

// Shown gives those who report on a download how it stands, if they want to know.
// It never waits.
func (s *Server) Shown(root string, repo hfcache.Repo, standing func() record.Download) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ss := range s.runs {
		if ss.run.Levels && !ss.deaf && ss.place.Root == root && ss.place.Repo == repo && len(ss.out) < cap(ss.out)/2 {
			d := standing()
			ss.send(Answer{Download: &d})
		}
	}
}

// Over is told when all is said of a run whose end was reported, and all its
// events were Put.
func (s *Server) Over(root string, repo hfcache.Repo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ss := range s.runs {
		if ss.place.Root == root && ss.place.Repo == repo {
			ss.conclude()
		}
	}
}
