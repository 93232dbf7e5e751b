package socket

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"progressd/account"
	"progressd/hfcache"
	"progressd/record"
)

// shows is a Streams that the test plays.
type shows struct {
	mu      sync.Mutex
	by      []Reader
	wishes  []Watch
	repos   []hfcache.Repo
	frames  []chan *Frame
	ended   chan int // the number of a subscription
	answers []Answered
	facts   *Facts
	aborted chan struct{}
}

func (s *shows) Subscribe(by Reader, w Watch, repo hfcache.Repo) *Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.frames)
	s.by, s.wishes, s.repos = append(s.by, by), append(s.wishes, w), append(s.repos, repo)
	s.frames = append(s.frames, make(chan *Frame, 4))
	return &Subscription{
		Backlog: []*Frame{{V: Version, Watching: &Watching{Epoch: "e"}}, {ID: "e-1", Live: true}},
		Frames:  s.frames[n], End: func() { s.ended <- n },
	}
}

func (s *shows) Answer(by Reader, repo hfcache.Repo, abort <-chan struct{}) []Answered {
	s.mu.Lock()
	s.by, s.repos = append(s.by, by), append(s.repos, repo)
	answers := s.answers
	s.mu.Unlock()
	if answers == nil {
		<-abort
		close(s.aborted)
	}
	return answers
}

func (s *shows) Facts(by Reader) *Facts {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by = append(s.by, by)
	return s.facts
}

func (s *shows) frame(n int) chan *Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.frames[n]
}

// showing is a rig that shows something.
func showing(t *testing.T) (*rig, *shows) {
	t.Helper()
	g := newRig(t)
	g.end()
	s := &shows{ended: make(chan int, 100), aborted: make(chan struct{}), answers: []Answered{}}
	g.server.opts.Streams = s
	g.server.opts.Groups = func(*net.UnixConn) []int { return []int{7, 8} }
	g.serve()
	return g, s
}

func (g *rig) watch(w Watch) (*Stream, error) {
	s, err := OpenStream(context.Background(), g.path, w)
	if s != nil {
		g.t.Cleanup(s.Close)
	}
	return s, err
}

func (g *rig) watching(w Watch) *Stream {
	g.t.Helper()
	s, err := g.watch(w)
	if err != nil {
		g.t.Fatal(err)
	}
	for {
		f, err := s.Next()
		if err != nil {
			g.t.Fatal(err)
		}
		if f.Live {
			return s
		}
	}
}

func (s *shows) awaitEnd(t *testing.T) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Fatal("the subscription is not given up")
	}
}

func TestAReaderGetsWhatIsShownUntilItHangsUp(t *testing.T) {
	g, shown := showing(t)
	w := Watch{Since: "e-0", Model: "datasets/org/name", Levels: true}
	s := g.watching(w)
	if shown.by[0].UID != 1000 || !slices.Equal(shown.by[0].GIDs, []int{7, 8}) || shown.wishes[0] != w ||
		shown.repos[0] != (hfcache.Repo{Type: hfcache.Dataset, ID: "org/name"}) {
		t.Errorf("%+v %+v %+v", shown.by, shown.wishes, shown.repos)
	}
	n := int64(5)
	shown.frame(0) <- &Frame{ID: "e-2", Key: "k", Event: &record.Record{ID: "k-1", Event: "progress", Bytes: &n, Model: "org/name"}}
	f, err := s.Next()
	if err != nil || f.ID != "e-2" || f.Key != "k" || f.Event.Event != "progress" || *f.Event.Bytes != 5 {
		t.Errorf("%+v, %v", f, err)
	}
	s.Close()
	shown.awaitEnd(t)
}

func TestAReaderThatIsCutOffIsHungUpOn(t *testing.T) {
	g, shown := showing(t)
	s := g.watching(Watch{})
	close(shown.frame(0))
	if f, err := s.Next(); err == nil {
		t.Errorf("%+v", f)
	}
	shown.awaitEnd(t)
	// So is one who says much, though nothing is asked.
	s = g.watching(Watch{})
	go func() {
		for range 10 {
			_, _ = s.c.Write([]byte(strings.Repeat("x", maxLine)))
		}
	}()
	if f, err := s.Next(); err == nil {
		t.Errorf("%+v", f)
	}
	shown.awaitEnd(t)
}

// What a stream begins with comes soon, or the daemon hangs; after that there
// may be nothing to tell for days.
func TestADaemonThatHangsIsNotWaitedFor(t *testing.T) {
	g := newRig(t)
	g.end()
	go func() {
		c, err := g.l.AcceptUnix()
		if err != nil {
			return
		}
		_, _ = c.Write([]byte(`{"v":1,"watching":{"epoch":"e"}}` + "\n"))
		t.Cleanup(func() { _ = c.Close() })
	}()
	_ = g.l.SetDeadline(time.Time{})
	s, err := g.watch(Watch{})
	if err != nil {
		t.Fatal(err)
	}
	if s.within != takeTime {
		t.Errorf("frames may take %v", s.within)
	}
	s.within = 10 * time.Millisecond // as if it had passed
	if f, err := s.Next(); err != nil || f.Watching == nil {
		t.Errorf("%+v, %v", f, err)
	}
	if f, err := s.Next(); !errors.Is(err, errIdle) {
		t.Errorf("%+v, %v", f, err)
	}
	g.l.Close()
	ready, _ := showing(t)
	if s := ready.watching(Watch{}); s.within != forever {
		t.Errorf("frames may take %v", s.within)
	}
}

func TestAStopEndsAllReaders(t *testing.T) {
	g, shown := showing(t)
	for range 3 {
		g.watching(Watch{})
	}
	g.end()
	for range 3 {
		shown.awaitEnd(t)
	}
}

func TestAQuestionIsAnswered(t *testing.T) {
	g, shown := showing(t)
	ask := func() ([]Answered, error) { return AskAt(context.Background(), g.path, "org/name") }
	if all, err := ask(); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	shown.answers = []Answered{
		{Download: record.Download{State: record.Completed, Record: record.Record{Model: "org/name", Proof: "listing"}}, Lines: []string{"a", "b"}},
		{Download: record.Download{State: record.Partial}},
	}
	all, err := ask()
	if err != nil || len(all) != 2 || all[0].State != record.Completed || all[0].Proof != "listing" || len(all[0].Lines) != 2 || all[1].State != record.Partial {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestWhoAsksAndHangsUpIsLookedForNoLonger(t *testing.T) {
	g, shown := showing(t)
	shown.answers = nil
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := AskAt(ctx, g.path, "org/name")
		done <- err
	}()
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(time.Millisecond) {
		shown.mu.Lock()
		asked := len(shown.by)
		shown.mu.Unlock()
		if asked > 0 {
			break
		}
	}
	stop()
	if err := <-done; err == nil {
		t.Error("it was answered")
	}
	select {
	case <-shown.aborted:
	case <-time.After(patience):
		t.Error("it is looked for")
	}
}

func TestWhatIsNoQuestionIsRefused(t *testing.T) {
	g, shown := showing(t)
	for line, why := range map[string]string{
		`{"v":2,"watch":{}}`:               "version 2",
		`{"v":1,"watch":{"model":"../x"}}`: "model is no repository",
		`{"v":1,"ask":{}}`:                 "model is no repository",
		`{"v":1,"ask":{"model":"a--b"}}`:   "model is no repository",
		`{"v":1,"watch":[]}`:               "not a line of the protocol",
		`{"v":1}`:                          "not known",
		`{"v":1,"ask":{"model":"` + strings.Repeat("x", maxLine) + `"}}`: "too long",
	} {
		if a := g.raw(line + "\n"); !strings.Contains(a, `"refused":"`) || !strings.Contains(a, why) {
			t.Errorf("%.60s: %q", line, a)
		}
	}
	if len(shown.by) > 0 {
		t.Errorf("somebody was shown something: %v", shown.by)
	}
	g.end()
	g.server.opts.Streams = nil
	g.serve()
	refused := new(RefusedError)
	if _, err := g.watch(Watch{}); !errors.As(err, &refused) || refused.Later {
		t.Errorf("%v", err)
	}
}

// Who watches or asks has a connection as who reports has.
func TestReadersAreBounded(t *testing.T) {
	g, shown := showing(t)
	g.end()
	budgets(&g.server.opts)
	g.serve()
	refused := new(RefusedError)
	full := func() {
		t.Helper()
		if _, err := g.watch(Watch{}); !errors.As(err, &refused) || refused.Why != errCrowded.Error() {
			t.Errorf("%v", err)
		}
		if _, err := AskAt(context.Background(), g.path, "org/name"); !errors.As(err, &refused) || refused.Why != errCrowded.Error() {
			t.Errorf("%v", err)
		}
	}
	most := int(account.Connections.Limit().All / 4)
	var first *Stream
	for i := range most {
		s := g.watching(Watch{})
		if i == 0 {
			first = s
		}
	}
	g.rested(1000)
	full()
	first.Close()
	shown.awaitEnd(t)
	g.counts(1000, most-1)
	g.watching(Watch{})
	full()
	g.as(3000)
	g.watching(Watch{})
}

// The kernel's word on our own groups.
func TestThePeersGroupsAreThoseOfTheProcess(t *testing.T) {
	g, shown := showing(t)
	g.end()
	g.server.opts.Groups = peerGroups
	g.serve()
	g.watching(Watch{})
	all, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, os.Getegid())
	slices.Sort(all)
	if got := shown.by[0].GIDs; !slices.Equal(got, slices.Compact(all)) {
		t.Errorf("%v, want %v", got, all)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte(`{"v":1,"watching":{"epoch":"e"}}`))
	f.Add([]byte(`{"id":"e-1","event":{"bytes":0,"percent":81.3}}`))
	f.Add([]byte(`{"id":"\u001b","event":{"model":"\u001b[31m\u202e","percent":1,"in_flight":[{"name":"\n"}]}}`))
	f.Add([]byte(`{"answer":{"state":"completed","lines":["a"]}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		frame, err := parseFrame(line)
		if err != nil {
			return
		}
		again, err := json.Marshal(frame)
		if err != nil {
			return // a time that can't be said
		}
		// Of what may be shown JSON escapes quotes and <>& alone.
		if shown := regexp.MustCompile(`\\(["\\]|u00(3c|3e|26))`).ReplaceAllString(string(again), ""); strings.Contains(shown, `\`) || odd(strings.ReplaceAll(shown, " ", "")) {
			t.Errorf("%s", again)
		}
	})
}

func FuzzWish(f *testing.F) {
	f.Add([]byte(`{"v":1,"watch":{"since":"e-1","model":"org/name"}}`))
	f.Add([]byte(`{"v":1,"ask":{"model":"datasets/org/name"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		h, err := readHello(line)
		if err != nil || h.Watch == nil && h.Ask == nil {
			return
		}
		repo, err := h.wish()
		if err == nil && repo.ID != "" && odd(repo.ID) {
			t.Errorf("%+v", repo)
		}
	})
}

func TestFactsAreForThoseWhoMayKnowThem(t *testing.T) {
	g, shown := showing(t)
	if f, err := FactsAt(t.Context(), g.path); f != nil || err != nil {
		t.Errorf("%+v, %v", f, err)
	}
	shown.facts = &Facts{Version: "v\x1b", Finished: map[string]int64{"completed": 3}, Dropped: map[string]int64{"jour\nnal": 1}, Roots: []RootFacts{{Path: "/r\x07", Up: true, Received: 5}}}
	f, err := FactsAt(t.Context(), g.path)
	if err != nil || f.Version != "v?" || f.Finished["completed"] != 3 || f.Dropped["jour?nal"] != 1 || f.Roots[0] != (RootFacts{Path: "/r?", Up: true, Received: 5}) {
		t.Errorf("%+v, %v", f, err)
	}
	if shown.by[0].UID != 1000 {
		t.Errorf("%+v", shown.by)
	}
	if _, err := FactsAt(t.Context(), g.path+".none"); err == nil {
		t.Error("none is there, and it answers")
	}
}

// Levels come in bursts, for which nothing that was told waits; the order stays.
func TestLevelsWaitForOthersAndEventsForNothing(t *testing.T) {
	g, shown := showing(t)
	s := g.watching(Watch{Levels: true})
	frames := shown.frame(0)
	level := (&Frame{Download: &record.Download{Key: "k", Record: record.Record{Model: "org/a"}}}).Seal()
	frames <- level
	began := time.Now()
	if f, err := s.Next(); err != nil || f.Download.Key != "k" {
		t.Fatalf("%+v, %v", f, err)
	}
	if waited := time.Since(began); waited < levelsWait/2 {
		t.Errorf("a level alone comes after %v", waited)
	}
	frames <- level
	frames <- &Frame{ID: "e-2", Event: &record.Record{Model: "org/b"}}
	for _, want := range []string{"org/a", "org/b"} {
		f, err := s.Next()
		if err != nil || f.Download != nil && f.Download.Model != want || f.Event != nil && f.Event.Model != want {
			t.Fatalf("%+v, %v, want %s", f, err, want)
		}
	}
}
