package sim

import (
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
)

// bringLocal brings one file of a download into a directory of its own, as
// huggingface_hub does (seen in 0.26, 0.36 and 2.4).
func (t *thread) bringLocal(f hubFile) error {
	dir := t.repo.dir()
	stage := dir + "/" + hfcache.LocalStage
	place, staged := dir+"/"+f.path, stage+"/"+f.path
	note, lock := hfcache.LocalNote(staged), staged+".lock"
	for _, d := range []string{dir + "/" + hfcache.LocalMeta, path.Dir(place), path.Dir(note)} {
		if err := t.mkdirAll(d); err != nil {
			return err
		}
	}
	var former string
	if err := t.underLock(lock, func() error { former = t.readNote(note, place); return nil }); err != nil {
		return err
	}
	lines := strings.SplitN(former, "\n", 3)
	if len(lines) == 3 && lines[0] == t.rev.commit && t.fs.Has(place) && !t.plan.Force {
		return nil
	}
	if err := t.head(); err != nil {
		return err
	}
	if len(lines) < 3 || lines[1] != f.etag || !t.fs.Has(place) || t.plan.Force {
		if err := t.underLock(lock, func() error { return t.fetchLocal(f, staged, place) }); err != nil {
			return err
		}
	}
	return t.underLock(lock, func() error {
		text := fmt.Sprintf("%s\n%s\n%f\n", t.rev.commit, f.etag, float64(time.Now().UnixMicro())/1e6)
		return t.put(note, "", text, 0o644)
	})
}

// readNote is what the client's metadata say of a file; empty if there are
// none, or the file has changed since.
func (t *thread) readNote(note, place string) string {
	text, err := t.fs.ReadFile(note)
	var file, written unix.Stat_t
	if err != nil || t.fs.Lstat(place, &file) != nil || t.fs.Lstat(note, &written) != nil {
		return ""
	}
	if file.Mtim.Nano() > written.Mtim.Nano()+int64(time.Second) {
		return ""
	}
	return text
}

// fetchLocal fetches a file; an outdated one goes first.
func (t *thread) fetchLocal(f hubFile, staged, place string) error {
	if t.fs.Has(place) {
		t.record.losing(f.etag, 0)
		if err := t.try(func() error { return t.fs.Remove(place) }); err != nil {
			return err
		}
	}
	stem := staged + "." + f.etag
	if t.habit.LocalName == hfcache.LocalByHash {
		stem = path.Dir(staged) + "/" + hfcache.LocalHash(path.Base(f.path)) + "." + f.etag
	}
	partial := t.partial(stem)
	tr := &transfer{thread: t, file: f, partial: partial}
	if err := tr.run(); err != nil {
		return err
	}
	probes := path.Dir(staged)
	if !t.habit.Has(hfcache.RandomName) {
		probes = path.Dir(path.Dir(place))
	}
	return t.finish(partial, place, probes)
}
