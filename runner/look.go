package runner

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"progressd/daemon"
	"progressd/hfcache"
	"progressd/hublist"
	"progressd/sizer"
)

// A lookout looks at the one download of a run, every half second and when it
// is asked to: that costs a stat where nothing moves, and needs no watcher.
type lookout struct {
	run *hearing
	// looks go to the pipeline that wants them, if one does.
	looks  chan sizer.Look
	wanted atomic.Bool
	hub    *hublist.Hub
	// attended is what that pipeline's tracker says.
	attended *daemon.Attendance
	options  sizer.Options // but for path and identity
	roots    map[string]*daemon.Root
	asked    chan struct{}
}

// fileTime is the time that a file of this machine would get which is written
// now: by a clock that is some ms behind the finest. What is newer is the run's.
func fileTime() time.Time {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now); err != nil {
		return time.Now()
	}
	return time.Unix(now.Unix())
}

func newLookout(r *hearing, hub *hublist.Hub, log *slog.Logger) *lookout {
	since := fileTime()
	return &lookout{
		run: r, looks: make(chan sizer.Look), hub: hub, attended: daemon.NewAttendance(),
		options: daemon.ScanOptions(hub, since, log), roots: make(map[string]*daemon.Root), asked: make(chan struct{}, 1),
	}
}

// now asks for a look that is begun after the call. It doesn't wait.
func (l *lookout) now() {
	select {
	case l.asked <- struct{}{}:
	default: // there will be one
	}
}

// Run looks until ctx is done.
func (l *lookout) Run(ctx context.Context) error {
	wait := daemon.Active
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.asked:
		case <-time.After(wait):
		}
		started := time.Now()
		aim, pid, began := l.run.sought()
		if !began && pid != 0 {
			l.search(aim, pid)
			aim, _, began = l.run.sought()
		}
		// A search through large caches is no reason to keep a core busy.
		wait = max(daemon.Active, 20*time.Since(started))
		if !began || !l.wanted.Load() {
			continue
		}
		look := l.at(aim.Root, aim.Repo)
		if !look.InPlay {
			look.Orphans = 0 // those are not of this run
		}
		select {
		case l.looks <- look:
		case <-ctx.Done():
		}
	}
}

// at looks at one repository.
func (l *lookout) at(path string, repo hfcache.Repo) sizer.Look {
	now := time.Now()
	r, err := l.root(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return sizer.Look{Root: path, Repo: repo, At: now, Gone: true}
	case err != nil:
		return sizer.Look{Root: path, Repo: repo, At: now, Unreadable: err}
	}
	look, _ := r.Look(now, repo.Folder())
	return look
}

func (l *lookout) root(path string) (*daemon.Root, error) {
	options := l.options
	options.Judged = l.attended.Judged(path)
	fresh, err := daemon.OpenRoot(path, options)
	if err != nil {
		return nil, err
	}
	if r := l.roots[path]; r != nil && r.Same(fresh) {
		return r, nil
	}
	l.roots[path] = fresh
	return fresh, nil
}

// search looks through the roots for a download that a process of the program
// is at.
func (l *lookout) search(p aim, pid int) {
	roots := []string{p.Root}
	if p.Root == "" {
		roots = nil
		for _, pattern := range p.roots {
			found, _ := filepath.Glob(pattern)
			roots = append(roots, found...)
		}
	}
	for _, root := range roots {
		root = resolved(root)
		for _, repo := range l.repos(root) {
			if p.Repo.ID != "" && p.Repo != repo {
				continue
			}
			look := l.at(root, repo)
			for i, process := range look.Downloaders {
				if look.Alive[i] && belongs(process.PID, pid) {
					l.run.found(hfcache.Place{Root: root, Repo: repo})
					return
				}
			}
		}
	}
}

// repos are the repositories in a root.
func (l *lookout) repos(root string) []hfcache.Repo {
	dir, err := os.Open(root)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	slices.Sort(names)
	var repos []hfcache.Repo
	for _, name := range names {
		if repo, ok := hfcache.ParseFolder(name); ok {
			repos = append(repos, repo)
		}
	}
	return repos
}

// belongs reports whether a process is of the program: child.Run has given
// that a session or a process group of its own.
func belongs(pid, program int) bool {
	if session, err := unix.Getsid(pid); err == nil && session == program {
		return true
	}
	group, err := unix.Getpgid(pid)
	return err == nil && group == program
}
