package downloader

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPIDsOfOtherNamespacesAreLookedUp(t *testing.T) {
	proc := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// 100 is on this machine itself; 200 in a container, with two threads that
	// have started 301 and 302, and 303, which has made a namespace once more.
	write("100/status", "Name:\texec\nNSpid:\t100\n")
	write("200/status", "Name:\texec\nNSpid:\t200\t1\n")
	write("200/task/200/children", "301 303 ")
	write("200/task/201/children", "302 nonsense 304")
	write("301/status", "NSpid:\t301\t7\n")
	write("302/status", "NSpid:\t302\t8\n")
	write("303/status", "NSpid:\t303\t9\t8\n")
	write("304/status", "NSpid:\t304\t10\n")
	write("400/status", "Name:\told kernel\n")
	for _, test := range []struct {
		name                string
		reporter, pid, want int
	}{
		{"of this namespace", 100, 7, 7},
		{"of a container", 200, 7, 301},
		{"by another thread", 200, 8, 302},
		{"in a namespace once more", 200, 9, 0},
		{"has ended, or is another's child", 200, 100, 0},
		{"behind what isn't understood", 200, 10, 0},
		{"a reporter that can't be seen", 0, 7, 0},
		{"a kernel that doesn't say", 400, 7, 7},
		{"a reporter that has ended", 500, 7, 7},
	} {
		if got := ProcDir(proc).Here(test.reporter, test.pid); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}
