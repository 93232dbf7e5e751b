package watcher

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// files is what the watcher asks of a file system. Tests put faults here.
type files interface {
	// Open gives a descriptor of a directory that is good for Stat and
	// List only. A link as the last element is not followed.
	Open(path string) (int, error)
	// Stat looks at name in the directory fd, following no link; the empty
	// name is fd itself.
	Stat(fd int, name string, st *unix.Stat_t) error
	// List gives the entries of the directory fd in pieces that are valid
	// during the call only.
	List(fd int, piece func([]entry) error) error
}

// An entry of a directory.
type entry struct {
	name []byte
	ino  uint64
	// dir: it is a directory, or the file system doesn't say.
	dir bool
}

type osFiles struct{}

func (osFiles) Open(path string) (int, error) {
	var fd int
	err := again(func() (err error) {
		fd, err = unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

func (osFiles) Stat(fd int, name string, st *unix.Stat_t) error {
	for {
		err := unix.Fstatat(fd, name, st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT)
		if err != unix.EINTR {
			return err
		}
	}
}

func (osFiles) List(fd int, piece func([]entry) error) error {
	var dir int
	err := again(func() (err error) {
		dir, err = unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	buf := make([]byte, 32<<10)
	var entries []entry
	for {
		n, err := unix.Getdents(dir, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case n == 0:
			return nil
		}
		entries = parseEntries(buf[:n], entries[:0])
		if err := piece(entries); err != nil {
			return err
		}
	}
}

func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// The layout of struct linux_dirent64: ino, off, reclen, type, name (getdents(2)).
const (
	direntReclen = 16
	direntType   = 18
	direntName   = 19
)

// parseEntries appends the entries in buf, as getdents64 filled it, to out. It
// is done by hand because the inode number comes for free here and tells a
// folder that was made again under its old name.
func parseEntries(buf []byte, out []entry) []entry {
	for len(buf) > direntName {
		n := int(binary.NativeEndian.Uint16(buf[direntReclen:]))
		if n <= direntName || n > len(buf) {
			break
		}
		name := buf[direntName:n]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		ino, kind := binary.NativeEndian.Uint64(buf), buf[direntType]
		buf = buf[n:]
		if ino == 0 || len(name) == 0 || string(name) == "." || string(name) == ".." {
			continue
		}
		out = append(out, entry{name: name, ino: ino, dir: kind == unix.DT_DIR || kind == unix.DT_UNKNOWN})
	}
	return out
}

// remoteNames are the file systems on which other machines, or a program
// behind the kernel's back, write without an event here; and on which one
// hanging server would hold up all events. The numbers are those of
// linux/magic.h and, where that has none, of the file systems' own sources.
var remoteNames = map[uint32]string{
	0x6969: "nfs", 0x517b: "smb", 0xfe534d42: "smb2", 0xff534d42: "cifs", 0x65735546: "fuse",
	0x01021997: "9p", 0x5346414f: "afs", 0x6b414653: "afs", 0x73757245: "coda", 0x564c: "ncp",
	0x00c36400: "ceph", 0x0bd00bd0: "lustre", 0x47504653: "gpfs", 0x20030528: "orangefs",
	0x19830326: "beegfs", 0xaad7aaea: "panfs", 0x01161970: "gfs2", 0x7461636f: "ocfs2",
	0x786f4256: "vboxsf", 0xbacbacbc: "vmhgfs", 0x7c7c6673: "prl_fs",
}

// remote names the network file system that a directory is on; empty if it is
// local.
func remote(d fsys.Dir) (string, error) {
	st, err := d.Statfs()
	if err != nil {
		return "", err
	}
	return remoteNames[uint32(st.Type)], nil //nolint:gosec // the magic numbers have 32 bits
}
