package state

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// disk is the little that is asked of a file system.
type disk interface {
	// replace puts data under that path in one step: a kill leaves the old
	// content or the new. After a power failure it may be either, or one
	// before them, or none.
	replace(path string, data []byte) error
	// replaceDurably is replace that returns when a power failure can't
	// undo it any more.
	replaceDurably(path string, data []byte) error
	// remove is content if there is nothing.
	remove(path string) error
}

// tempSuffix marks a file that is being written. There is one writer, so the
// name is fixed and what a kill leaves is overwritten, never piled up. Between
// two writes it may hold the content before last.
const tempSuffix = ".tmp"

type osDisk struct{}

// replace writes over the content before last and lets the two files change
// names. It is called for each line of progress. To make a file anew each time
// takes seven times as long, 500 us against 75 on ext4 (seen): there a free
// inode is searched for, and what replaces another file is sent to the disk at
// once.
func (osDisk) replace(path string, data []byte) error {
	temp := path + tempSuffix
	if err := overwrite(temp, path, data); err != nil {
		// On a full disk even the torn file is in the way.
		_ = os.Remove(temp)
		return err
	}
	if unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE) == nil {
		return nil
	}
	// There is no former content, or the file system can't do that.
	return os.Rename(temp, path)
}

func (osDisk) replaceDurably(path string, data []byte) error {
	temp := path + tempSuffix
	if err := writeTemp(temp, data); err != nil {
		_ = os.Remove(temp)
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func (osDisk) remove(path string) error {
	return cmp.Or(removeAny(path), removeAny(path+tempSuffix))
}

func removeAny(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func writeTemp(temp string, data []byte) error {
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// overwrite gives the file at temp, which is to change names with that at path,
// its content.
func overwrite(temp, path string, data []byte) (err error) {
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	former, err := file.Stat()
	if err != nil {
		return err
	}
	data = padded(data, former.Size())
	if former.Size() > int64(len(data)) {
		if err := file.Truncate(int64(len(data))); err != nil {
			return err
		}
	}
	if _, err := file.WriteAt(data, 0); err != nil || former.Size() > 0 {
		return err
	}
	if _, err := os.Lstat(path); err != nil {
		return nil // there is nothing to be lost
	}
	// A new file has no block yet: after a power failure it would be empty, and
	// the content whose place it has taken gone.
	return file.Sync()
}

// padded appends spaces, which JSON doesn't mind, up to the size of the file
// that data is written over, or the end of its last block: so that the file
// needn't be cut off.
func padded(data []byte, size int64) []byte {
	const block = 4096
	size = min(size, int64(len(data)+block-1)/block*block)
	return append(slices.Clip(data), bytes.Repeat([]byte{' '}, max(int(size)-len(data), 0))...)
}
