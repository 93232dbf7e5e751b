package fsys

import "testing"

func TestTally(t *testing.T) {
	of := func(names ...string) (sum Tally) {
		for i, name := range names {
			if i%2 == 0 {
				sum.Add(name)
			} else {
				sum.AddBytes([]byte(name))
			}
		}
		return sum
	}
	if of("a", "b", "c") != of("c", "a", "b") {
		t.Error("the order of the names matters")
	}
	for _, other := range [][]string{nil, {"a"}, {"a", "b"}, {"a", "b", "d"}, {"a", "b", "c", "c"}, {"ab", "c", ""}} {
		if of(other...) == of("a", "b", "c") {
			t.Errorf("%q is taken for a, b, c", other)
		}
	}
}
