package client

import (
	"errors"
	"io"
	"os"
)

// place puts the file itself into the snapshot, where links can't be made: a
// blob just fetched is moved there, one that was known is copied, since others
// may use it (read: huggingface_hub 2.4, file_download.py, _create_symlink). A
// second path with that content is therefore fetched again.
func (j *job) place() error {
	if j.fresh {
		return os.Rename(j.blob, j.pointer)
	}
	return copyFile(j.blob, j.pointer)
}

func copyFile(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, source)
	return errors.Join(err, f.Close())
}
