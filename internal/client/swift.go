package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// swift is swift-huggingface (read: 0.8.1, HubClient+Files.swift and
// HubCache.swift): a file comes to a temporary directory outside of the cache,
// under .locks/<repo>/blobs/<etag>.lock; then it is copied to its blob, under
// the blob's own name from the first byte on, linked, and the ref is written.
// An <etag>.incomplete that another client has left would be gone on with;
// that is left out here.
func swift(ctx context.Context, d *download, o order) error {
	locks := filepath.Join(d.locks, "blobs")
	if err := os.MkdirAll(locks, 0o777); err != nil {
		return err
	}
	return d.eachMissing(ctx, o, func(ctx context.Context, j *job) error {
		return j.underLock(ctx, filepath.Join(locks, j.etag+".lock"), 0o644, func(ctx context.Context) error {
			if !exists(j.blob) {
				if err := j.fromOutside(ctx); err != nil {
					return err
				}
			}
			if err := j.expose(ctx); err != nil {
				return err
			}
			return d.saveRef(ctx, o.revision, o.commit)
		})
	})
}

// fromOutside fetches the file and copies it to its place. Nothing is left of
// it outside, however it ends.
func (j *job) fromOutside(ctx context.Context) error {
	outside, err := os.CreateTemp("", "CFNetworkDownload_*.tmp")
	if err != nil {
		return err
	}
	defer outside.Close()
	if err := os.Remove(outside.Name()); err != nil {
		return err
	}
	answer, err := j.request(ctx, http.MethodGet, j.url, 0)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(outside, answer.Body); err != nil {
		return err
	}
	if _, err := outside.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(j.blob), 0o777); err != nil {
		return err
	}
	if err := j.into(ctx, j.blob, os.O_EXCL, func(ctx context.Context, f *os.File) error {
		return j.copyIn(ctx, f, outside)
	}); err != nil {
		return err
	}
	return j.Pause(ctx, Renamed, j.path)
}

func (j *job) copyIn(ctx context.Context, f *os.File, from io.Reader) error {
	for {
		_, err := io.CopyN(f, from, int64(j.Chunk))
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := j.Pause(ctx, Written, j.path); err != nil {
			return err
		}
	}
}
