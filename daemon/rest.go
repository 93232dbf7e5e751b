package daemon

import (
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"progressd/account"
	"progressd/downloader"
	"progressd/fsys"
	"progressd/hfcache"
	"progressd/hublist"
	"progressd/sizer"
	"progressd/watcher"
)

// ScanOptions are those of a scan that remembers nothing, but for the root's
// path and identity: what came after since is new.
func ScanOptions(hub *hublist.Hub, since time.Time, log *slog.Logger) sizer.Options {
	return sizer.Options{
		Since: since, Opened: since,
		Recall:  func(hfcache.Repo) (sizer.Checkpoint, bool) { return sizer.Checkpoint{}, false },
		Listing: listingOf(hub), Procs: downloader.NewShared(procDir), Log: log,
	}
}

// A Root is the sizer's of a directory, for as long as it is that directory.
type Root struct {
	*sizer.Root
	dev, inode uint64
	vague      bool
}

// OpenRoot makes the Root of the directory that is there now.
func OpenRoot(path string, options sizer.Options) (*Root, error) {
	dev, inode, err := Identity(path)
	if err != nil {
		return nil, err
	}
	options.Path, options.Dev, options.Inode, options.Vague = path, dev, inode, onNetwork(path)
	return &Root{sizer.NewRoot(options), dev, inode, options.Vague}, nil
}

// onNetwork reports whether a directory is on the file system of a network, as far
// as can be known.
func onNetwork(path string) bool {
	d, err := fsys.Open(fsys.Real{}, path)
	if err != nil {
		return false
	}
	defer d.Close()
	kind, err := d.Network()
	return err == nil && kind != ""
}

// Identity is that of a directory, which may be reached by a link; the error is
// fs.ErrNotExist for what is none.
func Identity(path string) (dev, inode uint64, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return 0, 0, fs.ErrNotExist
	}
	return st.Dev, st.Ino, nil
}

// Same reports whether both are of one directory, as far as its numbers tell.
func (r *Root) Same(other *Root) bool {
	return r.dev == other.dev && (r.inode == other.inode || r.vague && other.vague)
}

// restPatience is how long is waited for what there is: a file system may hang.
const restPatience = 3 * time.Second

// Rest looks at a repository as if all that there is had just come; nil if
// that can't be done.
func Rest(options sizer.Options, root, folder string, abort <-chan struct{}) *sizer.Look {
	found := make(chan *sizer.Look, 1)
	options.Since, options.Opened = time.Time{}, time.Time{}
	go func() { found <- restNow(options, root, folder) }()
	select {
	case look := <-found:
		return look
	case <-time.After(restPatience):
		return nil
	case <-abort:
		return nil
	}
}

// restNow looks at a repository once; nil if that can't be done.
func restNow(options sizer.Options, root, folder string) *sizer.Look {
	options.Log = slog.New(slog.DiscardHandler)
	r, err := OpenRoot(root, options)
	if err != nil {
		return nil
	}
	return lookOnce(r.Root, folder)
}

func lookOnce(r *sizer.Root, folder string) *sizer.Look {
	now := time.Now()
	look, _ := r.Look(now, folder)
	if !look.InPlay && !look.Gone && look.Unreadable == nil {
		// What has just come into a directory of its own waits for somebody
		// who tells what it is called. Here nobody will come.
		look, _ = r.Look(now.Add(nameTime), folder)
	}
	if look.Unreadable != nil {
		return nil
	}
	return &look
}

// restOf looks once at a repository of a root that is watched, for a user who pays
// for it: at that directory, whatever its path leads to by now. It is nil if that
// can't be done, or not be paid for.
func (p *Pipeline) restOf(root watcher.RootStatus, repo hfcache.Repo, since time.Time, payer account.User) (look *sizer.Look) {
	if p.opts.Accounts.Wait(payer, account.Looks) > 0 {
		return nil
	}
	options := ScanOptions(p.hub, since, slog.New(slog.DiscardHandler))
	options.FS, options.Path, options.Dev, options.Inode = p.opts.filesFor(payer), root.Path, root.Dev, root.Inode
	options.Procs = downloader.NewShared(p.opts.processes())
	options.Vague, options.Unlinked = root.Remote != "", true
	options.Reserve = memoryFor(p.opts.Accounts, payer)
	p.opts.Machine.metered(p.opts.Accounts, payer, func() { look = lookOnce(sizer.NewRoot(options), repo.Folder()) })
	return look
}

// metered has a user pay for the processor time that something takes: as the
// thread uses it that it is done by, so that nobody pays for what others do
// meanwhile. In a simulation everything takes no time.
func (m *Machine) metered(accounts *account.Book, payer account.User, do func()) {
	if accounts == nil || m != nil {
		do()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	defer func() { accounts.Spend(payer, account.Looks, int64(threadTime()-before)) }()
	do()
}

func threadTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// nameTime is longer than the sizer waits for a name.
const nameTime = 2 * time.Second
