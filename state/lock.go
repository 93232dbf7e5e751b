package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked is matched by the error of Open where another daemon uses the
// state directory.
var ErrLocked = errors.New("state directory in use")

// lockedError names who holds the lock.
type lockedError struct {
	dir string
	pid int // 0 if unknown
}

func (e lockedError) Error() string {
	who := ""
	if e.pid > 0 {
		who = fmt.Sprintf(" (pid %d)", e.pid)
	}
	return fmt.Sprintf("another progressd%s uses the state directory %q: stop it or set [state] dir", who, e.dir)
}

func (e lockedError) Is(target error) bool { return target == ErrLocked }

// dirLock is the flock that keeps a second daemon out of a state directory.
type dirLock struct{ file *os.File }

// lockPatience is how long a held lock is tried again. A child that is just
// being forked shares the open files of its parent until it runs its own
// program: for some milliseconds it may hold a lock that the parent released.
const lockPatience = 300 * time.Millisecond

// awaitLock is takeLock for a start: it gives up on a held lock only when that
// stays held.
func awaitLock(dir string) (*dirLock, error) {
	for deadline := time.Now().Add(lockPatience); ; {
		lock, err := takeLock(dir)
		if !errors.Is(err, ErrLocked) || !time.Now().Before(deadline) {
			return lock, err
		}
		<-time.After(lockPatience / 10)
	}
}

// takeLock makes the directory if need be and locks it.
func takeLock(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the state directory: %w", err)
	}
	file, err := openLock(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("cannot lock the state directory: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		defer file.Close()
		return nil, lockedError{dir: dir, pid: readPID(file)}
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot lock the state directory %q: %w", dir, err)
	}
	writePID(file)
	return &dirLock{file: file}, nil
}

// openLock falls back to reading: a lock file on a read-only file system can
// still be locked.
func openLock(path string) (*os.File, error) {
	const flags = unix.O_NOFOLLOW | unix.O_NONBLOCK
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|flags, 0o600)
	if err == nil {
		return file, nil
	}
	if file, readErr := os.OpenFile(path, os.O_RDONLY|flags, 0); readErr == nil {
		return file, nil
	}
	return nil, err
}

// writePID may fail: the pid only makes a message clearer.
func writePID(file *os.File) {
	if file.Truncate(0) == nil {
		_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
}

func readPID(file *os.File) int {
	data, err := io.ReadAll(io.NewSectionReader(file, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0
	}
	return pid
}

// held reports whether the lock still guards the directory of that path: not
// if that was removed, moved or mounted over since.
func (l *dirLock) held(dir string) bool {
	if l == nil {
		return false
	}
	mine, err := l.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(filepath.Join(dir, lockFile))
	return err == nil && os.SameFile(mine, there)
}

func (l *dirLock) release() {
	if l != nil {
		l.file.Close()
	}
}
