package client

import (
	"context"
	"os"
	"path/filepath"
)

// js is snapshotDownload of @huggingface/hub (read: 2.15.0, snapshot-download.ts
// and download-file-to-cache-dir.ts): the ref first, then one file after
// another into <etag>.incomplete, from the beginning at each attempt. No lock;
// what fails leaves its partial.
func js(ctx context.Context, d *download, o order) error {
	if err := d.saveRef(ctx, o.revision, o.commit); err != nil {
		return err
	}
	return d.eachMissing(ctx, o, func(ctx context.Context, j *job) error {
		for _, dir := range []string{filepath.Dir(j.blob), filepath.Dir(j.pointer)} {
			if err := os.MkdirAll(dir, 0o777); err != nil {
				return err
			}
		}
		if exists(j.blob) {
			return j.expose(ctx)
		}
		partial := j.blob + ".incomplete"
		if err := j.into(ctx, partial, os.O_TRUNC, j.rest); err != nil {
			return err
		}
		if err := j.arrive(ctx, partial); err != nil {
			return err
		}
		return j.expose(ctx)
	})
}
