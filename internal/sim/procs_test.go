package sim

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/internal/simfs"
)

// TestAFileThatIsLockedKeepsItsNumber removes a lock file while it is held: what is made
// next is another file, as long as it is.
func TestAFileThatIsLockedKeepsItsNumber(t *testing.T) {
	w := newWorld(1)
	open := func(name string) *simfs.File {
		t.Helper()
		f, err := w.fs.Create("/"+name, 0o644, simfs.Trunc)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	var st unix.Stat_t
	one, two := w.procs.spawn(nil, owner, "one"), &process{}
	held := open("lock")
	number := held.Inode()
	if w.fs.Lstat("/lock", &st) != nil || !w.procs.lock(one, held, st.Dev) {
		t.Fatal("nobody holds it, and it can't be had")
	}
	if w.procs.lock(two, open("lock"), st.Dev) {
		t.Fatal("two hold one lock")
	}
	if err := w.fs.Remove("/lock"); err != nil {
		t.Fatal(err)
	}
	next := open("next")
	if next.Inode() == number {
		t.Errorf("%d is the number of a file that is locked, and of another one", number)
	}
	w.procs.exit(one)
	if after := open("after"); after.Inode() != number {
		t.Errorf("%d isn't used again when its file is gone", number)
	}
}

// TestHowLongLocksWereHeld counts them until some time, those that a client died with
// until then.
func TestHowLongLocksWereHeld(t *testing.T) {
	began := time.Unix(1000, 0)
	after := func(d time.Duration) time.Time { return began.Add(d) }
	r := &record{client: &client{process: &process{}}}
	r.holds = []*span{{from: began, to: after(time.Second)}, {from: after(2 * time.Second)}}
	expect := func(at time.Time, together, longest time.Duration) {
		t.Helper()
		if sum, most := r.held(at); sum != together || most != longest {
			t.Errorf("until %v held %v together, %v the longest; expected %v, %v", at.Sub(began), sum, most, together, longest)
		}
	}
	expect(after(500*time.Millisecond), 500*time.Millisecond, 500*time.Millisecond)
	expect(after(2*time.Second), time.Second, time.Second)
	expect(after(5*time.Second), 4*time.Second, 3*time.Second)
	r.deadAt = after(4 * time.Second)
	expect(after(5*time.Second), 3*time.Second, 2*time.Second)
}
