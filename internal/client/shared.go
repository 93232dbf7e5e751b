package client

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// shares reports whether the file goes through the store of blobs that all
// repositories of the cache share: only Xet files have the name for it.
func (j *job) shares() bool { return j.SharedStore && j.listing && j.xetHash != "" }

// stored is the file's place in the store, and the link text that leads there
// from blobs/.
func (j *job) stored() (path, link string) {
	rel := filepath.Join("blobs", j.xetHash[:2], j.xetHash)
	return filepath.Join(j.Root, rel), filepath.Join("..", "..", rel)
}

// takeFromStore links a blob that another repository has brought: no bytes.
func (j *job) takeFromStore(ctx context.Context) (done bool, err error) {
	store, link := j.stored()
	if !exists(filepath.Join(j.Root, "blobs", ".huggingface-shared-blobs")) || !exists(filepath.Dir(store)) {
		return false, nil
	}
	unlock, err := j.lock(ctx, store+".lock", 0o666, j.path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, unlock(ctx, err)) }()
	if info, statErr := os.Lstat(store); statErr != nil || info.Size() != j.size {
		return false, nil
	}
	tmp, err := j.linkBeside(link)
	if err != nil {
		return false, err
	}
	if err := j.refer(store); err != nil {
		return false, err
	}
	return true, os.Rename(tmp, j.blob)
}

// publish moves a finished blob into the store and puts a symlink into its
// place; between the two nothing has the blob's name.
func (j *job) publish(ctx context.Context) (err error) {
	store, link := j.stored()
	if err := markStore(filepath.Join(j.Root, "blobs")); err != nil {
		return err
	}
	if err := mkdir(filepath.Dir(store)); err != nil {
		return err
	}
	unlock, err := j.lock(ctx, store+".lock", 0o666, j.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock(ctx, err)) }()
	tmp, err := j.linkBeside(link)
	if err != nil {
		return err
	}
	if err := j.refer(store); err != nil {
		return err
	}
	if !exists(store) {
		if err := os.Chmod(j.blob, 0o444); err != nil {
			return err
		}
		if err := os.Rename(j.blob, store); err != nil {
			return err
		}
		if err := j.Pause(ctx, Moved, j.path); err != nil {
			return err
		}
	}
	return os.Rename(tmp, j.blob)
}

// linkBeside makes the link under a name of its own in blobs/.
func (j *job) linkBeside(link string) (string, error) {
	tmp := filepath.Join(filepath.Dir(j.blob), "."+j.etag+"."+hex8()+".shared")
	return tmp, os.Symlink(link, tmp)
}

// refer notes in the store who uses a blob.
func (j *job) refer(store string) error {
	rel, err := filepath.Rel(j.Root, j.blob)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(store+".refs", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	_, err = f.WriteString(rel + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

// markStore makes the store and the file that marks it as one.
func markStore(dir string) error {
	marker := filepath.Join(dir, ".huggingface-shared-blobs")
	if err := mkdir(dir); err != nil || exists(marker) {
		return err
	}
	tmp := marker + "." + hex8() + ".tmp"
	if err := os.WriteFile(tmp, []byte("1\n"), 0o444); err != nil {
		return err
	}
	return os.Rename(tmp, marker)
}

func mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
