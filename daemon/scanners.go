package daemon

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"progressd/account"
	"progressd/downloader"
	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
	"progressd/state"
	"progressd/tracker"
	"progressd/watcher"
)

// A scannerFactory makes the scanners of the roots.
type scannerFactory struct {
	store *state.Store
	procs *downloader.Shared
	// accounts are those that memory is charged to.
	accounts *account.Book
	// listing asks the hub; nil if that is switched off.
	listing  func(hfcache.Repo, string) (hfcache.Listing, bool)
	looks    chan<- sizer.Look
	attended *Attendance
	opened   time.Time
	files    func(payer account.User) fsys.Kernel
	machine  *Machine
	log      *slog.Logger

	mu sync.Mutex
	// of are the scanners that there are, by the path of their root.
	of map[string]*rootScanner
}

// A rootScanner looks at the repositories of one root, when its watcher says so.
type rootScanner struct {
	machine  *Machine
	root     *sizer.Root
	looks    chan<- sizer.Look
	attended *Attendance
	accounts *account.Book
	owner    account.User

	mu sync.Mutex
	// followed are the folders in which a download goes on.
	followed map[string]bool
}

func (s *scannerFactory) scanner(ctx context.Context, root watcher.Root) watcher.Looker {
	whose := tenant(root)
	s.store.Found(whose)
	opened, since := s.opened, s.since(root)
	if !root.Since.IsZero() {
		opened = root.Since
	}
	e := &rootScanner{machine: s.machine, looks: s.looks, attended: s.attended, accounts: s.accounts, owner: whose.Owner, followed: make(map[string]bool)}
	e.root = sizer.NewRoot(sizer.Options{
		FS: s.files(whose.Owner), Path: root.Path, Dev: root.Dev, Inode: root.Inode, Vague: root.Remote != "", Unlinked: true, Since: since, Opened: opened,
		Recall:  func(repo hfcache.Repo) (sizer.Checkpoint, bool) { return s.store.Repo(root.Path, root.Home, repo) },
		Listing: s.listing, Reserve: memoryFor(s.accounts, whose.Owner), Judged: s.attended.Judged(root.Path),
		Procs: s.procs, Log: s.log,
	})
	s.take(root.Path, e)
	context.AfterFunc(ctx, e.end)
	// What was under way in this directory comes first, also if its folder is
	// gone by now, which no listing would show.
	for _, ep := range s.store.EpisodesOf(root.Path) {
		if ep.Home.Same(root.Home) {
			s.revisit(ctx, e, ep.Repo.Folder())
		}
	}
	return e
}

// take notes the scanner of a root, whose former one is over; nil: it has none.
func (s *scannerFactory) take(root string, e *rootScanner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if former := s.of[root]; former != nil {
		former.end()
	}
	if s.of == nil {
		s.of = make(map[string]*rootScanner)
	}
	if s.of[root] = e; e == nil {
		delete(s.of, root)
	}
}

// tenant is whom a root is watched for.
func tenant(root watcher.Root) tracker.Tenant {
	return tracker.Tenant{Root: root.Path, Owner: account.User(root.Owner), Named: !strings.ContainsAny(root.Pattern, `*?[`)}
}

// memoryFor gives the listings in a root their memory, for which its owner pays.
func memoryFor(accounts *account.Book, owner account.User) func(n int64) bool {
	return func(n int64) bool {
		if n < 0 {
			accounts.Give(owner, account.Listings, -n)
			return true
		}
		return accounts.Take(owner, account.Listings, n)
	}
}

// revisit looks at what was under way. A panic there must not keep the root
// from being looked after at all: the watcher deals with it when its turn
// comes.
func (s *scannerFactory) revisit(ctx context.Context, e *rootScanner, folder string) {
	defer func() {
		if cause := recover(); cause != nil {
			s.log.Error("a look at an open download panicked", "repo", folder, "cause", cause)
		}
	}()
	e.Look(ctx, folder, unresting)
}

// unresting is of a look behind which nobody rests.
func unresting() time.Duration { return 0 }

// since gives the baseline of a root: as remembered, else noted now. What is
// older was there before anyone watched, and is silent.
func (s *scannerFactory) since(root watcher.Root) time.Time {
	if since, known := s.store.Root(root.Path, root.Home); known {
		return since
	}
	since := s.opened
	if !root.Since.IsZero() {
		since = root.Since
	}
	if err := s.store.NoteRoot(root.Path, root.Home, since); err != nil {
		s.log.Warn("the baseline of a root isn't written yet", "root", root.Path, "err", err)
	}
	return since
}

// Came implements watcher.Looker.
func (e *rootScanner) Came(folder string, absent time.Time) { e.root.Came(folder, absent) }

// Stirred implements watcher.Looker.
func (e *rootScanner) Stirred(context.Context) (folders []string, more bool) {
	e.machine.metered(e.accounts, e.owner, func() { folders, more = e.root.Stirred(time.Now()) })
	return folders, more
}

// Look implements watcher.Looker.
func (e *rootScanner) Look(ctx context.Context, folder string, rest func() time.Duration) watcher.Pace {
	var look sizer.Look
	var pace sizer.Pace
	e.machine.metered(e.accounts, e.owner, func() { look, pace = e.root.Look(time.Now(), folder) })
	if !e.mayFollow(folder, look) {
		e.root.Forget(folder)
		return watcher.Slow
	}
	if lasts := rest(); lasts >= tracker.LongRest {
		look.Rest = lasts
	}
	e.attended.forget(look)
	if !e.machine.passes(&look) {
		return paces[pace]
	}
	select {
	case e.looks <- look:
	case <-ctx.Done():
	}
	return paces[pace]
}

// mayFollow reports whether the owner of the root may have one more download
// followed, if this is one.
func (e *rootScanner) mayFollow(folder string, look sizer.Look) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case look.Unreadable != nil: // what was known of it stands
	case look.InPlay && !e.followed[folder]:
		if !e.accounts.Take(e.owner, account.Downloads, 1) {
			return false
		}
		e.followed[folder] = true
	case !look.InPlay && e.followed[folder]:
		e.accounts.Give(e.owner, account.Downloads, 1)
		delete(e.followed, folder)
	}
	return true
}

// end gives back what the downloads of a root had.
func (e *rootScanner) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.accounts.Give(e.owner, account.Downloads, int64(len(e.followed)))
	clear(e.followed)
}

var paces = map[sizer.Pace]watcher.Pace{
	sizer.Idle: watcher.Idle, sizer.Slow: watcher.Slow, sizer.Steady: watcher.Steady, sizer.Fast: watcher.Fast,
}
