package daemon

import (
	"os"
	"testing"
	"time"

	"progressd/internal/client"
	"progressd/socket"
	"progressd/untrusted"
	"progressd/watcher"
)

func TestTheDaemonTellsHowItFares(t *testing.T) {
	g := newRig(t, "hub", "gone")
	g.start()
	g.download(0, client.Trees)
	for end := time.Now().Add(patient); g.ask.Facts(socket.Reader{UID: 0}).Finished["completed"] == 0; <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no verdict is counted")
		}
	}
	f := g.ask.Facts(socket.Reader{UID: 0})
	if f.Resident < mb || f.Files < 3 || f.CPUMilliseconds < 0 || f.Dropped["model log"] != 0 || len(f.Dropped) == 0 {
		t.Errorf("%+v", f)
	}
	if len(f.Roots) != 2 || f.Roots[0].Path != untrusted.Name(g.roots[1]) || !f.Roots[0].Up || !f.Roots[1].Up || f.Roots[1].Received < mb {
		t.Errorf("%+v", f.Roots)
	}
	if f := g.ask.Facts(socket.Reader{UID: os.Geteuid() + 4711}); f != nil {
		t.Errorf("a stranger knows %+v", f)
	}
}

func TestARootIsUpWhileItIsLookedAfter(t *testing.T) {
	f := &socket.Facts{}
	now := time.Now()
	addRoots(f, []watcher.RootStatus{
		{Path: "/a", Pattern: "/*", Present: true, BusySince: now},
		{Path: "/b", Pattern: "/b"},
		{Path: "/c", Pattern: "/*", Present: true, BusySince: now.Add(-2 * refreshEvery)},
		{Path: "/d", Pattern: "/*", Present: true, Failing: os.ErrPermission},
		{Path: "/home/*/x", Pattern: "/home/*/x"},
	})
	want := []socket.RootFacts{{Path: "/a", Up: true}, {Path: "/c"}, {Path: "/d"}}
	if len(f.Roots) != len(want) {
		t.Fatalf("%+v", f.Roots)
	}
	for i := range want {
		if f.Roots[i] != want[i] {
			t.Errorf("%+v, want %+v", f.Roots[i], want[i])
		}
	}
}
