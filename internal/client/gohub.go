package client

import (
	"context"
	"os"
	"path/filepath"
)

// goHub is github.com/gomlx/go-huggingface (read and seen: 0.3.1, hub/download.go
// and hub/files.go), which programs in Go use. What the hub says of the revision is
// kept in info/<branch>, anew for each run, and no ref. All files are fetched at a
// time, up to 20, each from the beginning to blobs/<etag>.downloading under
// blobs/<etag>.lock, which is removed when the blob is in its place; then comes the
// link. An error of one file ends all, and removes their partials.
func goHub(ctx context.Context, d *download, o order) error {
	info := filepath.Join(d.dir, "info", filepath.FromSlash(o.revision))
	if err := os.MkdirAll(filepath.Dir(info), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(info, []byte(`{"sha":"`+o.commit+`"}`), 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(d.dir, "snapshots", o.commit), 0o755); err != nil {
		return err
	}
	return d.eachMissing(ctx, o, func(ctx context.Context, j *job) error {
		if !exists(j.blob) {
			if err := j.downloading(ctx); err != nil {
				return err
			}
		}
		return j.expose(ctx)
	})
}

func (j *job) downloading(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(j.blob), 0o755); err != nil {
		return err
	}
	lock := j.blob + ".lock"
	return j.underLock(ctx, lock, 0o600, func(ctx context.Context) error {
		if exists(j.blob) {
			return nil
		}
		partial := j.blob + ".downloading"
		if err := j.into(ctx, partial, os.O_TRUNC, j.rest); err != nil {
			if !killed(ctx, err) {
				_ = os.Remove(partial)
			}
			return err
		}
		if err := j.arrive(ctx, partial); err != nil {
			return err
		}
		return os.Remove(lock)
	})
}
