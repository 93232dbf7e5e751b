package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestGroupsAreFoundByName(t *testing.T) {
	file := filepath.Join(t.TempDir(), "group")
	if err := os.WriteFile(file, []byte("root:x:0:\nsystemd-journal:x:101:\nsystemd-journal-remote:x:102:\nbad\nsystemd-journal:x:odd:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := groupsNamed(os.Open, file, journalReaders); !slices.Equal(got, []int{101}) {
		t.Errorf("%v", got)
	}
	if got := groupsNamed(os.Open, file+"x", journalReaders); got != nil {
		t.Errorf("%v", got)
	}
}

func TestWhetherEverybodyReadsTheLogs(t *testing.T) {
	base, err := os.MkdirTemp("/tmp", "progressd") //nolint:usetesting // t.TempDir is beneath a directory that is private
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	dir := filepath.Join(base, "parent", "log")
	link := filepath.Join(base, "link")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		parent, dir os.FileMode
		umask       int
		want        bool
	}{
		{"as it is shipped", 0o755, 0o755, 0o022, true},
		{"its parent can be passed through", 0o711, 0o755, 0o022, true},
		{"for a group", 0o755, 0o750, 0o022, false},
		{"it can be entered, not listed", 0o755, 0o751, 0o022, false},
		{"a home that is private", 0o700, 0o755, 0o022, false},
		{"files are private", 0o755, 0o755, 0o077, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			old := syscall.Umask(c.umask)
			defer syscall.Umask(old)
			for path, mode := range map[string]os.FileMode{base: 0o755, filepath.Dir(dir): c.parent, dir: c.dir} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			if readByAll(dir) != c.want || readByAll(link) != c.want {
				t.Errorf("%v, by a link %v, want %v", readByAll(dir), readByAll(link), c.want)
			}
		})
	}
	if readByAll(filepath.Join(base, "none")) || readByAll("") {
		t.Error("what isn't there is read by all")
	}
}

func TestTheLastLinesOfALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	long := strings.Repeat(strings.Repeat("x", 99)+"\n", 100)
	for text, want := range map[string][]string{
		"":                                    {},
		"one\n":                               {"one"},
		"1\n2\n3\n4\n5\n6\n7\n":               {"3", "4", "5", "6", "7"},
		"1\nnot ended":                        {"1", "not ended"},
		"hostile \x1b[31m\u202e\n":            {`"hostile \x1b[31m\u202e"`},
		long + "last\n":                       {long[:99], long[:99], long[:99], long[:99], "last"},
		strings.Repeat("y", maxTail+9) + "\n": {},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := tailOf(path)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("of %.20q: %q, %v", text, got, err)
		}
	}
	link := path + "x"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if got, err := tailOf(link); err == nil {
		t.Errorf("through a link: %q", got)
	}
	if err := syscall.Mkfifo(path+"y", 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := tailOf(path + "y"); err == nil && len(got) > 0 {
		t.Errorf("of a pipe: %q", got)
	}
}
