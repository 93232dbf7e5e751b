//go:build !race

package fsys

import "testing"

// TestCostsNoMemory: a look at a million names must not leave as many pieces
// of garbage. (The race detector has a sync.Pool forget at random.)
func TestCostsNoMemory(t *testing.T) {
	path, top := tempDir(t)
	write(t, path+"/sub/file", "")
	sub, err := top.Sub("sub")
	must(t, err)
	defer sub.Close()
	for name, call := range map[string]struct {
		do    func()
		limit float64 // one is the name, as the system call wants it
	}{
		"Lstat":  {func() { _, _ = sub.Lstat("file") }, 1},
		"Stat":   {func() { _, _ = sub.Stat() }, 0},
		"Statfs": {func() { _, _ = sub.Statfs() }, 0},
		"Names":  {func() { _ = sub.Names(func(string) bool { return true }) }, 0},
	} {
		if got := testing.AllocsPerRun(100, call.do); got > call.limit {
			t.Errorf("%s allocates %v times", name, got)
		}
	}
}
