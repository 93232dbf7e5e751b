package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"progressd/hfcache"
	"progressd/record"
	"progressd/socket"
	"progressd/stream"
	"progressd/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// A daemon is what shows: lives of it follow each other.
type daemon struct {
	t     *testing.T
	dir   string
	board *stream.Board
	stop  func()
	life  int
	seq   int
	ended []tracker.Event
}

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "pd") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &daemon{t: t, dir: dir}
}

func (d *daemon) path() string { return filepath.Join(d.dir, socket.Name) }

// start begins a life.
func (d *daemon) start() {
	d.t.Helper()
	d.life++
	d.board = stream.NewBoard(stream.Options{
		Epoch: fmt.Sprint("e", d.life), Version: fmt.Sprint("v", d.life), Ended: d.ended,
		Record: func(e tracker.Event) record.Record { return record.Of(e, "said "+e.ID) },
		Rights: stream.Rights{
			User: os.Geteuid(), Groups: func() []int { return nil },
			Owner: func(string) int { return -1 }, Public: func() bool { return false },
		},
	})
	server := socket.NewServer(socket.Options{Streams: answers{d.board}, Log: slog.New(slog.DiscardHandler)})
	l, err := socket.Listen(d.dir, 0o700)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(ctx, l) }()
	var once sync.Once
	d.stop = func() {
		once.Do(func() {
			stop()
			<-done
			_ = l.Close()
		})
	}
	d.t.Cleanup(d.stop)
}

type answers struct{ *stream.Board }

func (a answers) Facts(by socket.Reader) *socket.Facts { return a.Board.Facts(by) }

func (answers) Answer(socket.Reader, hfcache.Repo, <-chan struct{}) []socket.Answered {
	return []socket.Answered{{Download: record.Download{State: record.Completed}}}
}

// tells has something told of a download, by its key and model.
func (d *daemon) tells(kind tracker.Kind, model string, bytes int64) tracker.Event {
	d.seq++
	e := tracker.Event{
		ID: fmt.Sprintf("%s-%d", strings.ReplaceAll(model, "/", "."), d.seq), Kind: kind, At: time.Now(), Root: "/r",
		Repo: hfcache.Repo{Type: hfcache.Model, ID: model}, Bytes: bytes, Log: "x.log",
	}
	d.stands(model, bytes, func(s *tracker.Standing) { s.Over = record.EndOf(e) != "" })
	d.board.Put(e)
	if record.EndOf(e) != "" {
		d.ended = append(d.ended, e)
	}
	return e
}

func (d *daemon) stands(model string, bytes int64, change ...func(*tracker.Standing)) {
	s := tracker.Standing{
		Episode: strings.ReplaceAll(model, "/", "."), Root: "/r", Repo: hfcache.Repo{Type: hfcache.Model, ID: model}, State: tracker.Progress,
		Now: tracker.Event{At: time.Now(), Root: "/r", Repo: hfcache.Repo{Type: hfcache.Model, ID: model}, Bytes: bytes},
	}
	for _, c := range change {
		c(&s)
	}
	d.board.Shown(s)
}

// A listener hears by Follow.
type listener struct {
	t    *testing.T
	news chan Update
	stop func()
	err  chan error
	view View
}

func (d *daemon) follow(wish Wish) *listener {
	d.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &listener{t: d.t, news: make(chan Update, 1000), err: make(chan error, 1), stop: stop}
	if wish.Sockets == nil {
		wish.Sockets = []string{filepath.Join(d.dir, "none.sock"), d.path()}
	}
	go func() {
		l.err <- Follow(ctx, wish, func(u Update) error { l.news <- u; return nil })
	}()
	d.t.Cleanup(func() {
		stop()
		if err := <-l.err; !errors.Is(err, context.Canceled) {
			d.t.Errorf("%v", err)
		}
	})
	return l
}

// next is the next Update in words, but for lost ones after the first.
func (l *listener) next() string {
	l.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case u := <-l.news:
			if was := l.view.Lost; was != nil && u.Lost != nil {
				continue
			}
			l.view.Apply(u)
			return words(u)
		case <-timeout:
			l.t.Fatal("nothing is heard")
		}
	}
}

func words(u Update) string {
	switch {
	case u.Standing != nil:
		text := fmt.Sprint("standing ", u.Standing.Version, " ", u.Standing.Reset)
		for _, d := range u.Standing.Downloads {
			text += fmt.Sprint(", ", d.State, " ", d.Model)
		}
		return text
	case u.Event != nil:
		return u.Event.Event + " " + u.Event.Model + " of " + u.Key
	case u.Level != nil:
		return fmt.Sprint("level ", u.Level.Model, " ", *u.Level.Bytes)
	case u.Gone != "":
		return "gone " + u.Gone
	case u.Lost != nil:
		return "lost"
	default:
		return "nothing"
	}
}

func (l *listener) hears(lines ...string) {
	l.t.Helper()
	for _, want := range lines {
		if got := l.next(); got != want {
			l.t.Fatalf("heard %q, want %q", got, want)
		}
	}
}

func TestOneFollowsWhatHappens(t *testing.T) {
	d := newDaemon(t)
	d.start()
	d.tells(tracker.Preparing, "org/a", 0)
	l := d.follow(Wish{Levels: true})
	l.hears("standing v1 false, downloading org/a")
	d.stands("org/a", 5)
	d.tells(tracker.Progress, "org/a", 10)
	d.tells(tracker.Completed, "org/a", 20)
	l.hears("level org/a 5", "level org/a 10", "progress org/a of org.a", "completed org/a of org.a")
	if all := l.view.Downloads(); len(all) != 1 || all[0].State != record.Completed || *all[0].Bytes != 20 {
		t.Errorf("%+v", all)
	}
}

func TestThePastComesFirst(t *testing.T) {
	d := newDaemon(t)
	d.start()
	d.tells(tracker.Preparing, "org/a", 0)
	d.tells(tracker.Stalled, "org/a", 0)
	d.tells(tracker.Preparing, "org/b", 0)
	d.follow(Wish{Past: true}).hears("preparing org/a of org.a", "stalled org/a of org.a", "preparing org/b of org.b",
		"standing v1 false, downloading org/a, downloading org/b")
	d.follow(Wish{Past: true, Model: "org/b"}).hears("preparing org/b of org.b", "standing v1 false, downloading org/b")
}

// Nothing is heard twice, and no end is missed, over restarts.
func TestOneGoesOnOverRestarts(t *testing.T) {
	d := newDaemon(t)
	d.start()
	d.tells(tracker.Preparing, "org/a", 0)
	d.tells(tracker.Preparing, "org/b", 0)
	l := d.follow(Wish{})
	l.hears("standing v1 false, downloading org/a, downloading org/b")
	d.tells(tracker.Stalled, "org/a", 10)
	l.hears("stalled org/a of org.a")
	board := d.board
	d.stop()
	l.hears("lost")
	if l.view.Lost == nil || len(l.view.Downloads()) != 2 {
		t.Errorf("%+v", l.view)
	}
	// From the first moment it is said who doesn't answer, and what to do.
	if none := new(NobodyError); !errors.As(l.view.Lost.Err, &none) || !strings.Contains(none.Error(), "it has closed the connection") {
		t.Errorf("lost: %v", l.view.Lost.Err)
	}
	d.board = board
	d.tells(tracker.Completed, "org/b", 20) // nobody hears it
	d.start()
	d.stands("org/a", 30)
	l.hears("completed org/b of org.b", "standing v2 true, downloading org/a, completed org/b")
	if l.view.Lost != nil || l.view.Version != "v2" {
		t.Errorf("%+v", l.view)
	}
	d.tells(tracker.Completed, "org/a", 40)
	l.hears("completed org/a of org.a")
	d.stop()
	l.hears("lost")
	d.start()
	l.hears("standing v3 true, completed org/a, completed org/b")
}

// A connection that breaks is not a restart: what was told meanwhile comes, and
// nothing was missed.
func TestOneGoesOnOverABrokenConnection(t *testing.T) {
	d := newDaemon(t)
	d.start()
	d.tells(tracker.Preparing, "org/a", 0)
	front := filepath.Join(d.dir, "front.sock")
	cut := relay(t, front, d.path())
	l := d.follow(Wish{Sockets: []string{front}})
	l.hears("standing v1 false, downloading org/a")
	d.tells(tracker.Stalled, "org/a", 5)
	l.hears("stalled org/a of org.a")
	cut()
	d.tells(tracker.Moving, "org/a", 6)
	l.hears("lost", "moving org/a of org.a", "standing v1 false, downloading org/a")
}

// relay passes connections on. What it returns cuts those that there are.
func relay(t *testing.T, from, to string) (cut func()) {
	t.Helper()
	l, err := net.Listen("unix", from)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	var all sync.WaitGroup
	pass := func(a, b net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := a.Read(buf)
			if err != nil {
				break
			}
			_, _ = b.Write(buf[:n])
		}
		_, _ = a.Close(), b.Close()
	}
	all.Go(func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("unix", to)
			if err != nil {
				_ = a.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, a, b)
			mu.Unlock()
			all.Go(func() { pass(a, b) })
			all.Go(func() { pass(b, a) })
		}
	})
	cut = func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range conns {
			_ = c.Close()
		}
		conns = nil
	}
	t.Cleanup(func() { _ = l.Close(); cut(); all.Wait() })
	return cut
}

func TestWhoHearsMayEndIt(t *testing.T) {
	d := newDaemon(t)
	d.start()
	odd := errors.New("odd")
	for give, want := range map[error]error{ErrStop: nil, odd: odd} {
		if err := Follow(context.Background(), Wish{Sockets: []string{d.path()}}, func(Update) error { return give }); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		d.stop()
		if err := Follow(context.Background(), Wish{Sockets: []string{d.path()}}, func(u Update) error {
			if u.Lost == nil || u.Lost.Since.IsZero() {
				t.Errorf("%+v", u)
			}
			return give
		}); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		d.start()
	}
}

func TestWhereNobodyAnswersItIsSaid(t *testing.T) {
	d := newDaemon(t)
	nobody := new(NobodyError)
	_, err := Ask(context.Background(), []string{d.path(), "/none/x.sock"}, "org/a")
	if !errors.As(err, &nobody) {
		t.Fatalf("%v", err)
	}
	if want := fmt.Sprintf("no progressd answers at %q: no such file or directory, nor at \"/none/x.sock\": no such file or directory", d.path()); err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	if _, err := Ask(context.Background(), nil, "org/a"); err == nil || !strings.Contains(err.Error(), "--socket") {
		t.Errorf("%v", err)
	}
	d.start()
	if all, err := Ask(context.Background(), []string{"/none/x.sock", d.path()}, "org/a"); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := Ask(context.Background(), []string{d.path()}, "../x"); err == nil || !strings.Contains(err.Error(), "model is no repository") {
		t.Errorf("%v", err)
	}
}
