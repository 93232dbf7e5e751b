package sink

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"progressd/account"
	"progressd/tracker"
)

// fake is a sink that fails as it is told, by lane.
type fake struct {
	mu    sync.Mutex
	fail  map[string]error
	lines []string
	tries []time.Time
	hang  chan struct{}
	deaf  bool
}

func (f *fake) Name() string                { return "fake" }
func (f *fake) Lane(e tracker.Event) string { return e.Log }

func (f *fake) Write(ctx context.Context, e tracker.Event) error {
	f.mu.Lock()
	hang, deaf := f.hang, f.deaf
	f.mu.Unlock()
	if deaf {
		<-hang
	} else if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries = append(f.tries, time.Now())
	if err := f.fail[e.Log]; err != nil {
		return err
	}
	text := e.ID
	if e.Kind == tracker.LinesLost {
		text = Message(e)
	}
	f.lines = append(f.lines, e.Log+" "+text)
	return nil
}

// written are the lines that were written so far.
func (f *fake) written() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.lines)
}

func (f *fake) set(log string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[log] = err
}

func (f *fake) block(hang chan struct{}, deaf bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hang, f.deaf = hang, deaf
}

func (f *fake) want(t *testing.T, lines ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.lines, lines) {
		t.Errorf("written %q, want %q", f.lines, lines)
	}
}

// rig is a running queue in a bubble of synctest.
type rig struct {
	*fake
	*Queue
	*diagnostics
	stop func()
}

func newRig(t *testing.T, capacity int) *rig {
	t.Helper()
	return newRigFor(t, capacity, nil)
}

func newRigFor(t *testing.T, capacity int, accounts *account.Book) *rig {
	t.Helper()
	f, d := &fake{fail: map[string]error{}}, &diagnostics{}
	r := &rig{fake: f, diagnostics: d, Queue: NewQueue(f, capacity, accounts, d.logger())}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	synctest.Wait()
	return r
}

// put adds events of a log by their ids; one that begins with "!" is a verdict.
func (r *rig) put(log string, ids ...string) { r.putFor(0, log, ids...) }

func (r *rig) putFor(u account.User, log string, ids ...string) {
	for _, id := range ids {
		kind := tracker.Progress
		if id[0] == '!' {
			kind = tracker.Completed
		}
		r.Put(tracker.Event{ID: id, Kind: kind, Log: log, Repo: ocr, Tenant: tracker.Tenant{Owner: u}})
	}
	synctest.Wait()
}

func pass(d time.Duration) {
	<-time.After(d) // the bubble's time, not ours
	synctest.Wait()
}

func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func TestQueue(t *testing.T) {
	bubble(t, "passes events on in order", func(t *testing.T) {
		r := newRig(t, 10)
		r.put("a", "1", "2")
		r.put("b", "3")
		r.put("a", "4")
		r.want(t, "a 1", "a 2", "b 3", "a 4")
	})
	bubble(t, "tries again after 0.2 s, at last every 5 s", backOff)
	bubble(t, "says once that it fails, and that it works", saidOnce)
	bubble(t, "does not let a broken lane hold up another", brokenLane)
	bubble(t, "drops the oldest first, verdicts last", dropOrder)
	bubble(t, "drops from failing lanes first", dropFailing)
	bubble(t, "tells of a gap alone", gapAlone)
	bubble(t, "writes what is left at the end", drain)
	bubble(t, "ends although a lane fails", endFailing)
	bubble(t, "ends although a write waits", func(t *testing.T) { endHung(t, false) })
	bubble(t, "ends although a write hangs", func(t *testing.T) { endHung(t, true) })
	bubble(t, "says that a write hangs", hung)
	bubble(t, "serves users in turn", inTurn)
	bubble(t, "drops from the user with the most", dropFromMost)
	bubble(t, "writes no more of a user than its budget", withinBudget)
}

// inTurn: a user with many logs to write doesn't hold up one with a line (the
// queue was one for all, first come first served).
func inTurn(t *testing.T) {
	r := newRig(t, 100)
	hang := make(chan struct{})
	r.block(hang, false)
	for i := range 9 {
		r.putFor(1, fmt.Sprint("m", i), "1", "!2")
	}
	r.putFor(2, "v", "1", "!2")
	r.putFor(3, "w", "1")
	close(hang)
	pass(0)
	if want := []string{"m0 1", "v 1", "w 1", "m0 !2", "v !2", "m1 1"}; !slices.Equal(r.lines[:len(want)], want) {
		t.Errorf("written %q, want first %q", r.lines, want)
	}
	if len(r.lines) != 21 {
		t.Errorf("%d lines of 21", len(r.lines))
	}
}

func dropFromMost(t *testing.T) {
	var said diagnostics
	accounts := account.NewBook(nil, said.logger())
	r := newRigFor(t, 8, accounts)
	hang := make(chan struct{})
	r.block(hang, false)
	r.putFor(1, "x", "0")
	r.putFor(2, "v", "1", "2", "!3")
	r.putFor(1, "m", "!1", "!2", "!3", "!4", "!5", "!6", "!7", "!8")
	close(hang)
	pass(0)
	var victims []string
	for _, line := range r.written() {
		if line[0] == 'v' {
			victims = append(victims, line)
		}
	}
	if !slices.Equal(victims, []string{"v 1", "v 2", "v !3"}) || !slices.Contains(r.written(), "m 4 lines lost: too many at once") {
		t.Errorf("written %q", r.written())
	}
	if got := accounts.Over(); !slices.Equal(got, []string{"uid 1: lines that wait"}) {
		t.Errorf("over: %q", got)
	}
}

func withinBudget(t *testing.T) {
	limit := account.Lines.Limit()
	r := newRigFor(t, 10_000, account.NewBook(nil, (&diagnostics{}).logger()))
	count := func() (n int64) {
		for _, line := range r.written() {
			if line[0] == 'm' {
				n++
			}
		}
		return n
	}
	for i := range 2 * limit.Burst {
		r.Put(tracker.Event{ID: fmt.Sprint(i), Log: "m", Tenant: tracker.Tenant{Owner: 1}})
	}
	pass(0)
	if got := count(); got != limit.Burst {
		t.Errorf("at once: %d lines, want %d", got, limit.Burst)
	}
	r.putFor(2, "v", "1")
	if !slices.Contains(r.written(), "v 1") {
		t.Error("another user has to wait")
	}
	pass(2 * time.Second)
	if got := count() - limit.Burst; got < 2*limit.Rate-1 || got > 2*limit.Rate+1 {
		t.Errorf("in 2 s: %d lines, want %d", got, 2*limit.Rate)
	}
}

// A stream of many models says whose lines are missing from it.
func TestAGapInAStreamNamesTheUser(t *testing.T) {
	l := newLanes("journal", 1, func(tracker.Event) string { return "" })
	for i := range 3 {
		e := progressOf(int64(i))
		e.Tenant.Owner = 1001
		l.put(e)
	}
	jobs, _ := l.next(at, 1)
	if got := Message(jobs[0].event); got != "2 lines lost: too many at once, of uid 1001" {
		t.Error(got)
	}
}

func backOff(t *testing.T) {
	r := newRig(t, 10)
	r.set("a", errors.New("broken"))
	began := time.Now()
	r.put("a", "1")
	pass(30 * time.Second)
	var got []time.Duration
	for _, at := range r.tries {
		got = append(got, at.Sub(began))
	}
	const ms = time.Millisecond
	want := []time.Duration{0, 200 * ms, 600 * ms, 1400 * ms, 3000 * ms, 6200 * ms,
		11200 * ms, 16200 * ms, 21200 * ms, 26200 * ms}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("tried at %v, want %v", got, want)
	}
}

func saidOnce(t *testing.T) {
	r := newRig(t, 10)
	for round := range 2 {
		for _, log := range []string{"a", "b", "c"} {
			r.set(log, syscall.ENOSPC)
			r.put(log, "1", "2")
		}
		pass(time.Minute)
		if _, _, err := r.Status(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("status: %v", err)
		}
		for _, log := range []string{"a", "b", "c"} {
			r.set(log, nil)
		}
		pass(time.Minute)
		if r.count("WARN") != round+1 || r.count("INFO") != round+1 {
			t.Errorf("said %s", r.text.String())
		}
	}
	if queued, lost, err := r.Status(); queued != 0 || lost != 0 || err != nil {
		t.Errorf("status: %d %d %v", queued, lost, err)
	}
}

func brokenLane(t *testing.T) {
	r := newRig(t, 10)
	r.set("a", &RefusedError{Path: "/logs/a", Why: "a symbolic link"})
	r.set("c", &RefusedError{Path: "/logs/c", Why: "a directory"})
	r.put("a", "1", "!2")
	r.put("b", "3", "!4")
	r.put("c", "5")
	r.put("b", "6")
	r.want(t, "b 3", "b !4", "b 6")
	if r.count("WARN") != 2 {
		t.Errorf("each refused log is to be named: %s", r.text.String())
	}
	r.set("a", nil)
	pass(time.Minute)
	r.want(t, "b 3", "b !4", "b 6", "a 1", "a !2")
	if r.count("INFO") != 1 {
		t.Errorf("said %s", r.text.String())
	}
}

// dropOrder: with a hung sink, "1" is out of the queue already.
func dropOrder(t *testing.T) {
	r := newRig(t, 4)
	hang := make(chan struct{})
	r.block(hang, false)
	r.put("a", "1")
	r.put("a", "!2", "3", "4", "!5", "6", "7", "!8", "!9", "10", "!11")
	if queued, lost, _ := r.Status(); queued != 4 || lost != 7 {
		t.Errorf("%d queued, %d lost", queued, lost)
	}
	close(hang)
	pass(0)
	r.want(t, "a 1", "a 7 lines lost: too many at once", "a !8", "a !9", "a !11")
}

// dropFailing: "4" of the failing lane is newer than "3", and goes first all the
// same.
func dropFailing(t *testing.T) {
	r := newRig(t, 5)
	r.set("a", fmt.Errorf("cannot write %q: %w", "x", syscall.ENOSPC))
	r.put("a", "1")
	hang := make(chan struct{})
	r.block(hang, false)
	r.put("b", "2")
	r.put("b", "3")
	r.put("a", "4", "!5")
	r.put("b", "6", "7")
	r.set("a", nil)
	close(hang)
	pass(time.Minute)
	r.want(t, "b 2", "b 3", "b 6", "b 7", "a 2 lines lost: no space left on device", "a !5")
}

func gapAlone(t *testing.T) {
	r := newRig(t, 2)
	r.set("a", &RefusedError{Why: "a symbolic link"})
	r.put("a", "1")
	hang := make(chan struct{})
	r.block(hang, false)
	r.put("b", "2")
	r.put("b", "3")
	r.set("a", nil)
	close(hang)
	pass(time.Minute)
	r.want(t, "b 2", "b 3", "a 1 line lost: the log was a symbolic link")
}

func drain(t *testing.T) {
	r := newRig(t, 10)
	hang := make(chan struct{})
	r.block(hang, false)
	r.put("a", "1", "2")
	go func() {
		<-time.After(drainTime / 2)
		r.Put(tracker.Event{ID: "3", Log: "a"})
		close(hang)
	}()
	r.stop()
	r.want(t, "a 1", "a 2", "a 3")
	if r.count("WARN") != 0 {
		t.Errorf("said %s", r.text.String())
	}
}

func endFailing(t *testing.T) {
	r := newRig(t, 10)
	r.set("a", errors.New("broken"))
	r.put("a", "1", "2")
	began := time.Now()
	r.stop()
	if took := time.Since(began); took > 2*drainTime {
		t.Errorf("took %v", took)
	}
	if queued, _, _ := r.Status(); queued != 2 || r.count("WARN") != 2 {
		t.Errorf("%d left, said %s", queued, r.text.String())
	}
}

func endHung(t *testing.T, deaf bool) {
	r := newRig(t, 10)
	hang := make(chan struct{})
	r.block(hang, deaf)
	r.put("a", "1", "2")
	began := time.Now()
	r.stop()
	if took := time.Since(began); took < drainTime || took > 2*drainTime {
		t.Errorf("took %v", took)
	}
	if queued, _, _ := r.Status(); queued != 2 || r.count("WARN") != 1 {
		t.Errorf("%d left, said %s", queued, r.text.String())
	}
	close(hang)
}

func hung(t *testing.T) {
	r := newRig(t, 2)
	hang := make(chan struct{})
	r.block(hang, true)
	r.put("a", "1")
	r.put("a", "2", "3")
	pass(hangTime + time.Second)
	if _, _, err := r.Status(); !errors.Is(err, errHung) || r.count("WARN") != 1 {
		t.Errorf("status %v, said %s", err, r.text.String())
	}
	r.put("a", "4", "5")
	close(hang)
	pass(0)
	if _, _, err := r.Status(); err != nil || r.count("INFO") != 1 {
		t.Errorf("status %v, said %s", err, r.text.String())
	}
	r.want(t, "a 1", "a 3 lines lost: the write does not return", "a 5")
}

// plainSink is no Laner.
type plainSink struct{ fake *fake }

func (p plainSink) Name() string { return "plain" }
func (p plainSink) Write(ctx context.Context, e tracker.Event) error {
	return p.fake.Write(ctx, e)
}

func TestSinkWithoutLanesKeepsAllInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{fail: map[string]error{"a": errors.New("broken")}}
		q := NewQueue(plainSink{f}, 10, nil, (&diagnostics{}).logger())
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- q.Run(ctx) }()
		q.Put(tracker.Event{ID: "1", Log: "a"})
		q.Put(tracker.Event{ID: "2", Log: "b"})
		synctest.Wait()
		f.want(t)
		f.set("a", nil)
		pass(time.Second)
		f.want(t, "a 1", "b 2")
		cancel()
		<-done
	})
}
