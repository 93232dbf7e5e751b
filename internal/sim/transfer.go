package sim

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
	"progressd/internal/simfs"
)

// A transfer is one file on its way into a partial.
type transfer struct {
	*thread
	file    hubFile
	partial string
	out     *simfs.File
}

// run fills the partial.
func (tr *transfer) run() (err error) {
	how := 0
	switch {
	case tr.habit.Stage != hfcache.InBlobs:
		how = simfs.Excl
	case !tr.habit.Has(hfcache.Resumes) && !tr.habit.Has(hfcache.KeepsOld):
		how = simfs.Trunc
	}
	if tr.habit.Fill == hfcache.Scattered && tr.habit.Has(hfcache.RemovesFailed) && !tr.habit.Has(hfcache.RandomName) && tr.fs.Has(tr.partial) {
		tr.record.discarding(tr.file.etag, tr.partial)
		if err := tr.try(func() error { return tr.fs.Remove(tr.partial) }); err != nil {
			return err
		}
	}
	tr.record.opening(tr.file.etag, tr.partial, how)
	err = tr.try(func() (err error) {
		tr.out, err = tr.fs.Create(tr.partial, 0o600, how)
		return err
	})
	if err != nil {
		return err
	}
	defer tr.out.Close()
	err = tr.fill()
	if errors.Is(err, errFailed) && tr.habit.Has(hfcache.RemovesFailed) {
		tr.record.discarding(tr.file.etag, tr.partial)
		return errors.Join(err, tr.try(func() error { return tr.fs.Remove(tr.partial) }))
	}
	return err
}

func (tr *transfer) fill() error {
	switch tr.habit.Fill {
	case hfcache.Bursts:
		return tr.bursts()
	case hfcache.Scattered:
		return tr.scattered()
	default:
		return tr.appended()
	}
}

// chunk is how much is written at once.
func (tr *transfer) chunk() int64 { return max(tr.plan.Chunk, 1<<16) }

// appended writes in order, behind what the partial holds.
func (tr *transfer) appended() error {
	at := tr.out.Size()
	if at > 0 && tr.plan.Hub.IgnoresRange {
		tr.tell("%s begins %s again: the hub ignores Range", tr.record.name(), tr.file.path)
		tr.record.losing(tr.file.etag, at)
		if err := tr.try(func() error { return tr.out.Truncate(0) }); err != nil {
			return err
		}
		at = 0
	}
	for at < tr.file.size {
		n := min(tr.chunk(), tr.file.size-at)
		if err := tr.come(n); err != nil {
			return err
		}
		if err := tr.write(at, n); err != nil {
			return err
		}
		at += n
	}
	if at > tr.file.size {
		return tr.fail(errors.New("consistency check failed"))
	}
	return nil
}

// bursts writes in order, from the beginning, much at once after a pause.
func (tr *transfer) bursts() error {
	for at := int64(0); at < tr.file.size; {
		n := min(tr.plan.Burst+tr.rng.Int64N(tr.plan.Burst+1), tr.file.size-at)
		if err := tr.come(n); err != nil {
			return err
		}
		if err := tr.write(at, n); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// scattered writes pieces where they belong: of those in flight the last one
// first, the worst that parallel connections can do.
//
//nolint:gocognit // a list of cases, each a line or two: apart they would say less
func (tr *transfer) scattered() error {
	at := int64(0)
	if tr.habit.Has(hfcache.Preallocates) {
		at = tr.repo.truth.committed(tr.file.etag)
		if tr.out.Size() == 0 {
			at = 0
			if err := tr.try(func() error { return tr.out.Truncate(tr.file.size + hfcache.PartCounter) }); err != nil {
				return err
			}
		}
	}
	if tr.habit.Has(hfcache.FullLength) {
		if err := tr.try(func() error { return tr.out.Truncate(tr.file.size) }); err != nil {
			return err
		}
	}
	piece := tr.chunk()
	window := piece * int64(tr.plan.Ahead)
	for ; at < tr.file.size; at += window {
		end := min(at+window, tr.file.size)
		for from := at + (end-at-1)/piece*piece; from >= at; from -= piece {
			n := min(piece, end-from)
			if err := tr.come(n); err != nil {
				return err
			}
			if err := tr.write(from, n); err != nil {
				return err
			}
		}
		if tr.habit.Has(hfcache.Preallocates) {
			if err := tr.try(func() error { return tr.out.WriteAt(tr.file.size, hfcache.PartCounter) }); err != nil {
				return err
			}
			tr.repo.truth.commit(tr.file.etag, end)
		}
	}
	if tr.habit.Has(hfcache.Preallocates) || tr.out.Size() > tr.file.size {
		return tr.try(func() error { return tr.out.Truncate(tr.file.size) })
	}
	return nil
}

// come waits until so many bytes have come over the network.
func (tr *transfer) come(n int64) error {
	nanoseconds := float64(n) / float64(tr.plan.Rate) * 1e9
	nanoseconds *= 0.7 + 0.6*tr.rng.Float64()
	d := time.Duration(nanoseconds)
	h := tr.plan.Hub
	tr.mu.Lock()
	before := tr.brought
	tr.brought += n
	reached := h.AtByte > 0 && before < h.AtByte && before+n >= h.AtByte
	tr.mu.Unlock()
	if !reached {
		return tr.sleep(d)
	}
	switch {
	case h.Stall > 0:
		tr.tell("the hub stands still for %v", h.Stall)
		return tr.sleep(d + h.Stall)
	case h.Cuts:
		if err := tr.sleep(d); err != nil {
			return err
		}
		return tr.fail(errors.New("connection reset"))
	}
	return tr.sleep(d)
}

// write puts bytes into the partial: part of them only, if the client dies
// there.
func (tr *transfer) write(at, n int64) error {
	tr.mu.Lock()
	first := tr.plan.DieAtByte - tr.record.written()
	last := tr.plan.DieAtByte > 0 && first <= n
	if last {
		tr.plan.DieAtByte = 0
	}
	tr.mu.Unlock()
	if !last {
		return tr.lay(at, n)
	}
	first = max(first, 0)
	if err := tr.lay(at, first); err != nil {
		return err
	}
	if err := tr.meetFate(); err != nil {
		return err
	}
	return tr.lay(at+first, n-first) // after Ctrl-C the file in flight is finished
}

func (tr *transfer) lay(at, n int64) error {
	return tr.try(func() error {
		before, length := tr.out.Filled(), tr.out.Size()
		err := tr.out.WriteAt(at, n)
		if err != nil { // the disk has taken what it had room for, and the client may remove it at once
			tr.record.wrote(max(tr.out.Size()-length, tr.out.Filled()-before), false)
			return err
		}
		tr.record.wrote(n, tr.fresh(before))
		return nil
	})
}

// fresh reports whether what was just written are new bytes of the download:
// they aren't where old content is written over, where the file has lost its
// name, nor where its blob is there, or lies in the snapshot itself (it was asked for
// anew, then they are).
func (tr *transfer) fresh(before int64) bool {
	grown := tr.out.Filled() > before || tr.repo.truth.sizes
	there := !tr.locals && tr.habit.Stage != hfcache.Outside &&
		(tr.fs.Has(tr.blob(tr.file.etag)) || tr.inPlace())
	return grown && tr.out.Named() && (!there || tr.plan.Force)
}

// inPlace: the content lies in a snapshot, where links can't be made, of this revision or
// another.
func (tr *transfer) inPlace() bool {
	return slices.ContainsFunc(tr.repo.revisions, func(rev *revision) bool {
		return slices.ContainsFunc(rev.files, func(f hubFile) bool {
			if f.etag != tr.file.etag {
				return false
			}
			var st unix.Stat_t
			path := tr.repo.dir() + "/snapshots/" + rev.commit + "/" + f.path
			return tr.fs.Lstat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
		})
	})
}

// fromOutside waits until the file has come and copies it to its blob.
func (tr *transfer) fromOutside() error {
	if err := tr.come(tr.file.size); err != nil {
		return err
	}
	tr.record.opening(tr.file.etag, tr.partial, simfs.Excl)
	err := tr.try(func() (err error) {
		tr.out, err = tr.fs.Create(tr.partial, 0o644, simfs.Excl)
		return err
	})
	if err != nil {
		return err
	}
	defer tr.out.Close()
	for at := int64(0); at < tr.file.size; {
		n := min(64<<20, tr.file.size-at)
		if err := tr.sleep(time.Duration(n/2) * time.Nanosecond); err != nil { // 2 GB/s
			return err
		}
		if err := tr.write(at, n); err != nil {
			return err
		}
		at += n
	}
	return nil
}
