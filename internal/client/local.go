package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"progressd/hfcache"
)

// The directories of a download that goes into one of its own (--local-dir),
// as seen in 0.26, 0.36 and 2.4. Older ones write it through the cache.
func (d *download) meta() string {
	return filepath.Join(d.LocalDir, filepath.FromSlash(hfcache.LocalMeta))
}

func (d *download) stage() string {
	return filepath.Join(d.LocalDir, filepath.FromSlash(hfcache.LocalStage))
}

// bring brings one file of a commit to where it belongs.
func (d *download) bring(ctx context.Context, commit string, f listed) error {
	if d.LocalDir == "" {
		return d.file(ctx, commit, f)
	}
	if d.rootPartial {
		return fmt.Errorf("generation %q has no directory of its own for a download", d.Generation)
	}
	return d.localFile(ctx, commit, f)
}

// localFile brings one file in the order in which the real client touches the
// directory.
func (d *download) localFile(ctx context.Context, commit string, f listed) error {
	path := filepath.FromSlash(f.Path)
	place, note := filepath.Join(d.LocalDir, path), hfcache.LocalNote(filepath.Join(d.stage(), path))
	lock := filepath.Join(d.stage(), path) + ".lock"
	if err := d.localDirs(place, note); err != nil {
		return err
	}
	former, err := d.readNote(ctx, lock, note, place)
	if err != nil || former != nil && former[0] == commit && exists(place) {
		return err
	}
	a, err := d.about(ctx, commit, f)
	if err != nil {
		return err
	}
	if former == nil || former[1] != a.etag || !exists(place) {
		j := &job{download: d, about: a, path: f.Path, blob: place, probe: filepath.Dir(note)}
		if !d.probeInBlobs {
			j.probe = filepath.Dir(filepath.Dir(place))
		}
		j.stem = filepath.Join(filepath.Dir(note), hfcache.LocalHash(filepath.Base(path))+"."+a.etag)
		if !d.localHash {
			j.stem = filepath.Join(d.stage(), path) + "." + a.etag
		}
		if err := d.underLock(ctx, lock, f.Path, j.fetchLocal); err != nil {
			return err
		}
	}
	return d.underLock(ctx, lock, f.Path, func(context.Context) error {
		text := fmt.Sprintf("%s\n%s\n%f\n", commit, a.etag, float64(time.Now().UnixMicro())/1e6)
		return os.WriteFile(note, []byte(text), 0o666)
	})
}

// fetchLocal is done under the file's lock: an outdated file goes first.
func (j *job) fetchLocal(ctx context.Context) error {
	if err := j.Pause(ctx, Locked, j.path); err != nil {
		return err
	}
	if err := os.Remove(j.blob); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := j.fetch(ctx); err != nil {
		return err
	}
	return j.Pause(ctx, Renamed, j.path)
}

// localDirs makes the directories of one file, and what marks theirs as a
// client's.
func (d *download) localDirs(place, note string) error {
	if err := os.MkdirAll(d.meta(), 0o777); err != nil {
		return err
	}
	if d.cacheTag {
		if err := tagCache(d.meta()); err != nil {
			return err
		}
	}
	if ignore := filepath.Join(d.meta(), ".gitignore"); !exists(ignore) {
		if err := os.WriteFile(ignore, []byte("*"), 0o666); err != nil {
			return err
		}
	}
	return errors.Join(os.MkdirAll(filepath.Dir(place), 0o777), os.MkdirAll(filepath.Dir(note), 0o777))
}

// readNote gives commit and etag of a file's metadata, nil if there are none
// or the file has changed since.
func (d *download) readNote(ctx context.Context, lock, note, place string) (lines []string, err error) {
	err = d.underLock(ctx, lock, place, func(context.Context) error {
		text, err := os.ReadFile(note)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		info, statErr := os.Stat(place)
		written, noteErr := os.Stat(note)
		if err = errors.Join(err, noteErr); err != nil || statErr != nil {
			return err
		}
		if !info.ModTime().After(written.ModTime().Add(time.Second)) {
			lines = strings.SplitN(string(text), "\n", 3)
		}
		return nil
	})
	if len(lines) < 3 {
		lines = nil
	}
	return lines, err
}

// underLock does something while the lock is held.
func (d *download) underLock(ctx context.Context, lock, file string, do func(context.Context) error) error {
	unlock, err := d.lock(ctx, lock, 0o664, file)
	if err != nil {
		return err
	}
	err = do(ctx)
	return errors.Join(err, unlock(ctx, err))
}
