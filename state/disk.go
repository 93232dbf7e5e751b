package state

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk is the little that is asked of a file system.
type disk interface {
	// extend appends to the file at path, which must be as long as size: else
	// it isn't the one that was written last. A kill leaves a part of it, from
	// the beginning. durably: it returns when a power failure can't undo it any
	// more.
	extend(path string, size int64, data []byte, durably bool) error
	// rewrite puts what write writes under that path in one step: a kill or a
	// power failure leaves the old content or the new.
	rewrite(path string, write func(io.Writer) error) error
	// remove is content if there is nothing.
	remove(path string) error
}

// tempSuffix marks a file that is being written. There is one writer, so the
// name is fixed and what a kill leaves is overwritten, never piled up.
const tempSuffix = ".tmp"

// errOther: the file is not the one that was written last.
var errOther = errors.New("the file was changed by something else")

type osDisk struct{}

//
//nolint:revive // durably is asked for by the record, as in replace and replaceDurably
func (osDisk) extend(path string, size int64, data []byte, durably bool) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != size || !info.Mode().IsRegular() {
		return errOther
	}
	if _, err := file.Write(data); err != nil || !durably {
		return err
	}
	return unix.Fdatasync(int(file.Fd()))
}

func (osDisk) rewrite(path string, write func(io.Writer) error) error {
	temp := path + tempSuffix
	if err := writeTemp(temp, write); err != nil {
		// On a full disk even the torn file is in the way.
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

func writeTemp(temp string, write func(io.Writer) error) error {
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 64<<10)
	err = write(out)
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
