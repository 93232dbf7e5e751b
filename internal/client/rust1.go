package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
)

// rust1 is Rust hf-hub 1.0 (read: repository/download.rs, xet.rs and
// cache/storage.rs of Aug 2026), which is also what its command line hfrs
// does. Files that come by plain HTTP go to <etag>.incomplete each for itself,
// always from the beginning, under .locks/<repo>/<etag>.lock. All Xet files
// are one batch beside them: all locks, then all partials, and all renames and
// links when the last byte of the last one is there. The ref comes last.
func rust1(ctx context.Context, d *download, o order) error {
	if err := os.MkdirAll(d.locks, 0o777); err != nil {
		return err
	}
	var plain []listed
	var batch []*job
	for _, f := range o.files {
		switch {
		case exists(d.pointer(o.commit, f.Path)):
			continue
		case f.XetHash == "":
			plain = append(plain, f)
			continue
		}
		j, err := d.job(ctx, o.commit, f)
		if err != nil {
			return err
		}
		batch = append(batch, j)
	}
	var group sync.WaitGroup
	var failed error
	group.Go(func() { failed = d.batch(ctx, batch) })
	err := d.each(ctx, plain, func(ctx context.Context, f listed) error { return d.rust1File(ctx, o.commit, f) })
	group.Wait()
	if err := errors.Join(failed, err); err != nil {
		return err
	}
	return d.saveRef(ctx, o.revision, o.commit)
}

func (d *download) rust1File(ctx context.Context, commit string, f listed) error {
	j, err := d.job(ctx, commit, f)
	if err != nil {
		return err
	}
	if exists(j.blob) {
		return j.expose(ctx)
	}
	return j.underLock(ctx, j.lockPath(), 0o666, func(ctx context.Context) error {
		if err := os.MkdirAll(filepath.Dir(j.blob), 0o777); err != nil {
			return err
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

func (j *job) lockPath() string { return filepath.Join(j.locks, j.etag+".lock") }

// batch brings Xet files together. One content under two paths is fetched
// once: the real one waits for its own lock there until it gives up.
func (d *download) batch(ctx context.Context, files []*job) (err error) {
	batch := missing(files)
	if len(batch) == 0 {
		return d.exposeAll(ctx, files)
	}
	var unlocks []func(context.Context, error) error
	defer func() {
		for _, unlock := range unlocks {
			err = errors.Join(err, unlock(ctx, err))
		}
	}()
	for _, j := range batch {
		unlock, err := d.lock(ctx, j.lockPath(), 0o666, j.path)
		if err != nil {
			return err
		}
		unlocks = append(unlocks, unlock)
		if err := d.Pause(ctx, Locked, j.path); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(batch[0].blob), 0o777); err != nil {
		return err
	}
	if err := together(batch, func(j *job) error { return j.into(ctx, j.blob+".incomplete", os.O_TRUNC, j.burst) }); err != nil {
		return err
	}
	for _, j := range batch {
		if err := j.arrive(ctx, j.blob+".incomplete"); err != nil {
			return err
		}
	}
	return d.exposeAll(ctx, files)
}

// missing are those whose blob isn't there, each content once.
func missing(files []*job) []*job {
	var found []*job
	seen := map[string]bool{}
	for _, j := range files {
		if !seen[j.etag] && !exists(j.blob) {
			found = append(found, j)
		}
		seen[j.etag] = true
	}
	return found
}

func (d *download) exposeAll(ctx context.Context, files []*job) error {
	for _, j := range files {
		if err := j.expose(ctx); err != nil {
			return err
		}
	}
	return nil
}

// together does something for all jobs at a time.
func together(jobs []*job, do func(*job) error) error {
	var group sync.WaitGroup
	failed := make([]error, len(jobs))
	for i, j := range jobs {
		group.Go(func() { failed[i] = do(j) })
	}
	group.Wait()
	return errors.Join(failed...)
}
