package sizer

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"progressd/fsys"

	"golang.org/x/sys/unix"
)

func TestRoomIsReadInAPlayOnly(t *testing.T) {
	c := newCache(t)
	if l := c.look(); l.Room != (Room{}) {
		t.Fatalf("at rest: %+v", l.Room)
	}
	c.partial("a", ".incomplete", mib)
	c.look()
	l := c.look()
	var st unix.Statfs_t
	must(t, unix.Statfs(c.path, &st))
	var root unix.Stat_t
	must(t, unix.Stat(c.path, &root))
	if l.Room.Dev != root.Dev || l.Room.Size != int64(st.Blocks)*st.Frsize {
		t.Fatalf("room %+v, want device %d of %d blocks", l.Room, root.Dev, st.Blocks)
	}
	// Others write to the same disk meanwhile.
	if low, high := int64(st.Bavail)*st.Frsize-gib, int64(st.Bfree)*st.Frsize+gib; l.Room.Free < low || l.Room.Free > high {
		t.Fatalf("free %d, want %d to %d", l.Room.Free, low, high)
	}
}

const gib = 1 << 30

func TestRoomOfAFileSystemThatMakesNoSenseIsUnknown(t *testing.T) {
	for name, tt := range map[string]struct {
		size, free uint64
		unit       int64
		want       Room
	}{
		"ordinary":           {100, 40, 4096, Room{1, 409600, 163840}},
		"full":               {100, 0, 4096, Room{1, 409600, 0}},
		"no size":            {0, 0, 4096, Room{}},
		"more free than all": {100, 1 << 63, 4096, Room{}},
		"no unit":            {100, 40, 0, Room{}},
		"beyond all bounds":  {1 << 63, 1 << 62, 4096, Room{1, math.MaxInt64, math.MaxInt64}},
	} {
		if got := roomIn(1, tt.size, tt.free, tt.unit); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestOnlyRootGetsWhatIsReservedForIt(t *testing.T) {
	for _, tt := range []struct {
		uid  uint32
		kind int64
		want uint64
	}{
		{0, unix.EXT4_SUPER_MAGIC, 9},
		{1000, unix.EXT4_SUPER_MAGIC, 4},
		{0, unix.BTRFS_SUPER_MAGIC, 4},
	} {
		if got := freeFor(tt.uid, &unix.Statfs_t{Type: tt.kind, Bavail: 4, Bfree: 9}); got != tt.want {
			t.Errorf("%+v: %d blocks", tt, got)
		}
	}
}

func TestPreallocatedRoomIsTakenAhead(t *testing.T) {
	listed, unlisted := &file{want: 100}, &file{want: -1}
	for _, tt := range []struct {
		allocated, bytes int64
		of               *file
		want             int64
	}{
		{90, 40, listed, 50},
		{200, 40, listed, 60}, // never more than it will be
		{40, 40, listed, 0},
		{0, 40, listed, 0}, // unknown
		{90, 40, unlisted, 0},
		{90, 40, nil, 0},
	} {
		if got := (&partial{allocated: tt.allocated, bytes: tt.bytes}).ahead(tt.of); got != tt.want {
			t.Errorf("%+v: %d ahead, want %d", tt, got, tt.want)
		}
	}
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 4 * mib}})
	path := c.partial("a", ".incomplete", mib)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 3*mib); err != nil {
		t.Skipf("this file system preallocates nothing: %v", err)
	}
	if l := c.look(); l.Ahead != 2*mib || l.Bytes != mib {
		t.Fatalf("ahead %d of %d bytes", l.Ahead, l.Bytes)
	}
}

// untouched makes a file look as if nobody had written to it for so long.
func untouched(t *testing.T, path string, d time.Duration) {
	t.Helper()
	old := time.Now().Add(-d)
	must(t, os.Chtimes(path, old, old))
}

func TestLeftoversInARepositoryAtRest(t *testing.T) {
	const day = 24 * time.Hour
	c := newCache(t)
	untouched(t, c.partial("a", ".01234567.incomplete", mib), 12*day)
	untouched(t, c.partial("b", ".incomplete", mib), 3*day)
	untouched(t, c.partial("c", ".incomplete", mib), 3*day)
	c.write(c.in(demo, "blobs", etag("c")), 2*mib)
	must(t, os.MkdirAll(c.in(demo, "snapshots", commitB), 0o755)) // c is another revision's
	untouched(t, c.partial("young", ".01234567.incomplete", mib), time.Hour)
	untouched(t, c.partial("locked", ".incomplete", mib), 3*day)
	c.watch(time.Now().Add(time.Second), nil)
	for range 2 {
		l, pace := c.lookAt(demo)
		if l.InPlay || pace != Slow || l.Orphans != 4 || l.OrphanBytes != 4*mib || l.Resumable != 2 {
			t.Fatalf("pace %v, look %+v", pace, l)
		}
		if l.OrphanAge < 12*day || l.OrphanAge > 12*day+time.Hour || l.Bytes != 0 {
			t.Fatalf("look %+v", l)
		}
	}
	// Whose lock is taken is somebody's: then it is a download again.
	c.run(7, "python3", "train.py")
	c.lock(7, "locked")
	if l := c.look(); !l.InPlay || l.Bytes != mib {
		t.Fatalf("look %+v", l)
	}
}

func TestABlobThatComesLaterSparesResuming(t *testing.T) {
	c := newCache(t)
	untouched(t, c.partial("a", ".incomplete", mib), 72*time.Hour)
	c.watch(time.Now().Add(time.Second), nil)
	if l := c.look(); l.Resumable != 1 {
		t.Fatalf("look %+v", l)
	}
	// Another client fetched it; its times are those of a copy.
	c.write(c.in(demo, "blobs", etag("a")), mib)
	untouched(t, c.in(demo, "blobs", etag("a")), 72*time.Hour)
	if l := c.look(); l.Resumable != 0 || l.Orphans != 1 {
		t.Fatalf("look %+v", l)
	}
}

func TestABlobThatADownloadBringsSparesResumingToo(t *testing.T) {
	c := newCache(t)
	untouched(t, c.partial("a", ".incomplete", mib), 72*time.Hour)
	c.watch(time.Now().Add(time.Second), nil)
	if l := c.look(); l.Resumable != 1 {
		t.Fatalf("look %+v", l)
	}
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}})
	c.run(42, "hf", "download", "org/demo")
	c.lock(42, "a")
	c.partial("a", ".01234567.incomplete", 2*mib)
	c.look()
	c.finish("a", ".01234567.incomplete", commitA, "a.bin")
	c.now = c.now.Add(2 * fsys.Coarse)
	if l := c.look(); l.Proof == NoProof {
		t.Fatalf("look %+v", l)
	}
	c.kill(42)
	if l := c.look(); l.InPlay || l.Orphans != 1 || l.Resumable != 0 {
		t.Fatalf("look %+v", l)
	}
}

// faultD15: the last byte of a finished file is missing.
func faultD15(t *testing.T) {
	short := func(c *cache) {
		c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}})
		c.partial("a", ".01234567.incomplete", mib-1)
		c.partial("b", ".01234567.incomplete", mib)
		c.look()
		c.finish("a", ".01234567.incomplete", commitA, "a.bin")
		c.finish("b", ".01234567.incomplete", commitA, "b.bin")
	}
	check := func(t *testing.T, l Look) {
		t.Helper()
		if l.Mismatched == nil || *l.Mismatched != (Mismatch{Path: "a.bin", Got: mib - 1, Want: mib}) || l.Proof != NoProof {
			t.Fatalf("mismatch %+v in %+v", l.Mismatched, l)
		}
	}
	t.Run("is found", func(t *testing.T) {
		c := newCache(t)
		short(c)
		check(t, c.look())
		check(t, c.look())
	})
	t.Run("over a restart", func(t *testing.T) {
		c := newCache(t)
		short(c)
		l := c.look()
		c.restart(l.Checkpoint)
		check(t, c.look())
	})
	t.Run("when it was finished while nobody looked", func(t *testing.T) {
		c := newCache(t)
		c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}})
		c.partial("a", ".01234567.incomplete", 10)
		l := c.look()
		must(t, os.Remove(c.in(demo, "blobs", etag("a")+".01234567.incomplete")))
		c.whole("a", mib-1, commitA, "a.bin")
		c.whole("b", mib, commitA, "b.bin")
		c.restart(l.Checkpoint)
		check(t, c.look())
	})
	t.Run("in the shared store", func(t *testing.T) {
		c := newCache(t)
		short(c)
		hash := etag("a")
		path := filepath.Join(c.path, "blobs", hash[:2], hash)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.Rename(c.in(demo, "blobs", hash), path))
		must(t, os.Symlink("../../blobs/"+hash[:2]+"/"+hash, c.in(demo, "blobs", hash)))
		check(t, c.look())
	})
	t.Run("and with it mended there is proof", func(t *testing.T) {
		c := newCache(t)
		short(c)
		c.look()
		c.write(c.in(demo, "blobs", etag("a")), mib)
		c.now = c.now.Add(lockMemory) // a blob younger than its link may be for another revision
		if l := c.look(); l.Mismatched != nil || l.Proof != ProvenByListing {
			t.Fatalf("look %+v", l)
		}
	})
}

// faultD3: an orphan beside the partial that is written, and what stays of it.
func faultD3(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}})
	c.run(42, "hf", "download", "org/demo")
	old := c.partial("a", ".00000000.incomplete", mib)
	untouched(t, old, 72*time.Hour)
	c.watch(time.Now().Add(time.Second), nil)
	c.lock(42, "a")
	c.partial("a", ".11111111.incomplete", mib/2)
	l := c.look()
	if l.Bytes != mib/2 || l.Orphans != 1 || l.OrphanBytes != mib || l.OrphanAge < 72*time.Hour {
		t.Fatalf("one counted, the other reported: %+v", l)
	}
	c.partial("a", ".11111111.incomplete", 2*mib)
	c.finish("a", ".11111111.incomplete", commitA, "a.bin")
	if l := c.look(); l.Proof == NoProof || l.Bytes != 2*mib || l.Orphans != 1 {
		t.Fatalf("look %+v", l)
	}
	c.kill(42)
	if l := c.look(); l.InPlay || l.Orphans != 1 || l.OrphanBytes != mib || l.Resumable != 0 {
		t.Fatalf("at rest it is reported still: %+v", l)
	}
}
