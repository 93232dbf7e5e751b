package simfs

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func openDir(f *FS, p string) (int, error) {
	return f.Openat(unix.AT_FDCWD, p, unix.O_RDONLY|unix.O_DIRECTORY)
}

func TestWhatIsBrokenFailsUntilItIsMended(t *testing.T) {
	f := New(time.Now)
	must(t, f.MkdirAll("/hub/a/b"), f.Break("/hub/a", unix.EIO))
	var st unix.Stat_t
	for _, p := range []string{"/hub/a", "/hub/a/b"} {
		if err := f.Fstatat(unix.AT_FDCWD, p, &st, 0); !errors.Is(err, unix.EIO) {
			t.Errorf("%s: got %v, want EIO", p, err)
		}
	}
	must(t, f.Fstatat(unix.AT_FDCWD, "/hub", &st, 0), f.Break("/hub/a", 0), f.Fstatat(unix.AT_FDCWD, "/hub/a/b", &st, 0))
}

func TestWhatHangsWaitsUntilItIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(time.Now)
		v := f.NewVolume(Traits{Magic: unix.NFS_SUPER_MAGIC})
		must(t, f.MkdirAll("/hub"), f.MkdirAll("/home"), f.Mount(v, "/hub"))
		release := f.HangVolume(v)
		began := time.Now()
		var took time.Duration
		go func() {
			fd, err := openDir(f, "/hub")
			took = time.Since(began)
			if err != nil {
				t.Error(err)
			}
			f.Close(fd)
		}()
		<-time.After(time.Minute)
		fd, err := openDir(f, "/home")
		if err != nil || took != 0 {
			t.Errorf("others wait (%v), or it doesn't (%v)", err, took)
		}
		f.Close(fd)
		release()
		synctest.Wait()
		if took != time.Minute {
			t.Errorf("it hung for %v", took)
		}
	})
}

func TestAVolumeCoversWhatIsBeneath(t *testing.T) {
	f := New(time.Now)
	v := f.NewVolume(Traits{Magic: 0x65735546, Size: 1 << 20})
	must(t, f.MkdirAll("/hub/below"), f.Mount(v, "/hub"), f.MkdirAll("/hub/above"))
	if f.Has("/hub/below") {
		t.Error("what is covered shows")
	}
	fd, err := openDir(f, "/hub/above")
	if err != nil {
		t.Fatal(err)
	}
	var fs unix.Statfs_t
	must(t, f.Fstatfs(fd, &fs))
	if fs.Type != 0x65735546 || fs.Blocks != 256 {
		t.Errorf("got %x with %d blocks", fs.Type, fs.Blocks)
	}
	if err := f.Unmount("/hub"); !errors.Is(err, unix.EBUSY) {
		t.Errorf("it was unmounted while something was open: %v", err)
	}
	f.Close(fd)
	must(t, f.Unmount("/hub"))
	if !f.Has("/hub/below") || f.Has("/hub/above") {
		t.Error("what was covered doesn't show")
	}
	must(t, f.Mount(v, "/hub"))
	if !f.Has("/hub/above") {
		t.Error("what is on the volume is gone")
	}
}

func TestRoomEnds(t *testing.T) {
	f := New(time.Now)
	must(t, f.MkdirAll("/hub"), f.Mount(f.NewVolume(Traits{Size: 64 << 10}), "/hub"))
	a, err := f.Create("/hub/a", 0o644, 0)
	must(t, err, a.Append(40<<10), a.WriteAt(0, 40<<10))
	b, err := f.Create("/hub/b", 0o644, 0)
	must(t, err)
	if err := b.Append(30 << 10); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v, want ENOSPC", err)
	}
	must(t, f.Remove("/hub/a"))
	if err := b.Append(30 << 10); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("what is open still gave its room back: %v", err)
	}
	a.Close()
	must(t, b.Append(30<<10))
	b.Close()
}

func TestTimesAreThoseOfTheVolume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(time.Now)
		must(t, f.MkdirAll("/hub"), f.Mount(f.NewVolume(Traits{Grain: 2 * time.Second, StillDirs: true}), "/hub"))
		at := func(p string) time.Time {
			var st unix.Stat_t
			must(t, f.Lstat(p, &st))
			return time.Unix(st.Mtim.Unix())
		}
		began := at("/hub")
		<-time.After(3500 * time.Millisecond)
		must(t, f.Mkdir("/hub/a", 0o755))
		if got := at("/hub/a").Sub(began); got != 2*time.Second {
			t.Errorf("made after %v, want 2s", got)
		}
		if !at("/hub").Equal(began) {
			t.Error("the directory's time has moved")
		}
		f.SetShift(-time.Hour)
		must(t, f.Mkdir("/hub/b", 0o755))
		if got := at("/hub/b").Sub(began); got != 2*time.Second-time.Hour {
			t.Errorf("made at %v by a clock that was set back", got)
		}
	})
}

func TestWhoMayNotIsRefused(t *testing.T) {
	f := New(time.Now)
	must(t, f.MkdirAll("/home/a/hub"), f.Chmod("/home/a", 0o700), f.Chown("/home/a", 1000))
	var st unix.Stat_t
	for _, c := range []struct {
		who  Caller
		want error
	}{{Caller{UID: 1000}, nil}, {Caller{UID: 1001}, unix.EACCES}, {Caller{UID: 1001, Override: true}, nil}} {
		f.SetCaller(c.who)
		if err := f.Fstatat(unix.AT_FDCWD, "/home/a/hub", &st, 0); !errors.Is(err, c.want) {
			t.Errorf("%+v: got %v, want %v", c.who, err, c.want)
		}
	}
}

func TestNumbersAreUsedAgain(t *testing.T) {
	f := New(time.Now)
	ino := func() uint64 {
		var st unix.Stat_t
		must(t, f.Lstat("/a", &st))
		return st.Ino
	}
	must(t, f.Mkdir("/a", 0o755))
	first := ino()
	must(t, f.Remove("/a"), f.Mkdir("/a", 0o755))
	if ino() != first {
		t.Errorf("%d, then %d: ext4 would have used the first again", first, ino())
	}
}

func TestFilesKeepWhatWasWrittenAsText(t *testing.T) {
	f := New(time.Now)
	h, err := f.Create("/a", 0o644, 0)
	must(t, err, h.WriteText("hello"))
	h.Close()
	fd, err := f.Openat(unix.AT_FDCWD, "/a", unix.O_RDONLY)
	must(t, err)
	defer f.Close(fd)
	buf := make([]byte, 3)
	text := ""
	for n, err := f.Read(fd, buf); n > 0; n, err = f.Read(fd, buf) {
		must(t, err)
		text += string(buf[:n])
	}
	if text != "hello" {
		t.Errorf("got %q", text)
	}
}
