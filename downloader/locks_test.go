package downloader

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const lockList = `1: POSIX  ADVISORY  WRITE 11 08:02:101 0 EOF
2: FLOCK  ADVISORY  WRITE 12 08:02:102 0 EOF
2: -> FLOCK  ADVISORY  WRITE 13 08:02:102 0 EOF
3: FLOCK  ADVISORY  READ  14 08:02:103 0 EOF
4: OFDLCK ADVISORY  WRITE -1 08:02:104 0 EOF
5: FLOCK  ADVISORY  WRITE 15 fd:1a:105 0 EOF
6: FLOCK  ADVISORY  WRITE 16 00:1f:106 0 EOF
7: FLOCK  ADVISORY  WRITE 17 00:20:107 0 EOF
8: FLOCK  ADVISORY  WRITE 18 00:21:107 0 EOF
9: FLOCK  ADVISORY  WRITE 0 08:02:109 0 EOF
10: LEASE  ACTIVE    READ  19 08:02:110 0 EOF
11: -> -> FLOCK ADVISORY WRITE 20 08:02:111 0 EOF
12: FLOCK  ADVISORY  WRITE 21 <none>:0 0 EOF
garbage

13: FLOCK  ADVISORY  WRITE 22 103:10000:18446744073709551615 0 EOF
14: FLOCK  ADVISORY  WRITE 23 08:02:112 0 EO`

func TestHolderIsWhoHoldsAnExclusiveFlock(t *testing.T) {
	l := ParseLocks(lockList)
	tests := []struct {
		major, minor uint32
		inode        uint64
		want         int
	}{
		{8, 2, 101, 0},  // POSIX
		{8, 2, 102, 12}, // the waiter doesn't count
		{8, 2, 103, 0},  // shared
		{8, 2, 104, 0},  // open file description
		{8, 3, 102, 0},  // another device
		{0xfd, 0x1a, 105, 15},
		{0, 0x1f, 106, 16},
		{0, 0x20, 107, 17},
		{0, 0x21, 107, 18},
		{8, 2, 109, 0}, // a pid of another namespace
		{8, 2, 111, 0},
		{0x103, 0x10000, 1<<64 - 1, 22},
		{8, 2, 112, 0}, // cut
	}
	for _, tt := range tests {
		pid, ok := l.Holder(unix.Mkdev(tt.major, tt.minor), tt.inode)
		if pid != tt.want || ok != (tt.want != 0) {
			t.Errorf("%x:%x:%d: %d, %v", tt.major, tt.minor, tt.inode, pid, ok)
		}
	}
}

func TestHolderByInodeIsForAnonymousDevices(t *testing.T) {
	l := ParseLocks(lockList)
	for inode, want := range map[uint64]int{102: 0, 106: 16, 107: 0, 999: 0} {
		pid, ok := l.HolderByInode(inode)
		if pid != want || ok != (want != 0) {
			t.Errorf("inode %d: %d, %v", inode, pid, ok)
		}
	}
}

func TestLocksEmpty(t *testing.T) {
	if !(Locks{}).Empty() || !ParseLocks("1: POSIX  ADVISORY  WRITE 11 08:02:101 0 EOF\n").Empty() {
		t.Error("not empty")
	}
	if ParseLocks(lockList).Empty() {
		t.Error("empty")
	}
	if _, ok := (Locks{}).Holder(1, 2); ok {
		t.Error("the zero Locks has a holder")
	}
}

func TestReadLocksIsBounded(t *testing.T) {
	dir := t.TempDir()
	line := "2: FLOCK  ADVISORY  WRITE 12 08:02:102 0 EOF\n"
	text := line + strings.Repeat("x", maxLocks) + "\n" + strings.Replace(line, "102", "103", 1)
	if err := os.WriteFile(filepath.Join(dir, "locks"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := ProcDir(dir).Locks()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := l.Holder(unix.Mkdev(8, 2), 102); !ok {
		t.Error("the first lock is lost")
	}
	if _, ok := l.Holder(unix.Mkdev(8, 2), 103); ok {
		t.Error("read beyond the bound")
	}
}

func TestReadLocksTellsWhatIsMissing(t *testing.T) {
	if _, err := ProcDir(t.TempDir()).Locks(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestARealLockIsSeen(t *testing.T) {
	if _, err := os.Stat("/proc/locks"); err != nil {
		t.Skipf("no list of locks here: %v", err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "etag.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	holder := func() (int, bool) {
		l, err := ProcDir("/proc").Locks()
		if err != nil {
			t.Fatal(err)
		}
		pid, ok := l.Holder(st.Dev, st.Ino)
		if !ok {
			pid, ok = l.HolderByInode(st.Ino)
		}
		return pid, ok
	}
	if pid, ok := holder(); ok {
		t.Errorf("held by %d before it is taken", pid)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Skipf("no flock here: %v", err)
	}
	if pid, ok := holder(); !ok || pid != os.Getpid() {
		t.Errorf("held by %d, %v; want %d", pid, ok, os.Getpid())
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if pid, ok := holder(); ok {
		t.Errorf("held by %d after it was released", pid)
	}
}

func FuzzParseLocks(f *testing.F) {
	f.Add(lockList)
	f.Fuzz(func(t *testing.T, text string) {
		l := ParseLocks(text)
		for file, pid := range l.byFile {
			got, ok := l.Holder(unix.Mkdev(file.major, file.minor), file.inode)
			if pid <= 0 || ok && got <= 0 {
				t.Errorf("%+v: %d, %d", file, pid, got)
			}
		}
		for inode := range l.byInode {
			if pid, ok := l.HolderByInode(inode); ok && pid <= 0 {
				t.Errorf("inode %d: %d", inode, pid)
			}
		}
	})
}

// 60 000 locks of one process took 2.9 s to be read, time and again, in which
// nobody got a lock. Few locks are read whole: what takes long there is the load of
// the machine, and who downloads must be known from the first look.
func TestOnlyALongListOfLocksIsReadInPart(t *testing.T) {
	const mine = "1: FLOCK  ADVISORY  WRITE 42 08:02:101 0 EOF\n"
	const other = "2: POSIX  ADVISORY  WRITE 666 08:02:999 0 0\n"
	for _, c := range []struct {
		others   int
		patience time.Duration
		many     bool
		cut      bool
	}{{20_000, -1, true, true}, {20_000, time.Minute, true, false}, {1000, -1, false, false}} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "locks"), []byte(mine+strings.Repeat(other, c.others)), 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := ProcDir(dir).locksWithin(c.patience)
		if err != nil {
			t.Fatal(err)
		}
		cut, crowd := l.Cut()
		if cut != c.cut || cut && crowd != 666 || l.Many() != c.many {
			t.Errorf("%+v: cut %v, most are held by %d, many %v", c, cut, crowd, l.Many())
		}
		if pid, ok := l.Holder(unix.Mkdev(8, 2), 101); pid != 42 || !ok {
			t.Errorf("%+v: what was read first is held by %d, %v", c, pid, ok)
		}
	}
}
