package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk is the little that is asked of a file system.
type disk interface {
	// replace puts data under that path in one step: a kill leaves the old
	// content or the new. After a power failure it may be either, or none.
	replace(path string, data []byte) error
	// replaceDurably is replace that returns when a power failure can't
	// undo it any more.
	replaceDurably(path string, data []byte) error
	// remove is content if there is nothing.
	remove(path string) error
}

// tempSuffix marks a file that is being written. There is one writer, so the
// name is fixed and what a kill leaves is overwritten, never piled up.
const tempSuffix = ".tmp"

type osDisk struct{}

func (osDisk) replace(path string, data []byte) error {
	return replaceBy(path, data, func(*os.File) error { return nil })
}

func (osDisk) replaceDurably(path string, data []byte) error {
	if err := replaceBy(path, data, (*os.File).Sync); err != nil {
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
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func replaceBy(path string, data []byte, finish func(*os.File) error) error {
	temp := path + tempSuffix
	if err := writeTemp(temp, data, finish); err != nil {
		// On a full disk even the torn file is in the way.
		_ = os.Remove(temp)
		return err
	}
	return os.Rename(temp, path)
}

func writeTemp(temp string, data []byte, finish func(*os.File) error) error {
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = finish(file)
	}
	return errors.Join(err, file.Close())
}
