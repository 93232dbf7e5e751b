package sink

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
	"progressd/tracker"
)

const (
	line350  = "[10:01:15 PM] [INFO] Downloaded 350MB...\n"
	line550  = "[10:01:15 PM] [INFO] Downloaded 550MB...\n"
	lineDone = "[10:01:15 PM] [SUCCESS] Model downloaded successfully\n"
)

func TestLogHoldsTheUsersLines(t *testing.T) {
	out := newMemory()
	m, _ := newLog(t, out)
	write(t, m,
		event(tracker.Preparing, "1"), event(tracker.Started, "2"), progressOf(350e6), event(tracker.Completed, "4"))
	wantFile(t, filepath.Join(m.dir, ocrLog),
		"[10:01:15 PM] [INFO] Preparing to download model: deepseek-ai/deepseek-ocr\n"+
			"[10:01:15 PM] [INFO] Downloading model (this may take 10-60 minutes)\n"+
			line350+lineDone)
	if out.written["4 log"] != 1 || len(out.written) != 1 {
		t.Errorf("confirmed: %v", out.written)
	}
}

func TestLogOfStyleAndStamp(t *testing.T) {
	m, _ := newLog(t, newMemory())
	m.form = Form{Text: Detailed, Stamp: RFC3339}
	write(t, m, with(tracker.Progress, func(e *tracker.Event) { e.Bytes, e.Rate = 350e6, 12_100_000 }))
	wantFile(t, filepath.Join(m.dir, ocrLog), "["+RFC3339(at)+"] [INFO] Downloaded 350MB... (12.1MB/s)\n")
}

func TestEventsOfARootHaveNoLog(t *testing.T) {
	m, _ := newLog(t, newMemory())
	write(t, m, tracker.Event{Kind: tracker.RootGone, Root: "/mnt"})
	if _, err := os.Stat(m.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was made for it: %v", err)
	}
}

func TestLogNamesThatAreNoneAreRefused(t *testing.T) {
	m, _ := newLog(t, newMemory())
	for _, name := range []string{"", ".", "..", "../x.log", "a/b.log", ".hidden", "a\x00b"} {
		e := progressOf(1)
		e.Log = name
		if err := m.Write(context.Background(), e); !refused(err) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// testTwoLogs: two ids that look alike keep their own files.
func testTwoLogs(t *testing.T) {
	m, _ := newLog(t, newMemory())
	data := progressOf(550e6)
	data.Repo, data.Log = hfcache.Repo{Type: hfcache.Dataset, ID: ocr.ID}, "deepseek-ai--deepseek-ocr@dataset.log"
	write(t, m, progressOf(350e6), data)
	wantFile(t, filepath.Join(m.dir, ocrLog), line350)
	wantFile(t, filepath.Join(m.dir, data.Log), line550)
}

func testLogDirRemoved(t *testing.T) {
	m, _ := newLog(t, newMemory())
	write(t, m, progressOf(350e6))
	if err := os.RemoveAll(m.dir); err != nil {
		t.Fatal(err)
	}
	write(t, m, progressOf(550e6))
	wantFile(t, filepath.Join(m.dir, ocrLog), line550)
}

// testDiskFull uses a file system of two pages.
func testDiskFull(t *testing.T) {
	needRoot(t)
	m, _ := newLog(t, newMemory())
	if err := os.Mkdir(m.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", m.dir, "tmpfs", 0, "size=8k"); err != nil {
		t.Skip("cannot mount a small file system: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(m.dir, unix.MNT_DETACH) })
	ballast := filepath.Join(m.dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	written := 0
	var err error
	for ; err == nil; written++ {
		err = m.Write(context.Background(), progressOf(350e6))
	}
	if !errors.Is(err, unix.ENOSPC) || written < 2 {
		t.Fatalf("after %d lines: %v", written, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	write(t, m, progressOf(550e6))
	whole := 4096 / len(line350)
	wantFile(t, filepath.Join(m.dir, ocrLog), strings.Repeat(line350, whole)+line350[:4096%len(line350)]+"\n"+line550)
}

func testReadOnly(t *testing.T) {
	needRoot(t)
	m, _ := newLog(t, newMemory())
	if err := os.Mkdir(m.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", m.dir, "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Skip("cannot mount: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(m.dir, unix.MNT_DETACH) })
	if err := m.Write(context.Background(), progressOf(350e6)); !errors.Is(err, unix.EROFS) || refused(err) {
		t.Fatalf("got %v", err)
	}
	if err := unix.Mount("", m.dir, "", unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	write(t, m, progressOf(550e6))
	wantFile(t, filepath.Join(m.dir, ocrLog), line550)
}

func testShortWrite(t *testing.T) {
	m, _ := newLog(t, newMemory())
	whole := m.write
	m.write = func(f *os.File, b []byte) (int, error) { return f.Write(b[:10]) }
	if err := m.Write(context.Background(), progressOf(350e6)); !errors.Is(err, io.ErrShortWrite) {
		t.Fatalf("got %v", err)
	}
	m.write = whole
	write(t, m, progressOf(350e6), progressOf(550e6))
	wantFile(t, filepath.Join(m.dir, ocrLog), line350[:10]+"\n"+line350+line550)
}

func testRotation(t *testing.T) {
	for _, c := range []struct {
		name   string
		rotate func(t *testing.T, path string)
		want   string
	}{
		{"rename", rename, line550},
		{"rm", remove, line550},
		{"copytruncate", copyTruncate, line550},
		{"nothing", func(*testing.T, string) {}, line350 + line550},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newLog(t, newMemory())
			write(t, m, progressOf(350e6))
			c.rotate(t, filepath.Join(m.dir, ocrLog))
			write(t, m, progressOf(550e6))
			wantFile(t, filepath.Join(m.dir, ocrLog), c.want)
		})
	}
}

// testRemovedMeanwhile: between opening and writing.
func testRemovedMeanwhile(t *testing.T) {
	for _, kind := range []tracker.Kind{tracker.Progress, tracker.Completed} {
		m, _ := newLog(t, newMemory())
		path := filepath.Join(m.dir, ocrLog)
		whole := m.write
		m.write = func(f *os.File, b []byte) (int, error) {
			remove(t, path)
			return whole(f, b)
		}
		e := event(kind, "e1")
		if err := m.Write(context.Background(), e); err == nil {
			t.Fatalf("%s: a line in a removed file was taken for written", kind)
		}
		m.write = whole
		write(t, m, e)
		wantFile(t, path, m.form.line(e, Message(e))+"\n")
	}
}

func rename(t *testing.T, path string) {
	t.Helper()
	if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

func copyTruncate(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".1", text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
}

// testRefused: whatever lies at the log's path, it is refused, unharmed, and
// the line comes once it is gone.
func testRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		put  func(path string) error
	}{
		{"symlink", func(path string) error { return os.Symlink(path+".victim", path) }},
		{"dangling symlink", func(path string) error { return os.Symlink("/nonexistent/x", path) }},
		{"FIFO", func(path string) error { return unix.Mkfifo(path, 0o600) }},
		{"directory", func(path string) error { return os.Mkdir(path, 0o755) }},
		{"hard link", func(path string) error { return os.Link(path+".victim", path) }},
		{"socket", func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) { refuse(t, c.put) })
	}
	t.Run("file of another user", func(t *testing.T) {
		needRoot(t)
		refuse(t, func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o666), os.Chown(path, 1, 1))
		})
	})
}

func refuse(t *testing.T, put func(path string) error) {
	m, _ := newLog(t, newMemory())
	path := filepath.Join(m.dir, ocrLog)
	victim := path + ".victim"
	if err := errors.Join(os.Mkdir(m.dir, 0o755), os.WriteFile(victim, []byte("precious"), 0o644), put(path)); err != nil {
		t.Fatal(err)
	}
	for _, e := range []tracker.Event{progressOf(1), event(tracker.Completed, "e1")} {
		if err := m.Write(context.Background(), e); !refused(err) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", e.Kind, err)
		}
	}
	other := progressOf(350e6)
	other.Log = "other.log"
	write(t, m, other)
	wantFile(t, victim, "precious")
	remove(t, path)
	write(t, m, progressOf(350e6))
	wantFile(t, path, line350)
}
