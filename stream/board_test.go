package stream

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"progressd/account"
	"progressd/downloader"
	"progressd/hfcache"
	"progressd/record"
	"progressd/socket"
	"progressd/tracker"
)

const (
	root, alice, bob, carol = 0, 1000, 1001, 1002
	readers                 = 4 // the group that sees all
)

// seen by a reader who is root.
var all = socket.Reader{UID: root}

// newBoard is one over a cache of alice and one of bob.
func newBoard(change ...func(*Options)) *Board {
	opts := Options{
		Epoch: "e1", Version: "v", Record: func(e tracker.Event) record.Record { return record.Of(e, "said "+e.ID) },
		Rights: Rights{
			User: 990, Groups: func() []int { return []int{readers} }, Public: func() bool { return false },
			Owner: func(path string) int {
				switch {
				case strings.HasPrefix(path, "/alice"):
					return alice
				case strings.HasPrefix(path, "/bob"):
					return bob
				default:
					return -1
				}
			},
		},
	}
	for _, c := range change {
		c(&opts)
	}
	return NewBoard(opts)
}

// A story is one download as the tracker tells of it.
type story struct {
	b    *Board
	root string
	repo hfcache.Repo
	key  string
	seq  int
}

func (b *Board) begin(root, id, key string) *story {
	s := &story{b: b, root: root, repo: hfcache.Repo{Type: hfcache.Model, ID: id}, key: key}
	s.tells(tracker.Preparing)
	return s
}

func (s *story) event(kind tracker.Kind) tracker.Event {
	return tracker.Event{
		ID: fmt.Sprintf("%s-%d", s.key, s.seq), Kind: kind, At: time.Now(), Root: s.root, Repo: s.repo, Log: "a.log", Bytes: int64(s.seq) * 100,
		Revision: "secret", InFlight: []tracker.File{{Name: "secret"}}, Downloader: &downloader.Process{PID: 7, Command: "hf", User: "secret", Unit: "secret", Container: "secret"},
	}
}

// stands publishes how it stands, as the tracker does.
func (s *story) stands(change ...func(*tracker.Standing)) {
	st := tracker.Standing{
		Episode: s.key, Root: s.root, Repo: s.repo, State: tracker.Progress, Began: time.Now(), Grown: time.Now(), Now: s.event(""), Device: 7,
	}
	st.Now.ID, st.Now.Free = "", 5
	for _, c := range change {
		c(&st)
	}
	s.b.Shown(st)
}

func (s *story) tells(kind tracker.Kind) {
	s.seq++
	e := s.event(kind)
	s.stands(func(st *tracker.Standing) { st.Over = record.EndOf(e) != "" })
	s.b.Put(e)
}

// watch gives the backlog in words, and what comes after.
func (b *Board) watch(by socket.Reader, w socket.Watch) (backlog []string, sub *socket.Subscription) {
	repo, _ := hfcache.ParseRepo(w.Model)
	if w.Model == "" {
		repo = hfcache.Repo{}
	}
	sub = b.Subscribe(by, w, repo)
	for _, f := range sub.Backlog {
		backlog = append(backlog, words(f))
	}
	return backlog, sub
}

func words(f *socket.Frame) string {
	switch {
	case f.Watching != nil:
		return fmt.Sprint("watching ", f.Watching.Epoch, " ", f.Watching.Reset)
	case f.Event != nil:
		return f.ID + " " + f.Event.Event + " " + f.Event.Model
	case f.Download != nil:
		return string(f.Download.State) + " " + f.Download.Model
	case f.Gone != "":
		return "gone " + f.Gone
	case f.Live:
		return "live " + f.ID
	default:
		return "nothing"
	}
}

// comes are the frames that wait.
func comes(sub *socket.Subscription) []string {
	var all []string
	for {
		select {
		case f, ok := <-sub.Frames:
			if !ok {
				return append(all, "cut off")
			}
			all = append(all, words(f))
		default:
			return all
		}
	}
}

func want(t *testing.T, got []string, lines ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(lines, "\n") {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

func TestAStreamBeginsWithHowAllStandAndGoesOnWithWhatIsTold(t *testing.T) {
	b := newBoard()
	one := b.begin("/alice", "org/one", "k1")
	done := b.begin("/alice", "org/done", "k2")
	done.tells(tracker.Completed)
	backlog, sub := b.watch(all, socket.Watch{})
	defer sub.End()
	want(t, backlog, "watching e1 false", "completed org/done", "downloading org/one", "live e1-3")
	one.tells(tracker.Progress)
	one.tells(tracker.Stalled)
	want(t, comes(sub), "e1-4 progress org/one", "e1-5 stalled org/one")
	sub.End()
	one.tells(tracker.Completed)
	want(t, comes(sub))
}

func TestLevelsAreForThoseWhoWantThem(t *testing.T) {
	b := newBoard()
	one := b.begin("/alice", "org/one", "k1")
	_, plain := b.watch(all, socket.Watch{})
	if b.Watched() {
		t.Error("nobody watches so closely")
	}
	_, levels := b.watch(all, socket.Watch{Levels: true})
	defer plain.End()
	defer func() {
		if levels.End(); b.Watched() {
			t.Error("nobody watches any more")
		}
	}()
	if !b.Watched() {
		t.Error("somebody watches")
	}
	grows := func(by int64) func(*tracker.Standing) {
		return func(s *tracker.Standing) { s.Now.Bytes += by }
	}
	one.stands(grows(1))
	one.stands(grows(1)) // nothing has changed
	one.stands(grows(2))
	b.Shown(tracker.Standing{Episode: "k1", Over: true, Silent: true})
	want(t, comes(plain), "gone k1")
	want(t, comes(levels), "downloading org/one", "downloading org/one", "gone k1")
	if len(b.open) > 0 {
		t.Errorf("still open: %v", b.open)
	}
}

// What was told last comes with how it stands; of a former life nothing does.
func TestADownloadStandsWithItsLastLine(t *testing.T) {
	b := newBoard()
	s := &story{b: b, root: "/alice", repo: hfcache.Repo{Type: hfcache.Model, ID: "org/one"}, key: "k1", seq: 3}
	s.stands(func(st *tracker.Standing) { st.State = tracker.Interrupted })
	d, ok := b.Standing("/alice", s.repo)
	if !ok || d.State != record.Interrupted || d.ID != "" || d.Event != "" || d.Message != "" || *d.Bytes != 300 || d.Device != "0:7" || *d.FreeBytes != 5 {
		t.Errorf("%+v", d)
	}
	s.tells(tracker.Moving)
	s.stands(func(st *tracker.Standing) { st.Now.Bytes = 777 })
	if d, _ = b.Standing("/alice", s.repo); d.ID != "k1-4" || d.Event != "moving" || d.Message != "said k1-4" || *d.Bytes != 777 || d.State != record.Downloading {
		t.Errorf("%+v", d)
	}
}

func TestWhoMaySeeWhat(t *testing.T) {
	for _, c := range []struct {
		name   string
		by     socket.Reader
		public bool
		full   []string
		seen   []string
	}{
		{"root", socket.Reader{UID: root}, false, []string{"org/a", "org/b"}, nil},
		{"the daemon's own user", socket.Reader{UID: 990}, false, []string{"org/a", "org/b"}, nil},
		{"one who reads the journal", socket.Reader{UID: carol, GIDs: []int{1, readers}}, false, []string{"org/a", "org/b"}, nil},
		{"an owner", socket.Reader{UID: alice, GIDs: []int{1}}, false, []string{"org/a"}, nil},
		{"a stranger", socket.Reader{UID: carol}, false, nil, nil},
		{"an owner, where logs are public", socket.Reader{UID: alice}, true, []string{"org/a"}, []string{"org/b", "org/lost"}},
		{"a stranger, where logs are public", socket.Reader{UID: carol}, true, nil, []string{"org/a", "org/b", "org/lost"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBoard(func(o *Options) { o.Rights.Public = func() bool { return c.public } })
			b.begin("/nobody", "org/lost", "k3")
			stories := []*story{b.begin("/alice/hub", "org/a", "k1"), b.begin("/bob", "org/b", "k2")}
			_, sub := b.watch(c.by, socket.Watch{Since: "0", Levels: true})
			defer sub.End()
			frames := sub.Backlog
			for _, s := range stories {
				s.tells(tracker.Progress)
				s.tells(tracker.Completed)
			}
			b.Put(tracker.Event{Kind: tracker.RootGone, Root: "/bob"})
			for len(sub.Frames) > 0 {
				frames = append(frames, <-sub.Frames)
			}
			got, secrets := map[string]bool{}, map[string]bool{}
			for _, f := range frames {
				text, err := json.Marshal(f)
				if err != nil {
					t.Fatal(err)
				}
				for _, id := range []string{"org/a", "org/b", "org/lost"} {
					if strings.Contains(string(text), id) {
						got[id] = true
						secrets[id] = secrets[id] || strings.Contains(string(text), "secret") || strings.Contains(string(text), `"root"`)
					}
				}
				if f.Event != nil && f.Event.Event == "root-gone" {
					got["root-gone"] = true
				}
			}
			expect := map[string]bool{}
			for _, id := range c.full {
				expect[id] = true
				if !secrets[id] {
					t.Errorf("not all of %s is shown", id)
				}
			}
			for _, id := range c.seen {
				expect[id] = true
				if secrets[id] {
					t.Errorf("too much of %s is shown", id)
				}
			}
			if len(c.full) == 2 {
				expect["root-gone"] = true
				expect["org/lost"] = true
			}
			if fmt.Sprint(got) != fmt.Sprint(expect) {
				t.Errorf("sees %v, want %v", got, expect)
			}
		})
	}
}

func TestOneModelAlone(t *testing.T) {
	b := newBoard()
	one, other := b.begin("/alice", "org/one", "k1"), b.begin("/alice", "org/other", "k2")
	backlog, sub := b.watch(all, socket.Watch{Model: "org/one", Since: "e1-0"})
	defer sub.End()
	want(t, backlog, "watching e1 false", "e1-1 preparing org/one", "downloading org/one", "live e1-2")
	one.tells(tracker.Progress)
	other.tells(tracker.Progress)
	want(t, comes(sub), "e1-3 progress org/one")
}

func TestAReaderThatComesAgainMissesNothing(t *testing.T) {
	b := newBoard()
	one := b.begin("/alice", "org/one", "k1")
	for range 3 {
		one.tells(tracker.Progress)
	}
	one.tells(tracker.Stalled)
	one.tells(tracker.Moving)
	one.tells(tracker.Progress)
	for since, events := range map[string]string{
		"e1-2": "false e1-5 stalled org/one|e1-6 moving org/one|e1-7 progress org/one", // of progress the newest alone
		"e1-7": "false",
		"e1-9": "true e1-1 preparing org/one|e1-5 stalled org/one|e1-6 moving org/one|e1-7 progress org/one",
		"e0-2": "true e1-1 preparing org/one|e1-5 stalled org/one|e1-6 moving org/one|e1-7 progress org/one",
		"junk": "true e1-1 preparing org/one|e1-5 stalled org/one|e1-6 moving org/one|e1-7 progress org/one",
	} {
		backlog, sub := b.watch(all, socket.Watch{Since: since})
		sub.End()
		lines := []string{"watching e1 " + strings.Fields(events)[0]}
		if _, rest, ok := strings.Cut(events, " "); ok {
			lines = append(lines, strings.Split(rest, "|")...)
		}
		want(t, backlog, append(lines, "downloading org/one", "live e1-7")...)
	}
}

func TestTheRingIsBoundedAndKeepsVerdicts(t *testing.T) {
	b := newBoard()
	one := b.begin("/alice", "org/one", "k1")
	one.tells(tracker.Interrupted) // 2
	for range ringSize + 100 {
		one.tells(tracker.Restarted)
	}
	if n := len(b.ring.items); n != ringSize {
		t.Errorf("%d are kept", n)
	}
	if first := b.ring.items[0]; first.record.Event != "interrupted" {
		t.Errorf("the verdict is gone; first is %v", first.record.Event)
	}
	backlog, sub := b.watch(all, socket.Watch{Since: "e1-1"})
	sub.End()
	if backlog[0] != "watching e1 true" {
		t.Errorf("what is lost isn't said: %s", backlog[0])
	}
	backlog, sub = b.watch(all, socket.Watch{Since: fmt.Sprint("e1-", b.ring.lost)})
	sub.End()
	if backlog[0] != "watching e1 false" {
		t.Errorf("all is there: %s", backlog[0])
	}
	if from := sub.Backlog[0].Watching.From; from != fmt.Sprint("e1-", b.ring.lost) {
		t.Errorf("all is known from %s on", from)
	}
	// Verdicts alone: the oldest goes.
	for range ringSize + 1 {
		one.tells(tracker.Interrupted)
	}
	if n := len(b.ring.items); n != ringSize || b.ring.items[0].seq < 1000 {
		t.Errorf("%d are kept, from %d", n, b.ring.items[0].seq)
	}
}

func TestASlowReaderIsCutOff(t *testing.T) {
	b := newBoard()
	one := b.begin("/alice", "org/one", "k1")
	_, slow := b.watch(all, socket.Watch{Levels: true})
	_, other := b.watch(all, socket.Watch{})
	defer slow.End()
	defer other.End()
	for i := range maxBehind {
		one.stands(func(s *tracker.Standing) { s.Now.Bytes = int64(i + 1000) })
	}
	if n := len(slow.Frames); n != maxBehind/2 {
		t.Errorf("%d levels wait: they push out what is told", n)
	}
	for range maxBehind/2 + 1 {
		one.tells(tracker.Restarted)
		comes(other)
	}
	if got := comes(slow); got[len(got)-1] != "cut off" {
		t.Errorf("%d frames, the last %q", len(got), got[len(got)-1])
	}
	one.tells(tracker.Completed)
	want(t, comes(other), fmt.Sprintf("e1-%d completed org/one", b.seq))
}

func TestWhatHasEndedIsShownForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		former := tracker.Event{
			ID: "k0-9", Kind: tracker.Ended, At: time.Now().Add(-23 * time.Hour), Root: "/alice", Repo: hfcache.Repo{Type: hfcache.Model, ID: "org/former"},
		}
		older := former
		older.Repo.ID, older.At = "org/older", former.At.Add(-2*time.Hour)
		b := newBoard(func(o *Options) { o.Ended = []tracker.Event{older, former} })
		shows := func(lines ...string) {
			t.Helper()
			backlog, sub := b.watch(all, socket.Watch{})
			sub.End()
			want(t, backlog[1:len(backlog)-1], lines...)
		}
		shows("ended org/former")
		b.begin("/alice", "org/done", "k1").tells(tracker.Completed)
		shows("completed org/done", "ended org/former")
		<-time.After(2 * time.Hour)
		shows("completed org/done")
		// What goes on again is shown once.
		b.begin("/alice", "org/done", "k2")
		shows("downloading org/done")
		<-time.After(24 * time.Hour)
		shows("downloading org/done")
		for i := range maxEnded + 1 {
			b.begin("/alice", fmt.Sprint("org/m", i), fmt.Sprint("m", i)).tells(tracker.Completed)
		}
		if n := len(b.ended); n != maxEnded {
			t.Errorf("%d are kept", n)
		}
	})
}

// A download whose last line is about to be told is shown as it stood.
func TestWhatEndsIsNeverMissing(t *testing.T) {
	b := newBoard()
	one := b.begin("/alice", "org/one", "k1")
	one.stands(func(s *tracker.Standing) { s.Over = true })
	backlog, sub := b.watch(all, socket.Watch{})
	defer sub.End()
	want(t, backlog[1:2], "downloading org/one")
	one.seq++
	b.Put(one.event(tracker.Completed))
	want(t, comes(sub), "e1-2 completed org/one")
	if _, ok := b.Standing("/alice", one.repo); ok {
		t.Error("it still goes on")
	}
}

// What all get is made once.
func TestAFrameIsMadeOnceForAllWhoSeeTheSame(t *testing.T) {
	b := newBoard(func(o *Options) { o.Rights.Public = func() bool { return true } })
	one := b.begin("/alice", "org/one", "k1")
	var subs []*socket.Subscription
	for _, by := range []socket.Reader{all, {UID: alice}, {UID: bob}} {
		_, sub := b.watch(by, socket.Watch{})
		t.Cleanup(sub.End)
		subs = append(subs, sub)
	}
	one.tells(tracker.Progress)
	full, own, public := <-subs[0].Frames, <-subs[1].Frames, <-subs[2].Frames
	if full != own || full == public || public.Event.Root != "" {
		t.Errorf("%p %p %p %+v", full, own, public, public.Event)
	}
}

// One user's models, finished as fast as can be, took what is kept of all: neither
// was another's shown any more, nor told to who came again.
func TestWhoHasTheMostLosesWhatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		ends := func(root, id string, owner account.User) {
			s := b.begin(root, id, id)
			e := s.event(tracker.Completed)
			e.Tenant = tracker.Tenant{Root: root, Owner: owner}
			s.seq++
			b.Put(e)
		}
		ends("/alice", "org/hers", alice)
		for i := range 2 * ringSize {
			ends("/bob", fmt.Sprint("org/m", i), bob)
		}
		backlog, sub := b.watch(socket.Reader{UID: alice}, socket.Watch{})
		sub.End()
		want(t, backlog[1:len(backlog)-1], "completed org/hers")
		if n := len(b.ended); n != maxEnded {
			t.Errorf("%d are kept", n)
		}
		kept := slices.ContainsFunc(b.ring.items, func(i *item) bool { return i.root == "/alice" && i.verdict })
		if n := len(b.ring.items); n != ringSize || !kept {
			t.Errorf("of %d events her verdict is none", n)
		}
	})
}
