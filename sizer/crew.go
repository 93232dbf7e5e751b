package sizer

import (
	"slices"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
)

// maxDownloaders bounds whom one play remembers.
const maxDownloaders = 16

// run brings up to date which of the downloaders run.
func (pl *play) run(now time.Time, procs *downloader.Snapshot) {
	pl.asked = now
	pl.running, pl.stopped = make([]bool, len(pl.Downloaders)), nil
	for i, process := range pl.Downloaders {
		state := procs.State(process)
		pl.running[i] = state != downloader.Gone
		if state == downloader.Stopped {
			pl.stopped = append(pl.stopped, process.PID)
		}
	}
}

// alive are the downloaders that ran when that was last looked at.
func (pl *play) alive() []downloader.Process {
	var alive []downloader.Process
	for i, process := range pl.Downloaders {
		if pl.running[i] {
			alive = append(alive, process)
		}
	}
	return alive
}

// started is when a downloader that ran when that was last looked at was started.
func (pl *play) started(pid int) (started uint64, known bool) {
	for i, process := range pl.Downloaders {
		if pl.running[i] && process.PID == pid {
			return process.Started, true
		}
	}
	return 0, false
}

func (pl *play) anyAlive(procs *downloader.Snapshot) bool {
	return slices.ContainsFunc(pl.Downloaders, func(d downloader.Process) bool { return procs.Runs(d) })
}

func (pl *play) knows(pid int, procs *downloader.Snapshot) bool {
	for _, d := range pl.Downloaders {
		if d.PID == pid && procs.Runs(d) {
			return true
		}
	}
	return false
}

// died reports whether a downloader of this play is known to be gone.
func (pl *play) died(pid int, procs *downloader.Snapshot) bool {
	seen := slices.ContainsFunc(pl.Downloaders, func(d downloader.Process) bool { return d.PID == pid })
	return seen && !pl.knows(pid, procs)
}

// newAttempt: another process has taken over from those that are gone. What
// failed before is its business now, and so is which revision is wanted.
func (pl *play) newAttempt(now, began time.Time) {
	clear(pl.failed)
	pl.attempt, pl.attemptBegan = now, began
	pl.formerFailed = 0
	pl.unhelpful = false
	if pl.looked || len(pl.Downloaders) > 0 {
		pl.Succeeded, pl.renewed = true, true
	}
}

// credible is the request of a process that holds a lock here: of a command
// line that downloads into a cache, if this is one, or into a directory of its
// own, if this is such a directory. Then it tells what the directory holds.
func (pl *play) credible(r *downloader.Request, here *repo) *downloader.Request {
	if r == nil || (r.LocalDir != "") != (here.tree != nil) {
		return nil
	}
	if here.tree != nil {
		pl.Name = r.Repo
	}
	return r
}

// updateWanted works out what the downloaders are known to want: nothing is
// known while one of them can't be read. Those that run decide; when all are
// gone, the last answer stands. It reports whether the answer changed.
func (pl *play) updateWanted(name hfcache.Repo) bool {
	var filters []hfcache.Filter
	running := 0
	for i, d := range pl.Downloaders {
		if !pl.running[i] && !pl.restoredWanted(i) {
			continue
		}
		running++
		if d.Request != nil && (d.Request.Repo == name || name.Type == hfcache.Local) {
			filters = append(filters, d.Request.Filter)
		}
	}
	if running == 0 {
		return false
	}
	if len(filters) != running || pl.unhelpful {
		filters = nil
	}
	if slices.EqualFunc(filters, pl.wanted, hfcache.Filter.Equal) {
		return false
	}
	pl.want(filters)
	return true
}

func (pl *play) want(filters []hfcache.Filter) {
	pl.wanted, pl.match = filters, matchAny(filters)
}

func (pl *play) wants(path string) bool {
	return pl.wanted == nil || pl.match(path)
}

// restoredWanted: after a restart with every downloader gone, the last one
// remembered says what was wanted.
func (pl *play) restoredWanted(i int) bool {
	return pl.restored && pl.wanted == nil && i == len(pl.Downloaders)-1
}

// requesterRuns reports whether a download command still runs: it isn't
// done, even if nothing moves.
func (pl *play) requesterRuns() bool {
	for i, d := range pl.Downloaders {
		if pl.running[i] && d.Request != nil {
			return true
		}
	}
	return false
}

// matchAny tells which paths one of the filters selects.
func matchAny(filters []hfcache.Filter) func(path string) bool {
	var match []func(string) bool
	for _, f := range filters {
		match = append(match, f.Matcher())
	}
	return func(path string) bool {
		return slices.ContainsFunc(match, func(match func(string) bool) bool { return match(path) })
	}
}

// asksOnlyFor reports whether all who download have asked for such files alone,
// by name or ending. Who names none asks for the whole repository.
func (pl *play) asksOnlyFor(such func(files []string) bool) bool {
	for _, filter := range pl.wanted {
		if !such(filter.Include) {
			return false
		}
	}
	return len(pl.wanted) > 0
}

// wroteBeside reports whether who holds a lock was seen to grow a partial under one.
func (pl *play) wroteBeside(pid int, procs *downloader.Snapshot) bool {
	started, seen := pl.beside[pid]
	if !seen || procs.Runs(downloader.Process{PID: pid, Started: started}) {
		return seen
	}
	process, err := procs.Process(pid)
	return err != nil || process.Started == started // gone, and his lock was read before that; else another has his pid
}
