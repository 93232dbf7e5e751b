package fsys

import (
	"bytes"
	"encoding/binary"
	"iter"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How much of a directory is read at once. Between two pieces of a List its
// caller does what is due, so these are smaller.
const (
	namesPiece = 64 << 10
	listPiece  = 32 << 10
)

var pieces = sync.Pool{New: func() any { return new([namesPiece]byte) }}

// Names calls yield for each entry, in the order of the directory, holding
// never more than a piece of it. It stops when yield says so. The name is
// valid during the call only: a directory may hold a million.
func (d Dir) Names(yield func(name string) bool) error {
	if err := again(func() error { return d.kernel.Rewind(d.fd) }); err != nil {
		return err
	}
	buf := pieces.Get().(*[namesPiece]byte)
	defer pieces.Put(buf)
	for {
		n, err := d.read(buf[:])
		if err != nil || n <= 0 {
			return err
		}
		for r := range records(buf[:n]) {
			//nolint:gosec // a string that lives as long as the call
			if !yield(unsafe.String(unsafe.SliceData(r.name), len(r.name))) {
				return nil
			}
		}
	}
}

// An Item is one entry of a List.
type Item struct {
	Name  []byte
	Inode uint64
	// Dir: it is a directory, Link: a symbolic link. Where the file system
	// doesn't say, both are set.
	Dir, Link bool
}

// List gives the entries in pieces that are valid during the call only, also
// of a directory that was opened for what lies in it. It ends with the first
// error of piece.
func (d Dir) List(piece func([]Item) error) error {
	listed, err := open(d.kernel, d.fd, ".", toList)
	if err != nil {
		return err
	}
	defer listed.Close()
	buf := pieces.Get().(*[namesPiece]byte)
	defer pieces.Put(buf)
	var items []Item
	for {
		n, err := listed.read(buf[:listPiece])
		if err != nil || n <= 0 {
			return err
		}
		items = appendItems(items[:0], buf[:n])
		if err := piece(items); err != nil {
			return err
		}
	}
}

// appendItems appends what a piece of a directory holds. The inode number
// comes for free here and tells a folder that was made again under its old
// name; without one, an entry has been deleted.
func appendItems(items []Item, piece []byte) []Item {
	for r := range records(piece) {
		if r.inode != 0 {
			unknown := r.kind == unix.DT_UNKNOWN
			items = append(items, Item{r.name, r.inode, unknown || r.kind == unix.DT_DIR, unknown || r.kind == unix.DT_LNK})
		}
	}
	return items
}

// read reads the next piece of the directory.
func (d Dir) read(buf []byte) (n int, err error) {
	err = again(func() (err error) {
		n, err = d.kernel.Getdents(d.fd, buf)
		return err
	})
	return n, err
}

// A record is one entry in a piece of a directory.
type record struct {
	name  []byte
	inode uint64
	kind  byte
}

// The layout of struct linux_dirent64: ino, off, reclen, type, name (getdents(2)).
const (
	recordLength = 16
	recordType   = 18
	recordName   = 19
)

// records goes through a piece of a directory as getdents64(2) lays it out.
func records(piece []byte) iter.Seq[record] {
	return func(yield func(record) bool) {
		for rest := piece; len(rest) > recordName; {
			length := int(binary.NativeEndian.Uint16(rest[recordLength:]))
			if length <= recordName || length > len(rest) {
				return
			}
			name := rest[recordName:length]
			if end := bytes.IndexByte(name, 0); end >= 0 {
				name = name[:end]
			}
			r := record{name, binary.NativeEndian.Uint64(rest), rest[recordType]}
			rest = rest[length:]
			if len(name) == 0 || string(name) == "." || string(name) == ".." {
				continue
			}
			if !yield(r) {
				return
			}
		}
	}
}
