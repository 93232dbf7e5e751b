package daemon

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"progressd/socket"
	"progressd/untrusted"
	"progressd/watcher"
)

// Facts implements socket.Streams.
func (a *asker) Facts(by socket.Reader) *socket.Facts {
	defer a.shed()
	f := a.Board.Facts(by)
	if f == nil {
		return nil
	}
	f.Dropped = map[string]int64{}
	for name, q := range a.p.queues {
		_, lost, _ := q.Status()
		f.Dropped[name] = int64(lost)
	}
	addRoots(f, a.p.watcher.Status())
	addProcess(f)
	return f
}

// addRoots says of each root whether it is looked after. One that has never been
// there is missed by nobody, as the cache of a user who doesn't download.
func addRoots(f *socket.Facts, all []watcher.RootStatus) {
	for _, root := range all {
		if !root.Present {
			continue
		}
		path := untrusted.Name(root.Path)
		at := slices.IndexFunc(f.Roots, func(r socket.RootFacts) bool { return r.Path == path })
		if at < 0 {
			at = len(f.Roots)
			f.Roots = append(f.Roots, socket.RootFacts{Path: path})
		}
		f.Roots[at].Up = root.Failing == nil && !hangs(root)
	}
	slices.SortFunc(f.Roots, func(a, b socket.RootFacts) int { return strings.Compare(a.Path, b.Path) })
}

// hangs reports whether a root's file system has not answered for long.
func hangs(root watcher.RootStatus) bool {
	return !root.BusySince.IsZero() && time.Since(root.BusySince) > refreshEvery
}

// addProcess says what the process takes; what can't be known is left out.
func addProcess(f *socket.Facts) {
	var used unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &used) == nil {
		f.CPUMilliseconds = (used.Utime.Nano() + used.Stime.Nano()) / 1e6
	}
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := bytes.Fields(statm); len(fields) > 1 {
			pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
			f.Resident = pages * int64(os.Getpagesize())
		}
	}
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		f.Files = int64(len(files)) - 1 // the one that reads this
	}
}
