package opener

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

func TestMain(m *testing.M) {
	if len(os.Args) >= 2 && os.Args[1] == Argument {
		os.Exit(Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// started is an opener, which is gone at the end of the test.
func started(tb testing.TB) *Opener {
	tb.Helper()
	o, err := Start()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = o.process.Hang()
		select {
		case <-o.Gone():
		case <-time.After(10 * time.Second):
			tb.Error("the opener goes on without the daemon")
		}
	})
	return o
}

func write(tb testing.TB, text string, path ...string) string {
	tb.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
	return file
}

// in opens a directory, as a look does.
func in(tb testing.TB, o *Opener, path string) fsys.Dir {
	tb.Helper()
	d, err := fsys.OpenUnlinked(o, path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(d.Close)
	return d
}

var listing = strings.Repeat("a", 40) + ".json"

// What a look reads comes as if it had opened it itself.
func TestOpensWhatALookReads(t *testing.T) {
	o, dir := started(t), t.TempDir()
	trees := filepath.Join(dir, "models--org--m", "trees")
	write(t, "a listing", trees, listing)
	f, e, err := in(t, o, trees).OpenRegular(listing)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if text, err := io.ReadAll(f); err != nil || string(text) != "a listing" || e.Size != int64(len(text)) {
		t.Errorf("%q, %v of %d bytes", text, err, e.Size)
	}
	if _, _, err := in(t, o, trees).OpenRegular(strings.Repeat("b", 40) + ".json"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("of what isn't there: %v", err)
	}
	table, err := o.Table("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if text, err := io.ReadAll(table); err != nil || len(text) == 0 {
		t.Errorf("of the users: %q, %v", text, err)
	}
}

// What the opener takes of a processor was charged to nobody.
func TestWhoHasFilesOpenedPays(t *testing.T) {
	o, dir := started(t), t.TempDir()
	trees := filepath.Join(dir, "models--org--m", "trees")
	write(t, "a listing", trees, listing)
	var paid time.Duration
	d, err := fsys.OpenUnlinked(o.For(func(used time.Duration) { paid += used }), trees)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if paid != 0 {
		t.Errorf("%v for directories, which the daemon opens itself", paid)
	}
	for range 3 {
		f, _, err := d.OpenRegular(listing)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if paid != 3*openCost {
		t.Errorf("%v for three files", paid)
	}
}

// Whoever asks may be anybody by now: what isn't a listing or metadata is given to
// nobody, also not by another name or in another's place.
func TestOpensNothingElse(t *testing.T) {
	o, dir := started(t), t.TempDir()
	key := write(t, "a key", dir, "home", ".ssh", "id_ed25519")
	trees := filepath.Join(dir, "models--org--m", "trees")
	if err := os.MkdirAll(trees, 0o755); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(trees, listing)
	if err := os.Symlink(key, linked); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(trees, strings.Repeat("c", 40)+".json"), 0o644); err != nil {
		t.Fatal(err)
	}
	disguise := filepath.Join(dir, "disguise")
	if err := os.Symlink(filepath.Dir(key), disguise); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir, name string
		want      error
	}{
		{filepath.Dir(key), "id_ed25519", unix.EACCES},
		{disguise, "id_ed25519", unix.EACCES},
		{trees, "../../home/.ssh/id_ed25519", unix.EACCES},
		{trees, key, unix.EACCES},
		{trees, listing, unix.ELOOP},
		{trees, strings.Repeat("c", 40) + ".json", unix.ELOOP},
	} {
		fd, err := unix.Open(c.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Openat(fd, c.name, unix.O_RDONLY); !errors.Is(err, c.want) {
			t.Errorf("%s in %s: %v", c.name, c.dir, err)
		}
		_ = unix.Close(fd)
	}
	for _, path := range []string{"/etc/shadow", key, "/etc/../etc/passwd", "passwd"} {
		if _, err := o.Table(path); !errors.Is(err, unix.EACCES) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := o.ask("x", 0, 0, 0); !errors.Is(err, unix.EINVAL) {
		t.Errorf("with too many descriptors: %v", err)
	}
}

// Looks at many roots ask at the same time, and nothing is left open.
func TestManyAskAtOnce(t *testing.T) {
	o, dir := started(t), t.TempDir()
	trees := filepath.Join(dir, "models--org--m", "trees")
	write(t, "a listing", trees, listing)
	d := in(t, o, trees)
	before := open(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 50 {
				f, _, err := d.OpenRegular(listing)
				if err != nil {
					t.Error(err)
					return
				}
				f.Close()
			}
		})
	}
	all.Wait()
	if after := open(t); after > before {
		t.Errorf("%d descriptors are left open", after-before)
	}
}

func open(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// Without the opener a file can't be read, and that is no "not there": nothing is
// concluded from it.
func TestAnOpenerThatHasEnded(t *testing.T) {
	o, dir := started(t), t.TempDir()
	trees := filepath.Join(dir, "models--org--m", "trees")
	write(t, "a listing", trees, listing)
	d := in(t, o, trees)
	if err := o.process.Hang(); err != nil {
		t.Fatal(err)
	}
	<-o.Gone()
	if _, _, err := d.OpenRegular(listing); err == nil || fsys.Absent(err) {
		t.Errorf("it says %v", err)
	}
}

func BenchmarkOpen(b *testing.B) {
	o, dir := started(b), b.TempDir()
	trees := filepath.Join(dir, "models--org--m", "trees")
	write(b, "a listing", trees, listing)
	for name, kernel := range map[string]fsys.Kernel{"opener": o, "itself": fsys.Real{}} {
		b.Run(name, func(b *testing.B) {
			d, err := fsys.OpenUnlinked(kernel, trees)
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			for b.Loop() {
				f, _, err := d.OpenRegular(listing)
				if err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}
