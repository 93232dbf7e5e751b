package downloader

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxLocks bounds what is read of /proc/locks, in bytes: some 60 000 locks.
	maxLocks = 4 << 20
	// locksPatience bounds for how long it is read. For each page of its list the
	// kernel goes through the locks from the beginning, those first that were
	// taken last: 2.9 s for 60 000 of them (seen), in which nobody gets one.
	locksPatience = 250 * time.Millisecond
	// manyLocks is how long a text has to be, in bytes, for its length to be why
	// reading it takes long: some 4000 locks. Shorter ones are read whole however
	// long it takes, since what takes long there is the load of the machine.
	manyLocks = 256 << 10
)

// Locks are the exclusive flock(2) locks that were held on this machine at
// one time: the kind that downloaders take. The zero Locks holds none.
//
// The kernel gives out its list a page at a time, and other locks come and go
// meanwhile: one that is missing may yet be held. Its absence proves nothing,
// the end of its holder does.
type Locks struct {
	byFile map[fileID]int
	// byInode has only files on devices without a number of their own;
	// several holders of one inode number are noted as ambiguous.
	byInode map[uint64]int
	// cut: there are more than were read. many: reading them takes long by their
	// number.
	cut, many bool
	// crowd is the process that holds the most of all locks, where they were cut.
	crowd int
}

// fileID is a file as the kernel names it in /proc/locks.
type fileID struct {
	major, minor uint32
	inode        uint64
}

const ambiguous = -1

// Locks reads the file of that name.
func (d ProcDir) Locks() (Locks, error) {
	return d.locksWithin(locksPatience)
}

func (d ProcDir) locksWithin(patience time.Duration) (Locks, error) {
	text, cut, err := readWithin(filepath.Join(string(d), "locks"), maxLocks, func(read int, took time.Duration) bool {
		return read >= manyLocks && took > patience
	})
	if err != nil {
		return Locks{}, fmt.Errorf("cannot read locks: %w", err)
	}
	l := ParseLocks(text)
	l.many = len(text) >= manyLocks
	if l.cut = cut; cut {
		l.crowd = crowd(text)
	}
	return l, nil
}

// Cut reports whether there are more locks than could be read, and which process
// holds the most of those that were; 0 if unknown.
func (l Locks) Cut() (cut bool, crowd int) { return l.cut, l.crowd }

// Many reports whether there are so many locks, of any kind, that each reading
// takes long, in which nobody gets one.
func (l Locks) Many() bool { return l.many }

// crowd is the process that holds the most locks of any kind.
func crowd(text string) (most int) {
	by := make(map[int]int)
	for line := range strings.Lines(text) {
		var f [5]string
		if leadingFields(line, f[:]) < len(f) {
			continue
		}
		pid, err := strconv.Atoi(f[4])
		if err != nil || pid <= 0 {
			continue
		}
		if by[pid]++; by[pid] > by[most] {
			most = pid
		}
	}
	return most
}

// Empty reports whether no lock was seen at all. That is so for hours on a
// machine that downloads nothing, and always in a container that doesn't see
// the locks of its host.
func (l Locks) Empty() bool {
	return len(l.byFile) == 0
}

// Holder returns the process that holds the lock on a file, given by st_dev
// and st_ino of its stat.
func (l Locks) Holder(dev, inode uint64) (pid int, ok bool) {
	pid, ok = l.byFile[fileID{major: unix.Major(dev), minor: unix.Minor(dev), inode: inode}]
	return pid, ok
}

// HolderByInode is for file systems such as btrfs, whose stat gives another
// device number than /proc/locks. It looks among those with anonymous devices
// (major number 0) only. If two processes hold locks on files of this number
// there is no telling which is meant, and it is false.
func (l Locks) HolderByInode(inode uint64) (pid int, ok bool) {
	pid, ok = l.byInode[inode]
	if pid == ambiguous {
		return 0, false
	}
	return pid, ok
}

// On counts the locks on files of a device, given by st_dev of a stat;
// OnAnonymous those on devices without a number of their own.
func (l Locks) On(dev uint64) int {
	return l.count(func(f fileID) bool { return f.major == unix.Major(dev) && f.minor == unix.Minor(dev) })
}

// OnAnonymous is described at On.
func (l Locks) OnAnonymous() int {
	return l.count(func(f fileID) bool { return f.major == 0 })
}

func (l Locks) count(is func(fileID) bool) (n int) {
	for f := range l.byFile {
		if is(f) {
			n++
		}
	}
	return n
}

// ParseLocks understands the text of /proc/locks. It ignores the lines that it
// does not know.
func ParseLocks(text string) Locks {
	l := Locks{byFile: make(map[fileID]int), byInode: make(map[uint64]int)}
	for line := range strings.Lines(text) {
		// A line without its end was cut by the limit.
		if !strings.HasSuffix(line, "\n") {
			break
		}
		file, pid, ok := parseLock(line)
		if !ok {
			continue
		}
		l.byFile[file] = pid
		if file.major != 0 {
			continue
		}
		if other, seen := l.byInode[file.inode]; seen && other != pid {
			pid = ambiguous
		}
		l.byInode[file.inode] = pid
	}
	return l
}

// parseLock knows "7: FLOCK  ADVISORY  WRITE 4242 08:02:131077 0 EOF". Those
// who wait have "->" for their second field. A pid of another pid namespace
// is 0 or less.
func parseLock(line string) (fileID, int, bool) {
	var f [6]string
	if leadingFields(line, f[:]) < len(f) || f[1] != "FLOCK" || f[2] != "ADVISORY" || f[3] != "WRITE" {
		return fileID{}, 0, false
	}
	pid, err := strconv.Atoi(f[4])
	if err != nil || pid <= 0 {
		return fileID{}, 0, false
	}
	file, ok := parseFileID(f[5])
	return file, pid, ok
}

// leadingFields fills into with the first words of a text and says how many it
// found. It is asked at each look, for each lock of the machine: strings.Fields
// would leave a slice each time.
func leadingFields(text string, into []string) int {
	n := 0
	for word := range strings.FieldsSeq(text) {
		if n == len(into) {
			break
		}
		into[n] = word
		n++
	}
	return n
}

// parseFileID knows major and minor in hexadecimal, the inode in decimal.
func parseFileID(s string) (fileID, bool) {
	first, rest, _ := strings.Cut(s, ":")
	second, third, ok := strings.Cut(rest, ":")
	if !ok {
		return fileID{}, false
	}
	major, err1 := strconv.ParseUint(first, 16, 32)
	minor, err2 := strconv.ParseUint(second, 16, 32)
	inode, err3 := strconv.ParseUint(third, 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return fileID{}, false
	}
	return fileID{major: uint32(major), minor: uint32(minor), inode: inode}, true
}

// readBounded reads at most limit bytes of a file of /proc, which has no size.
func readBounded(path string, limit int64) (string, error) {
	text, _, err := readWithin(path, limit, func(int, time.Duration) bool { return false })
	return text, err
}

// readWithin reads at most limit bytes of a file of /proc, until enough says that
// what was read took long enough; cut is true if there may be more. It is called for each look at a
// download, and does no more than it must: a file of package os is also made known
// to the runtime's poller.
func readWithin(path string, limit int64, enough func(read int, took time.Duration) bool) (read string, cut bool, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", false, fmt.Errorf("cannot open %s: %w", path, err)
	}
	defer unix.Close(fd)
	var text strings.Builder
	buf := make([]byte, 4096)
	start := time.Now()
	for left := limit; left > 0; {
		n, err := unix.Read(fd, buf[:min(left, int64(len(buf)))])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return "", false, fmt.Errorf("cannot read %s: %w", path, err)
		case n == 0:
			return text.String(), false, nil
		default:
			text.Write(buf[:n])
			left -= int64(n)
		}
		if enough(text.Len(), time.Since(start)) {
			return text.String(), true, nil
		}
	}
	return text.String(), true, nil
}
