package stream

import (
	"testing"
	"testing/synctest"
	"time"

	"progressd/hfcache"
	"progressd/socket"
	"progressd/tracker"
	"progressd/untrusted"
)

func TestWhatIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		one := b.begin("/alice", "org/one", "k1")
		one.seq = 5
		one.stands() // 500 bytes, of which nobody knows how many were there before
		one.seq = 9  // received: 100 to 1100, and 0 to 400
		fresh := b.begin("/alice", "org/fresh", "k2")
		fresh.stands()
		fresh.seq = 3
		fresh.tells(tracker.Started)
		one.tells(tracker.Interrupted)
		one.tells(tracker.Completed)
		orphans := one.event(tracker.OrphansFound)
		orphans.ID, orphans.Lost = "x-orphans", 77
		b.Put(orphans)
		f := b.Facts(all)
		if f.Version != "v" || f.Started.IsZero() || f.Finished["completed"] != 1 || f.Finished["interrupted"] != 1 || f.Finished["removed"] != 0 || len(f.Finished) != 5 {
			t.Errorf("%+v", f)
		}
		want := socket.RootFacts{Path: "/alice", Received: 1400, Leftover: 77}
		if len(f.Roots) != 1 || f.Roots[0] != want {
			t.Errorf("%+v, want %+v", f.Roots, want)
		}
		b.Put(tracker.Event{Kind: tracker.RootGone, Root: "/bob"})
		if f := b.Facts(all); len(f.Roots) != 2 || f.Roots[1] != (socket.RootFacts{Path: "/bob"}) {
			t.Errorf("%+v", f.Roots)
		}
		b.Put(tracker.Event{Kind: tracker.RootBack, Root: "/bob"})
		for _, by := range []socket.Reader{{UID: alice}, {UID: carol}} {
			if f := b.Facts(by); f != nil {
				t.Errorf("%d knows %+v", by.UID, f)
			}
		}
		if b.Facts(socket.Reader{UID: carol, GIDs: []int{readers}}) == nil {
			t.Error("who reads the journal doesn't know")
		}
		<-time.After(leftoverFor + time.Minute) // they would have been told anew
		if f := b.Facts(all); f.Roots[0].Leftover != 0 {
			t.Errorf("%+v", f.Roots)
		}
	})
}

// One user with as many roots as are counted, and as many leftovers, left nothing for
// others.
func TestWhatIsCountedIsBounded(t *testing.T) {
	b := newBoard()
	b.Put(tracker.Event{Kind: tracker.OrphansFound, Root: "/bob", At: time.Now(), Lost: 5})
	b.Put(tracker.Event{Kind: tracker.RootGone, Root: "/bob"})
	for i := range maxCounted + 10 {
		root := "/alice/\x1b" + string(rune('a'+i%26)) + time.Duration(i).String()
		b.Shown(tracker.Standing{Episode: root, Root: root, Repo: hfcache.Repo{Type: hfcache.Model, ID: "org/a"}})
		b.Shown(tracker.Standing{Episode: root, Root: root, Repo: hfcache.Repo{Type: hfcache.Model, ID: "org/a"}, Now: tracker.Event{Bytes: 1}})
		b.Put(tracker.Event{Kind: tracker.OrphansFound, Root: root, At: time.Now(), Lost: 1})
	}
	f := b.Facts(all)
	if len(b.tally.roots) != maxCounted || len(b.tally.leftover) != maxCounted {
		t.Errorf("%d roots, %d leftovers", len(b.tally.roots), len(b.tally.leftover))
	}
	if last := f.Roots[len(f.Roots)-1]; last != (socket.RootFacts{Path: "/bob", Leftover: 5}) || !b.tally.roots["/bob"].gone {
		t.Errorf("another user's: %+v", last)
	}
	for _, root := range f.Roots[:3] {
		if root.Path != untrusted.Printable(root.Path) {
			t.Errorf("%q", root.Path)
		}
	}
}
