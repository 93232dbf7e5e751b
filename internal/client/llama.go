package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// llamaCpp is llama.cpp with -hf (read: common/hf-cache.cpp and
// common/download.cpp of 2026): refs/<branch> by way of refs/<branch>.tmp,
// then all files at a time into <oid>.downloadInProgress, resumed, and when
// all are there their links. No lock in what was read; a later file-lock.cpp
// was found that nothing was seen to use. An .etag file is written only for
// what doesn't come from a hub.
func llamaCpp(ctx context.Context, d *download, o order) error {
	ref := filepath.Join(d.dir, "refs", filepath.FromSlash(o.revision))
	if err := os.MkdirAll(filepath.Dir(ref), 0o777); err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(ref+".tmp", []byte(o.commit), 0o666), os.Rename(ref+".tmp", ref)); err != nil {
		return err
	}
	if err := d.Pause(ctx, Referred, ""); err != nil {
		return err
	}
	var jobs []*job
	for _, f := range o.files {
		if exists(d.pointer(o.commit, f.Path)) {
			continue
		}
		j, err := d.job(ctx, o.commit, f)
		if err != nil {
			return err
		}
		jobs = append(jobs, j)
	}
	// One content under two paths is fetched once: two threads of the real
	// one would append to one file.
	if err := together(missing(jobs), func(j *job) error { return j.inProgress(ctx) }); err != nil {
		return err
	}
	return d.exposeAll(ctx, jobs)
}

func (j *job) inProgress(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(j.blob), 0o777); err != nil {
		return err
	}
	partial := j.blob + ".downloadInProgress"
	if err := j.into(ctx, partial, os.O_APPEND, j.rest); err != nil {
		return err
	}
	return j.arrive(ctx, partial)
}
