// Package confine takes from this process, for good, what it needs no more: by
// Landlock, which no right of a user and no capability overrides.
package confine

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rules are what stays allowed. Names stay visible everywhere; a path that isn't
// there is left out. Each counts for what is beneath it, too.
type Rules struct {
	// Read are whose contents may be read, Write those that may be changed as well.
	Read, Write []string
}

const (
	toRead  = unix.LANDLOCK_ACCESS_FS_READ_FILE
	toWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	// toRun is allowed nowhere.
	toRun = unix.LANDLOCK_ACCESS_FS_EXECUTE
	// ofFiles are those that a rule for a file may name.
	ofFiles = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
)

// The versions of Landlock from which on it guards these as well.
const (
	knowsRefer    = 2
	knowsTruncate = 3
)

// Version is that of the kernel's Landlock; 0: it has none, or keeps it from this
// process.
func Version() int {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(version)
}

// Restrict confines all threads of this process, and all that it will ever start.
// It can't be undone, nor be widened by another call.
func Restrict(rules Rules) error {
	writing := uint64(toWrite)
	version := Version()
	if version >= knowsRefer {
		writing |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= knowsTruncate {
		writing |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: writing | toRead | toRun}
	ruleset, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0) //nolint:gosec // the kernel takes it by its address
	if errno != 0 {
		return fmt.Errorf("cannot make a set of Landlock's rules: %w", errno)
	}
	defer unix.Close(int(ruleset))
	for _, path := range rules.Read {
		if err := allow(int(ruleset), path, toRead); err != nil {
			return err
		}
	}
	for _, path := range rules.Write {
		if err := allow(int(ruleset), path, toRead|writing); err != nil {
			return err
		}
	}
	// An unprivileged process has to say first that it gains nothing by set-user-id files.
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); errno != 0 {
		return fmt.Errorf("cannot give up new privileges: %w", errno)
	}
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0); errno != 0 {
		return fmt.Errorf("cannot put Landlock's rules in force: %w", errno)
	}
	return nil
}

// allow adds a rule, unless there is no such path.
func allow(ruleset int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOTDIR) {
		return nil // what can't be reached needs no rule
	}
	if err != nil {
		return fmt.Errorf("cannot allow %q: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("cannot allow %q: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= ofFiles
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)} //nolint:gosec // a descriptor is small
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 { //nolint:gosec // likewise
		return fmt.Errorf("cannot allow %q: %w", path, errno)
	}
	return nil
}
