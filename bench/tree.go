package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// A shape is a cache at rest: repositories with so many finished blobs, each
// of which two snapshots link.
type shape struct{ repos, files int }

func (s shape) String() string {
	return fmt.Sprintf("%d repositories x %d files, two snapshots each", s.repos, s.files)
}

// blobSize is the size of a finished blob. It is sparse: nobody reads it.
const blobSize = 1_000_000

// snapshots are the commits that every repository has.
var snapshots = []string{
	"1111111111111111111111111111111111111111",
	"2222222222222222222222222222222222222222",
}

// tree gives the root of a cache of that shape, and builds it unless a former
// run has.
func (b *bench) tree(ctx context.Context, s shape) (string, error) {
	name := fmt.Sprintf("cache-%dx%d", s.repos, s.files)
	return b.built(name, func(root string) error { return buildRepos(ctx, root, s) })
}

func buildRepos(ctx context.Context, root string, s shape) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i := range s.repos {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return buildRepo(filepath.Join(root, fmt.Sprintf("models--org--model-%05d", i)), i, s.files, snapshots)
		})
	}
	return group.Wait()
}

// largeFolder is the one repository of very many blobs.
const largeFolder = "datasets--org--large"

// large gives the root of a cache with one repository of so many blobs among
// others of a few.
func (b *bench) large(ctx context.Context, blobs, others int) (string, error) {
	return b.built(fmt.Sprintf("cache-%d-among-%d", blobs, others), func(root string) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return buildRepo(filepath.Join(root, largeFolder), others, blobs, snapshots[:1]) })
		group.Go(func() error { return buildRepos(ctx, root, shape{others, 1}) })
		return group.Wait()
	})
}

// built calls build on a new directory of that name, once.
func (b *bench) built(name string, build func(root string) error) (string, error) {
	root := filepath.Join(b.dir, name)
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	fmt.Fprintf(b.note, "   building %s\n", name)
	half := root + ".building"
	if err := errors.Join(os.RemoveAll(half), os.MkdirAll(half, 0o755)); err != nil {
		return "", err
	}
	if err := build(half); err != nil {
		return "", fmt.Errorf("cannot build %s: %w", name, err)
	}
	return root, os.Rename(half, root)
}

// buildRepo makes a repository with finished blobs, and snapshots that link
// all of them.
func buildRepo(dir string, number, files int, commits []string) error {
	dirs := []string{"blobs", "refs"}
	for _, commit := range commits {
		dirs = append(dirs, "snapshots/"+commit)
	}
	for _, d := range dirs {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "refs/main"), []byte(commits[len(commits)-1]), 0o644); err != nil {
		return err
	}
	blobs, err := os.Open(filepath.Join(dir, "blobs"))
	if err != nil {
		return err
	}
	defer blobs.Close()
	for i := range files {
		if err := emptyBlob(int(blobs.Fd()), etag(number, i)); err != nil {
			return err
		}
	}
	for _, commit := range commits {
		if err := linkAll(filepath.Join(dir, "snapshots", commit), number, files); err != nil {
			return err
		}
	}
	return nil
}

func emptyBlob(dir int, name string) error {
	fd, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return fmt.Errorf("cannot make blob %s: %w", name, err)
	}
	return errors.Join(unix.Ftruncate(fd, blobSize), unix.Close(fd))
}

func linkAll(path string, number, files int) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	for i := range files {
		name := fmt.Sprintf("model-%07d.safetensors", i)
		if err := unix.Symlinkat("../../blobs/"+etag(number, i), int(dir.Fd()), name); err != nil {
			return fmt.Errorf("cannot link %s: %w", name, err)
		}
	}
	return nil
}

// etag is a blob's name, as long and as scattered as a sha256.
func etag(repo, file int) string {
	const odd = 0x9e3779b97f4a7c15
	x := (uint64(repo)<<32 + uint64(file) + 1) * odd
	return fmt.Sprintf("%016x%016x%016x%016x", x, x*odd, x^odd, uint64(repo)<<32+uint64(file))
}
