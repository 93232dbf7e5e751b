package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"progressd/account"
	"progressd/hfcache"
	"progressd/sizer"
	"progressd/socket"
	"progressd/state"
	"progressd/tracker"
	"progressd/watcher"
)

// newServer makes what takes the reports of progressctl exec. Its lines are those
// of the console.
func (p *Pipeline) newServer(store *state.Store) *socket.Server {
	return socket.NewServer(socket.Options{
		Find:    func(run socket.Run) (socket.Watched, error) { return p.find(run) },
		Name:    func(at socket.Watched) string { return store.LogName(at.Root, at.Repo) },
		Report:  p.report,
		Ask:     func(at socket.Watched) { p.watcher.Ask(at.Root, at.Repo.Folder()) },
		Line:    p.form.Line,
		Streams: newAsker(p), Accounts: p.opts.Accounts,
		Log: p.log,
	})
}

// find compares what a run names with what is watched, and looks up nothing.
func (p *Pipeline) find(run socket.Run) (socket.Watched, error) {
	for _, root := range p.watcher.Status() {
		if repo, ok := within(root, run); ok {
			return socket.Watched{Place: hfcache.Place{Root: root.Path, Repo: repo}, Owner: root.Owner}, nil
		}
		if root.Present && root.Path == run.Root { // of another mount namespace: a container's
			return socket.Watched{}, socket.ErrUnwatched
		}
	}
	for _, pattern := range p.set.Roots {
		if ok, _ := filepath.Match(pattern, run.Root); ok { // its form was checked with the configuration
			return socket.Watched{}, socket.ErrNotYet
		}
	}
	return socket.Watched{}, socket.ErrUnwatched
}

// within gives the repository of a run as one of a root, if it is there.
func within(root watcher.RootStatus, run socket.Run) (hfcache.Repo, bool) {
	if !root.Present {
		return hfcache.Repo{}, false
	}
	same := run.Root == root.Path
	switch {
	case run.Inode == 0:
	case root.Remote != "": // which may number a directory anew each time
		same = run.Dev == root.Dev && (same || run.Inode == root.Inode)
	default:
		same = run.Dev == root.Dev && run.Inode == root.Inode
	}
	if same || run.Repo.Type != hfcache.Local {
		return run.Repo, same
	}
	rel, beneath := strings.CutPrefix(run.Root, root.Path+"/")
	if !beneath {
		return hfcache.Repo{}, false
	}
	return hfcache.LocalRepo(rel)
}

// report adds to the end of a run what there is on disk then.
func (p *Pipeline) report(ctx context.Context, r tracker.Report) {
	if r.Kind == tracker.RunEnded {
		r.Rest = p.rest(ctx, r.Root, r.Repo)
	}
	select {
	case p.reports <- r:
	case <-ctx.Done():
	}
}

// rest looks at a repository as if all that there is had just come. The owner of
// its root pays for that.
func (p *Pipeline) rest(ctx context.Context, root string, repo hfcache.Repo) *sizer.Look {
	for _, status := range p.watcher.Status() {
		if status.Path != root || !status.Present {
			continue
		}
		found := make(chan *sizer.Look, 1)
		go func() { found <- p.restOf(status, repo, time.Time{}, account.User(status.Owner)) }()
		select {
		case look := <-found:
			return look
		case <-time.After(restPatience):
		case <-ctx.Done():
		}
		return nil
	}
	return nil
}

// runOver is told by the tracker when all is said of a run: its client is
// told behind the lines.
func (p *Pipeline) runOver(root string, repo hfcache.Repo) {
	p.ledger.After(func() { p.server.Over(root, repo) })
}

// hear takes reports of progressctl exec, once it is known what is watched.
func (p *Pipeline) hear(ctx context.Context) error {
	select {
	case <-p.Ready():
	case <-ctx.Done():
		return nil
	}
	var all sync.WaitGroup
	errs := make([]error, len(p.opts.Listeners))
	for i, l := range p.opts.Listeners {
		all.Go(func() { errs[i] = p.server.Serve(ctx, l) })
	}
	all.Wait()
	return errors.Join(errs...)
}
