// Command writer puts a model into a cache as huggingface_hub does: listing,
// ref, lock, partial, rename, link, unlock. It stops at 110 of 130 MB, says
// so, and goes on when its standard input ends, so that a script can do things
// in the middle of a download.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	size   = 130_000_000
	middle = 110_000_000
	chunk  = 10 << 20
	commit = "0123456789abcdef0123456789abcdef01234567"
	file   = "model.safetensors"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: writer CACHE ORG/NAME")
		os.Exit(2)
	}
	if err := download(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "writer:", err)
		os.Exit(1)
	}
}

func download(cache, repo string) error {
	folder := "models--" + strings.ReplaceAll(repo, "/", "--")
	dir := filepath.Join(cache, folder)
	sum := sha256.Sum256([]byte(repo))
	etag := hex.EncodeToString(sum[:])

	listing := fmt.Sprintf(`{"format_version":1,"files":{%q:{"size":%d,"blob_id":%q,"lfs_sha256":%q,"lfs_size":%d}}}`,
		file, size, commit, etag, size)
	if err := put(filepath.Join(dir, "trees", commit+".json"), listing); err != nil {
		return err
	}
	if err := put(filepath.Join(dir, "refs", "main"), commit); err != nil {
		return err
	}
	held, err := lock(filepath.Join(cache, ".locks", folder, etag+".lock"))
	if err != nil {
		return err
	}
	defer held.Close()
	blob := filepath.Join(dir, "blobs", etag)
	if err := fill(blob + ".1a2b3c4d.incomplete"); err != nil {
		return err
	}
	if err := os.Rename(blob+".1a2b3c4d.incomplete", blob); err != nil {
		return err
	}
	link := filepath.Join(dir, "snapshots", commit, file)
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	return os.Symlink("../../blobs/"+etag, link)
}

// put writes a small file under another name, then renames it.
func put(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// lock takes the lock until the file is closed.
func lock(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	return f, unix.Flock(int(f.Fd()), unix.LOCK_EX)
}

func fill(partial string) error {
	if err := os.MkdirAll(filepath.Dir(partial), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := grow(f, middle); err != nil {
		return err
	}
	fmt.Println("middle")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return grow(f, size-middle)
}

func grow(f *os.File, n int) error {
	block := make([]byte, chunk)
	for n > 0 {
		wrote, err := f.Write(block[:min(n, chunk)])
		if err != nil {
			return err
		}
		n -= wrote
	}
	return nil
}
