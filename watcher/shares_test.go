package watcher

import "testing"

// One user with as many repositories as the kernel lets be watched left nothing for
// others.
func TestWatchesAreSharedByUsers(t *testing.T) {
	s := shares{all: 160, by: make(map[int]int)}
	takes := func(owner int) (n int) {
		for s.take(owner) {
			n++
		}
		return n
	}
	if n := takes(1001); n != 140 {
		t.Errorf("the first user watches %d of 160", n)
	}
	if n := takes(1002); n != 18 {
		t.Errorf("the second user watches %d of the last 20", n)
	}
	if n := takes(1003); n != 2 {
		t.Errorf("the third user watches %d of the last 2", n)
	}
	for range 10 {
		s.give(1001)
	}
	if n := takes(1002); n == 0 {
		t.Error("what was given back is nobody's")
	}
	unknown := shares{by: make(map[int]int)}
	for range 1000 {
		if !unknown.take(1001) {
			t.Fatal("refused, though the limit isn't known")
		}
	}
}
