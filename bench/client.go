package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A download writes files into a cache as huggingface_hub does: listing, ref,
// lock, partial, rename, link, unlock.
type download struct {
	root, folder, commit string
	files                []*incoming
}

// An incoming is one file of a download.
type incoming struct {
	of   *download
	name string
	etag string
	size int64
	file *os.File
	lock *os.File
}

// newDownload lays down what comes before the first byte: directories, the
// listing, the ref. number tells the blobs of different downloads apart.
func newDownload(root, repo, commit string, number, files int, size int64) (*download, error) {
	d := &download{root: root, folder: "models--" + strings.ReplaceAll(repo, "/", "--"), commit: commit}
	var listed []string
	for i := range files {
		in := &incoming{of: d, name: fmt.Sprintf("model-%05d.safetensors", i), etag: etag(number, i), size: size}
		d.files = append(d.files, in)
		listed = append(listed, fmt.Sprintf(`%q:{"size":%d,"blob_id":%q,"lfs_sha256":%q,"lfs_size":%d}`,
			in.name, size, commit, in.etag, size))
	}
	for _, dir := range []string{"trees", "refs", "blobs", "snapshots/" + commit} {
		if err := os.MkdirAll(d.path(dir), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(root, ".locks", d.folder), 0o755); err != nil {
		return nil, err
	}
	listing := `{"format_version":1,"files":{` + strings.Join(listed, ",") + `}}`
	temporary := d.path("trees/tmp0123.tmp")
	return d, errors.Join(
		os.WriteFile(temporary, []byte(listing), 0o644),
		os.Rename(temporary, d.path("trees/"+commit+".json")),
		os.WriteFile(d.path("refs/main"), []byte(commit), 0o644),
	)
}

func (d *download) path(rest string) string { return filepath.Join(d.root, d.folder, rest) }

// takeLock takes the lock of a blob.
func (in *incoming) takeLock() (err error) {
	path := filepath.Join(in.of.root, ".locks", in.of.folder, in.etag+".lock")
	if in.lock, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return err
	}
	return unix.Flock(int(in.lock.Fd()), unix.LOCK_EX)
}

// create makes the partial.
func (in *incoming) create() (err error) {
	path := in.of.path("blobs/" + in.etag + ".0a1b2c3d.incomplete")
	in.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	return err
}

// fill writes the whole file in pieces of a chunk.
func (in *incoming) fill(chunk []byte) error {
	for left := in.size; left > 0; {
		n, err := in.file.Write(chunk[:min(left, int64(len(chunk)))])
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

// finish renames the partial to the blob.
func (in *incoming) finish() error {
	err := in.file.Close()
	return errors.Join(err, os.Rename(in.file.Name(), in.of.path("blobs/"+in.etag)))
}

// link puts the blob into the snapshot.
func (in *incoming) link() error {
	return os.Symlink("../../blobs/"+in.etag, in.of.path("snapshots/"+in.of.commit+"/"+in.name))
}

func (in *incoming) unlock() error { return in.lock.Close() }
