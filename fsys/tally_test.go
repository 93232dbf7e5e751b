package fsys

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTally(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(Real{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := os.Mkdir(filepath.Join(dir, "blobs"), 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(names ...string) Tally {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(dir, "blobs")); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(dir, "blobs"), 0o755); err != nil {
			t.Fatal(err)
		}
		var sum Tally
		for _, name := range names {
			sum.Add(name)
			if err := os.WriteFile(filepath.Join(dir, "blobs", name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := d.Tally("blobs"); got != sum {
			t.Errorf("%q: the directory gives %x, its names %x", names, got, sum)
		}
		return sum
	}
	abc := put("a", "b", "c")
	if put("c", "a", "b") != abc {
		t.Error("the order of the names matters")
	}
	for _, other := range [][]string{nil, {"a"}, {"a", "b"}, {"a", "b", "d"}, {"a", "b", "c", "d"}, {"ab", "c"}} {
		if put(other...) == abc {
			t.Errorf("%q is taken for a, b, c", other)
		}
	}
	if d.Tally("nowhere") != 0 {
		t.Error("what isn't there has names")
	}
}
