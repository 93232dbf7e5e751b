package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"progressd/internal/wait"
)

// job is one file on its way.
type job struct {
	*download
	about
	path    string // in the repository
	blob    string // where the content goes
	stem    string // what the partial's name begins with
	probe   string // the directory of the umask probe
	pointer string // in the snapshot
	fresh   bool   // the blob was fetched, not found
}

// job is what there is to do for one file of a commit.
func (d *download) job(ctx context.Context, commit string, f listed) (*job, error) {
	a, err := d.about(ctx, commit, f)
	if err != nil {
		return nil, err
	}
	blobs := filepath.Join(d.dir, "blobs")
	j := &job{download: d, about: a, path: f.Path, blob: filepath.Join(blobs, a.etag), probe: d.dir, pointer: d.pointer(commit, f.Path)}
	j.stem = j.blob
	if d.probeInBlobs {
		j.probe = blobs
	}
	return j, nil
}

// pointer is a file's place in the snapshot.
func (d *download) pointer(commit, path string) string {
	return filepath.Join(d.dir, "snapshots", commit, filepath.FromSlash(path))
}

// file brings one file of a commit, in the order in which the real client
// touches the cache.
func (d *download) file(ctx context.Context, commit string, f listed) error {
	if exists(d.pointer(commit, f.Path)) {
		return nil
	}
	j, err := d.job(ctx, commit, f)
	if err != nil {
		return err
	}
	if err := j.prepare(); err != nil {
		return err
	}
	if exists(j.blob) && !d.lockForLink {
		return j.link()
	}
	return j.underLock(ctx, filepath.Join(d.locks, j.etag+".lock"), 0o664, j.locked)
}

// underLock does something while the lock of the file is held.
func (j *job) underLock(ctx context.Context, path string, perm fs.FileMode, do func(context.Context) error) error {
	unlock, err := j.lock(ctx, path, perm, j.path)
	if err != nil {
		return err
	}
	if err = j.Pause(ctx, Locked, j.path); err == nil {
		err = do(ctx)
	}
	if unlockErr := unlock(ctx, err); err == nil {
		err = unlockErr
	}
	if err == nil {
		err = j.Pause(ctx, Unlocked, j.path)
	}
	return err
}

// prepare makes the directories and the cache's tag.
func (j *job) prepare() error {
	for _, dir := range []string{filepath.Dir(j.blob), filepath.Dir(j.pointer)} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	if j.cacheTag {
		if err := tagCache(j.Root); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(j.locks, 0o777); err != nil {
		return err
	}
	if j.shares() {
		return once(&j.rootProbe, j.Root)
	}
	return nil
}

// locked does what is done under the file's lock.
func (j *job) locked(ctx context.Context) error {
	if err := j.fill(ctx); err != nil {
		return err
	}
	if !exists(j.pointer) {
		if err := j.link(); err != nil {
			return err
		}
	}
	return j.Pause(ctx, Linked, j.path)
}

// fill sees to it that the blob is there. The oldest generation looks only
// for the pointer: of two paths with one content it fetches both.
func (j *job) fill(ctx context.Context) error {
	if j.rootPartial && exists(j.pointer) || !j.rootPartial && exists(j.blob) {
		return nil
	}
	if j.shares() {
		if done, err := j.takeFromStore(ctx); done || err != nil {
			return err
		}
	}
	if err := j.fetch(ctx); err != nil {
		return err
	}
	j.fresh = true
	if err := j.Pause(ctx, Renamed, j.path); err != nil || !j.shares() {
		return err
	}
	return j.publish(ctx)
}

// fetch downloads to a partial and renames that.
func (j *job) fetch(ctx context.Context) (err error) {
	partial, mode := j.stem+".incomplete", os.O_WRONLY|os.O_CREATE|os.O_APPEND
	perm := fs.FileMode(0o666)
	switch {
	case j.ownPartial:
		partial, mode = j.stem+"."+hex8()+".incomplete", os.O_WRONLY|os.O_CREATE|os.O_TRUNC
	case j.rootPartial:
		partial, mode, perm = filepath.Join(j.Root, tempName()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600
	}
	if j.Transfer == HFTransfer {
		if err := remove(partial); err != nil {
			return err
		}
	}
	defer func() {
		if err != nil && j.ownPartial && !killed(ctx, err) {
			err = errors.Join(err, os.Remove(partial))
		}
	}()
	f, err := os.OpenFile(partial, mode, perm)
	if err != nil {
		return err
	}
	err = j.transfer(ctx, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return j.finish(ctx, partial)
}

// finish gives a full partial its mode and its name.
func (j *job) finish(ctx context.Context, partial string) error {
	probe := filepath.Join(j.probe, "tmp_"+uuid4())
	if err := os.WriteFile(probe, nil, 0o666); err != nil {
		return err
	}
	if err := j.Pause(ctx, Probed, j.path); err != nil {
		return err
	}
	info, err := os.Stat(probe)
	if err != nil {
		return err
	}
	if err := os.Chmod(partial, info.Mode().Perm()); err != nil {
		return err
	}
	if err := os.Remove(probe); err != nil {
		return err
	}
	return os.Rename(partial, j.blob)
}

// link puts the file's symlink into the snapshot.
func (j *job) link() error {
	if j.NoSymlinks {
		return j.place()
	}
	if err := once(&j.repoProbe, j.dir); err != nil {
		return err
	}
	return j.symlink()
}

// symlink makes the link that every client makes.
func (j *job) symlink() error {
	text, err := filepath.Rel(filepath.Dir(j.pointer), j.blob)
	if err != nil {
		return err
	}
	if err := os.Symlink(text, j.pointer); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// lock takes a flock and polls where it is held, as the lock library does: each try
// truncates the file, so that its time tells when it was taken.
// What it returns gives the lock back; a killed process leaves that to the
// kernel, and the lock file where it is.
func (d *download) lock(ctx context.Context, path string, perm fs.FileMode, file string) (func(context.Context, error) error, error) {
	for waited := false; ; waited = true {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, perm)
		if err != nil {
			return nil, err
		}
		if d.tryLock(f, path) {
			return func(ctx context.Context, cause error) error {
				if d.RemoveLocks && !killed(ctx, cause) {
					return errors.Join(os.Remove(path), f.Close())
				}
				return f.Close()
			}, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		if !waited {
			if err := d.Pause(ctx, Waiting, file); err != nil {
				return nil, err
			}
		}
		if err := wait.For(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// tryLock takes the lock unless somebody has it, or the file has been removed
// since it was opened and so guards nothing.
func (d *download) tryLock(f *os.File, path string) bool {
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false
	}
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

// remove removes a file that may not be there.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// tagCache marks the root for backup tools, once.
func tagCache(root string) error {
	path := filepath.Join(root, "CACHEDIR.TAG")
	if exists(path) {
		return nil
	}
	text := strings.Join([]string{
		"Signature: 8a477f597d28d172789f06886806bc55",
		"# This file is a cache directory tag created by huggingface_hub.",
		"# For information about cache directory tags, see:",
		"#	https://bford.info/cachedir/", "",
	}, "\n")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		return fmt.Errorf("cannot tag the cache: %w", err)
	}
	return nil
}
