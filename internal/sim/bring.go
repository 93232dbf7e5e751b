package sim

import (
	"errors"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
	"progressd/internal/simfs"
)

// bring brings one file to where it belongs, in the order in which the client
// touches the cache.
func (t *thread) bring(f hubFile) error {
	switch {
	case t.locals:
		return t.bringLocal(f)
	case t.habit.Stage == hfcache.Outside:
		return t.bringFromOutside(f)
	}
	known := t.fs.Has(t.pointer(f.path)) && !t.plan.Force
	if known {
		return nil
	}
	if err := t.head(); err != nil {
		return err
	}
	if err := t.prepare(f); err != nil {
		return err
	}
	there := t.fs.Has(t.blob(f.etag)) && !t.plan.Force && !t.habit.Has(hfcache.TwinsTwice)
	t.had = there
	if there && !t.habit.Has(hfcache.LocksLinks) {
		return t.linkNow(f)
	}
	lock := t.lockPath(f.etag)
	if lock == "" {
		return t.fetchAndLink(f)
	}
	if err := t.mkdirAll(path.Dir(lock)); err != nil {
		return err
	}
	if t.habit.Link != hfcache.LinkEach {
		err := t.underLock(lock, func() error {
			err := t.fetchUnlessThere(f)
			if err == nil && t.habit.Has(hfcache.RemovesLocks) {
				err = t.try(func() error { return t.fs.Remove(lock) })
			}
			return err
		})
		if err != nil {
			return err
		}
		return t.linkNow(f)
	}
	return t.underLock(lock, func() error { return t.fetchAndLink(f) })
}

// head asks the hub about a file. A hub that has had enough says how long to
// wait (429).
func (t *thread) head() error {
	if err := t.sleep(between(t.rng, 10*time.Millisecond, 150*time.Millisecond)); err != nil {
		return err
	}
	t.mu.Lock()
	t.hubCalls++
	calls := t.hubCalls
	t.mu.Unlock()
	switch h := t.plan.Hub; {
	case h.After == 0 || calls <= h.After:
		return nil
	case h.Refuses:
		return t.fail(errors.New("403 Forbidden"))
	case calls <= h.After+t.habit.AtOnce && h.Wait > 0:
		t.mu.Lock()
		first := !t.waiting
		if first {
			t.waiting, t.waitedAt = true, time.Now()
		}
		t.mu.Unlock()
		if first {
			t.tell("the hub has %s wait for %v (429)", t.record.name(), h.Wait)
		}
		return t.sleep(h.Wait)
	}
	return nil
}

// prepare makes the directories of a file.
func (t *thread) prepare(f hubFile) error {
	dirs := []string{path.Dir(t.blob(f.etag))}
	if !t.habit.Has(hfcache.LateSnapshot) {
		dirs = append(dirs, path.Dir(t.pointer(f.path)))
	}
	for _, dir := range dirs {
		if err := t.mkdirAll(dir); err != nil {
			return err
		}
	}
	return nil
}

func (t *thread) fetchUnlessThere(f hubFile) error {
	there := t.fs.Has(t.blob(f.etag)) && !t.plan.Force
	if t.habit.Has(hfcache.TwinsTwice) { // it looks for the link only, if for anything
		there = t.habit.Has(hfcache.Commands) && t.fs.Has(t.pointer(f.path))
	}
	if there {
		return nil
	}
	if t.stores(f) {
		if done, err := t.takeFromStore(f); done || err != nil {
			return err
		}
	}
	if err := t.fetch(f); err != nil {
		return err
	}
	if t.stores(f) {
		return t.giveToStore(f)
	}
	return nil
}

func (t *thread) fetchAndLink(f hubFile) error {
	if err := t.fetchUnlessThere(f); err != nil {
		return err
	}
	return t.linkNow(f)
}

// linkNow makes the link, unless all are made at the end.
func (t *thread) linkNow(f hubFile) error {
	if t.habit.Link == hfcache.LinkAtEnd {
		return nil
	}
	return t.link(f)
}

func (t *thread) linkAll(files []hubFile) error {
	for _, f := range files {
		if err := t.link(f); err != nil {
			return err
		}
	}
	return nil
}

// link makes the link of a file, or puts the file itself there.
func (t *thread) link(f hubFile) error {
	p := t.pointer(f.path)
	if err := t.mkdirAll(path.Dir(p)); err != nil {
		return err
	}
	if t.habit.Has(hfcache.Commands) {
		if err := t.probeLinks(); err != nil {
			return err
		}
	}
	if t.fs.Has(p) {
		return nil
	}
	var refused bool
	err := t.try(func() error {
		err := t.fs.Symlink(linkText(f.path, f.etag), p)
		refused = errors.Is(err, unix.EPERM)
		if errors.Is(err, unix.EEXIST) || refused {
			return nil
		}
		return err
	})
	if err == nil && refused {
		err = t.place(f)
	}
	if err == nil && t.habit.Has(hfcache.RefLast) {
		err = t.saveRef()
	}
	t.record.linked()
	return err
}

// probeLinks makes, once, the directory by which huggingface_hub finds out
// whether there can be links.
func (t *thread) probeLinks() error {
	t.mu.Lock()
	probed := t.probed
	t.probed = true
	t.mu.Unlock()
	if probed {
		return nil
	}
	dir := t.repo.dir() + "/" + t.temp()
	if err := t.try(func() error { return t.fs.Mkdir(dir, 0o700) }); err != nil {
		return err
	}
	if err := t.put(dir+"/dummy_file_src", "", "", 0o644); err != nil {
		return err
	}
	return t.try(func() error { return t.fs.RemoveAll(dir, nil) })
}

// place puts the file itself into the snapshot: moved if it was just fetched,
// else copied (read: huggingface_hub 2.4, _create_symlink).
func (t *thread) place(f hubFile) error {
	if !t.had {
		return t.try(func() error { return t.fs.Rename(t.blob(f.etag), t.pointer(f.path)) })
	}
	return t.try(func() error {
		file, err := t.fs.Create(t.pointer(f.path), 0o644, simfs.Trunc)
		if err != nil {
			return err
		}
		defer file.Close()
		return file.Append(f.size)
	})
}

// fetch downloads a file to its partial and gives that the blob's name.
func (t *thread) fetch(f hubFile) error {
	probes := path.Dir(t.blob(f.etag))
	if !t.habit.Has(hfcache.RandomName) {
		probes = t.repo.dir()
	}
	partial := t.partial(t.blob(f.etag))
	if t.habit.Stage == hfcache.InRootTmp {
		if err := t.mkdirAll(path.Dir(partial)); err != nil {
			return err
		}
	}
	tr := &transfer{thread: t, file: f, partial: partial}
	if err := tr.run(); err != nil {
		return err
	}
	return t.finish(partial, t.blob(f.etag), probes)
}

// partial is where a file lies until it is whole.
func (t *thread) partial(stem string) string {
	switch t.habit.Stage {
	case hfcache.InRoot:
		return t.repo.root + "/" + t.temp()
	case hfcache.InRootTmp:
		return t.repo.root + "/tmp/" + letters(t.rng, 7, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
	default:
	}
	if t.habit.Has(hfcache.RandomName) {
		stem += "." + hex(t.rng, 8)
	}
	return stem + t.habit.Suffix
}

// finish gives a whole partial its place.
func (t *thread) finish(partial, place, probes string) error {
	if t.habit.Has(hfcache.Commands) {
		uuid := hex(t.rng, 8) + "-" + hex(t.rng, 4) + "-4" + hex(t.rng, 3) + "-8" + hex(t.rng, 3) + "-" + hex(t.rng, 12)
		probe := probes + "/tmp_" + uuid
		if err := t.put(probe, "", "", 0o644); err != nil {
			return err
		}
		if err := t.try(func() error { return t.fs.Remove(probe) }); err != nil {
			return err
		}
		if err := t.try(func() error { return t.fs.Chmod(partial, 0o644) }); err != nil {
			return err
		}
	}
	return t.try(func() error { return t.fs.Rename(partial, place) })
}

// bringFromOutside is swift's: the file comes elsewhere and is copied to its
// blob.
func (t *thread) bringFromOutside(f hubFile) error {
	if t.fs.Has(t.pointer(f.path)) {
		return nil
	}
	if err := t.head(); err != nil {
		return err
	}
	lock := t.lockPath(f.etag)
	if err := t.mkdirAll(path.Dir(lock)); err != nil {
		return err
	}
	return t.underLock(lock, func() error {
		if !t.fs.Has(t.blob(f.etag)) {
			if err := t.mkdirAll(path.Dir(t.blob(f.etag))); err != nil {
				return err
			}
			tr := &transfer{thread: t, file: f, partial: t.blob(f.etag)}
			if err := tr.fromOutside(); err != nil {
				return err
			}
		}
		return t.link(f)
	})
}

// inBatches is Rust's hf-hub 1.x by Xet: all locks, all partials, all renames,
// all links. What comes by plain HTTP goes its own way meanwhile.
func (t *thread) inBatches(files []hubFile) error {
	var batch, single []hubFile
	for _, f := range files {
		switch {
		case t.fs.Has(t.pointer(f.path)):
		case f.xet == "":
			single = append(single, f)
		default:
			batch = append(batch, f)
		}
	}
	failed := make(chan error, 1)
	go func() { failed <- t.thread("batch").together(batch) }()
	err := t.each(single, (*thread).bringAlone)
	return errors.Join(<-failed, err)
}

// bringAlone is bring where the rest is a batch.
func (t *thread) bringAlone(f hubFile) error {
	if err := t.head(); err != nil {
		return err
	}
	lock := t.lockPath(f.etag)
	if err := errors.Join(t.mkdirAll(path.Dir(lock)), t.prepare(f)); err != nil {
		return err
	}
	if t.fs.Has(t.blob(f.etag)) {
		return t.link(f)
	}
	return t.underLock(lock, func() error {
		if err := t.fetch(f); err != nil {
			return err
		}
		return t.link(f)
	})
}

// together brings some files at once.
func (t *thread) together(files []hubFile) error {
	var missing []hubFile
	seen := map[string]bool{}
	for _, f := range files {
		if !seen[f.etag] && !t.fs.Has(t.blob(f.etag)) {
			missing = append(missing, f)
		}
		seen[f.etag] = true
	}
	var unlocks []func() error
	defer func() {
		for _, unlock := range unlocks {
			_ = unlock()
		}
	}()
	for _, f := range missing {
		lock := t.lockPath(f.etag)
		if err := errors.Join(t.mkdirAll(path.Dir(lock)), t.prepare(f)); err != nil {
			return err
		}
		unlock, err := t.lock(lock)
		if err != nil {
			return err
		}
		unlocks = append(unlocks, unlock)
	}
	fill := func(t *thread, f hubFile) error {
		return (&transfer{thread: t, file: f, partial: t.blob(f.etag) + t.habit.Suffix}).run()
	}
	if err := t.each(missing, fill); err != nil {
		return err
	}
	for _, f := range missing {
		if err := t.try(func() error { return t.fs.Rename(t.blob(f.etag)+t.habit.Suffix, t.blob(f.etag)) }); err != nil {
			return err
		}
	}
	return t.linkAll(files)
}

// stores reports whether a file goes through the store that repositories share.
func (t *thread) stores(f hubFile) bool { return t.habit.Has(hfcache.Stores) && f.xet != "" }

func (t *thread) stored(f hubFile) string { return t.repo.root + "/blobs/" + f.xet[:2] + "/" + f.xet }

// takeFromStore links what another repository has brought.
func (t *thread) takeFromStore(f hubFile) (done bool, err error) {
	if !t.fs.Has(t.stored(f)) {
		return false, nil
	}
	return true, t.underLock(t.stored(f)+".lock", func() error {
		tmp, err := t.linkToStore(f)
		if err != nil {
			return err
		}
		return t.try(func() error { return t.fs.Rename(tmp, t.blob(f.etag)) })
	})
}

// giveToStore moves a finished blob into the store. For an instant nothing has
// its name.
func (t *thread) giveToStore(f hubFile) error {
	marker := t.repo.root + "/blobs/.huggingface-shared-blobs"
	if err := t.mkdirAll(path.Dir(t.stored(f))); err != nil {
		return err
	}
	if !t.fs.Has(marker) {
		if err := t.put(marker, marker+"."+hex(t.rng, 8)+".tmp", "1\n", 0o444); err != nil {
			return err
		}
	}
	return t.underLock(t.stored(f)+".lock", func() error {
		tmp, err := t.linkToStore(f)
		if err != nil {
			return err
		}
		if !t.fs.Has(t.stored(f)) {
			if err := t.try(func() error { return t.fs.Rename(t.blob(f.etag), t.stored(f)) }); err != nil {
				return err
			}
		}
		return t.try(func() error { return t.fs.Rename(tmp, t.blob(f.etag)) })
	})
}

// linkToStore makes the link under a name of its own, and notes who uses the
// file.
func (t *thread) linkToStore(f hubFile) (tmp string, err error) {
	tmp = t.repo.dir() + "/blobs/." + f.etag + "." + hex(t.rng, 8) + ".shared"
	if err := t.try(func() error { return t.fs.Symlink("../../blobs/"+f.xet[:2]+"/"+f.xet, tmp) }); err != nil {
		return "", err
	}
	return tmp, t.put(t.stored(f)+".refs", "", t.repo.repo.Folder()+"/blobs/"+f.etag+"\n", 0o644)
}
