package sizer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
	"progressd/hfcache"
)

func TestFaults(t *testing.T) {
	t.Run("H1 directories that are links or files are not followed", faultH1)
	t.Run("H2 what is no regular file is never opened", faultH2)
	t.Run("H3 a directory swapped for a link never leads out", faultH3)
	t.Run("H4 a repo with very many blobs keeps nothing of them", faultH4)
	t.Run("D3 of two partials of one blob one counts, the other is reported", faultD3)
	t.Run("D8 one blob under two paths and hard links counts once", faultD8)
	t.Run("D9 a removed repo is gone, a removed root is not", faultD9)
	t.Run("D15 a finished blob of another size than listed is no success", faultD15)
	t.Run("D16 a loader's choice is proof, an unknown subset never", faultD16)
	t.Run("D17 holes are not bytes", faultD17)
	t.Run("D18 repos don't mix", faultD18)
	t.Run("V1 sizes beyond all bounds saturate", faultV1)
	t.Run("V3 a listing that makes no sense is none", faultV3)
	t.Run("N2 only valid ids are looked at", faultN2)
}

func faultH1(t *testing.T) {
	for _, name := range []string{"blobs", "snapshots", "trees"} {
		for what, plant := range map[string]func(path string) error{
			"to /etc":   func(path string) error { return os.Symlink("/etc", path) },
			"to itself": func(path string) error { return os.Symlink(filepath.Base(path), path) },
			"to ..":     func(path string) error { return os.Symlink("..", path) },
			"a file":    func(path string) error { return os.WriteFile(path, nil, 0o644) },
			"a FIFO":    func(path string) error { return syscall.Mkfifo(path, 0o644) },
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				c := newCache(t)
				must(t, os.MkdirAll(c.in(demo), 0o755))
				must(t, plant(c.in(demo, name)))
				if name != "blobs" {
					c.partial("a", ".incomplete", 10)
				}
				l := c.look()
				if l.Unreadable != nil || l.Bytes > 10 || l.Files != 0 || !strings.Contains(c.log.String(), "not followed") {
					t.Fatalf("look %+v, log %s", l, c.log)
				}
			})
		}
	}
}

func faultH2(t *testing.T) {
	c := newCache(t)
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	must(t, syscall.Mkfifo(c.in(demo, "blobs", etag("a")+".incomplete"), 0o644))
	must(t, os.Symlink("/dev/zero", c.in(demo, "blobs", etag("b")+".incomplete")))
	must(t, syscall.Mkfifo(c.in(demo, "blobs", etag("c")), 0o644))
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	defer unix.Close(fd)
	t.Chdir(c.in(demo, "blobs"))
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: etag("d") + ".incomplete"}))
	c.expect("nothing there", want{})
	must(t, os.MkdirAll(c.in(demo, "trees"), 0o755))
	must(t, syscall.Mkfifo(c.in(demo, "trees", commitA+".json"), 0o644))
	c.partial("e", ".incomplete", 10)
	c.expect("a FIFO is no listing, and nobody waits for a writer", want{play: true, bytes: 10, arrived: 10, partials: 1})
}

func faultH3(t *testing.T) {
	c := newCache(t)
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, etag("x")+".incomplete"), make([]byte, 1000), 0o644))
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	must(t, os.Symlink(outside, c.in(demo, "evil")))
	stop := make(chan struct{})
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, c.in(demo, "blobs"), unix.AT_FDCWD, c.in(demo, "evil"), unix.RENAME_EXCHANGE)
			}
		}
	})
	defer swapper.Wait()
	defer close(stop)
	for range 3000 {
		if l := c.look(); l.Bytes != 0 || l.InPlay {
			t.Fatalf("left the root: %+v", l)
		}
	}
}

func faultH4(t *testing.T) {
	inMemory(t)
	c := newCache(t)
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	for i := range 20_000 {
		must(t, os.WriteFile(c.in(demo, "blobs", fmt.Sprintf("%040x", i)), nil, 0o644))
	}
	c.watch(time.Now().Add(time.Second), nil)
	c.expect("at rest", want{})
	if len(c.root.repos) != 0 {
		t.Fatal("something is kept of a repo at rest")
	}
	c.watch(time.Now().Add(-100*time.Millisecond), nil)
	c.partial("a", ".incomplete", 10)
	if l := c.look(); !l.InPlay {
		t.Fatalf("look %+v", l)
	}
	if n := len(c.root.repos[demo].play.files); n > 100 {
		t.Fatalf("%d files are kept of a play with one", n)
	}
}

func faultD8(t *testing.T) {
	c := newCache(t)
	c.whole("a", mib, commitA, "one.bin")
	c.link("a", commitA, "two.bin")
	c.link("a", commitB, "three.bin")
	must(t, os.Link(c.in(demo, "blobs", etag("a")), c.in(demo, "snapshots", commitA, "hard.bin")))
	if l := c.look(); l.Bytes != mib || l.Arrived != mib {
		t.Fatalf("look %+v", l)
	}
}

func faultD9(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".incomplete", mib)
	c.look()
	must(t, os.RemoveAll(c.in(demo)))
	if l := c.look(); !l.Gone || len(c.root.repos) != 0 {
		t.Fatalf("look %+v", l)
	}
	must(t, os.Rename(c.path, c.path+".away"))
	must(t, os.Mkdir(c.path, 0o755))
	if l := c.look(); l.Gone || !errors.Is(l.Unreadable, errReplaced) {
		t.Fatalf("another directory in the root's place says nothing about its repos: %+v", l)
	}
	must(t, os.RemoveAll(c.path))
	if l := c.look(); l.Gone || l.Unreadable == nil {
		t.Fatalf("look %+v", l)
	}
}

func faultD16(t *testing.T) {
	// The same files, fetched by a program whose choice is known, by one whose
	// isn't, and by the first one stopped with Ctrl-C before the last weight.
	for what, tt := range map[string]struct {
		line    string
		shards  int
		settled Proof
	}{
		"known":   {"vllm serve org/demo", 2, ProvenByLoader},
		"unknown": {"python3 train.py", 2, NoProof},
		"ctrl-c":  {"vllm serve org/demo", 1, NoProof},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.run(42, strings.Split(tt.line, " ")...)
			twoFormats(c)
			for i, size := range []int{2 * mib, mib}[:tt.shards] {
				c.bring(42, fmt.Sprintf("s%d", i+1), size, fmt.Sprintf("model-%05d-of-00002.safetensors", i+1))
			}
			c.kill(42)
			c.now = c.now.Add(lockMemory)
			c.look()
			if l := c.look(); l.Proof != NoProof || l.Settled != tt.settled || l.Missing == 0 {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

func faultD17(t *testing.T) {
	c := newCache(t)
	path := c.partial("a", ".incomplete", 64*kib)
	must(t, os.Truncate(path, 100*mib))
	if l := c.look(); l.Bytes != 64*kib {
		t.Skipf("this file system tells %d written bytes", l.Bytes)
	}
	c.list(commitA, map[string]listedFile{"b.bin": {"b", mib}})
	c.partial("b", ".incomplete", 2*mib)
	if l := c.look(); l.Bytes != 64*kib+mib {
		t.Fatalf("never more than the listed size: %+v", l)
	}
}

func faultD18(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".incomplete", 1000)
	c.write(filepath.Join(c.path, "datasets--org--demo", "blobs", etag("a")+".incomplete"), 2000)
	one, _ := c.lookAt(demo)
	two, _ := c.lookAt("datasets--org--demo")
	if one.Bytes != 1000 || two.Bytes != 2000 || two.Repo.Type != hfcache.Dataset {
		t.Fatalf("looks %+v %+v", one, two)
	}
}

func faultV1(t *testing.T) {
	pl := newPlay(time.Now(), time.Now())
	for i := range 3 {
		f := pl.file(fmt.Sprint(i))
		f.wanted, f.done, f.size, f.isNew = true, true, 1<<62+1<<61, true
	}
	if arrived := pl.count(0, 0); arrived != 1<<63-1 || pl.Bytes != 1<<63-1 {
		t.Fatalf("arrived %d bytes %d", arrived, pl.Bytes)
	}
	written := fileSystem{blocks: true}
	for _, blocks := range []int64{-1, 1 << 62} {
		if n := written.written(fsys.Entry{Size: 100, Blocks: blocks}); n != 100 {
			t.Fatalf("%d blocks: %d bytes", blocks, n)
		}
	}
}

func faultV3(t *testing.T) {
	for name, text := range map[string]string{
		"truncated":       `{"format_version":1,"files":{"a.bin":{"size":`,
		"not JSON":        "\x00\x00\x00",
		"unknown version": `{"format_version":99,"files":{}}`,
		"leads out":       `{"format_version":1,"files":{"../../x":{"size":1,"blob_id":"` + etag("a") + `"}}}`,
		"negative":        `{"format_version":1,"files":{"x":{"size":-1,"blob_id":"` + etag("a") + `"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			c.partial("a", ".incomplete", 10)
			must(t, os.MkdirAll(c.in(demo, "trees"), 0o755))
			must(t, os.WriteFile(c.in(demo, "trees", commitA+".json"), []byte(text), 0o644))
			c.expect("without a total", want{play: true, bytes: 10, arrived: 10, partials: 1})
			if !strings.Contains(c.log.String(), "without a total") {
				t.Fatalf("nothing was said: %s", c.log)
			}
		})
	}
}

func faultN2(t *testing.T) {
	c := newCache(t)
	for _, folder := range []string{"models--..--..", "models--", "models----", "models--a--b--c", ".locks", "blobs"} {
		c.write(filepath.Join(c.path, folder, "blobs", etag("a")+".incomplete"), 10)
		if l, pace := c.lookAt(folder); l.InPlay || pace != Idle {
			t.Fatalf("%s: %+v", folder, l)
		}
	}
}
