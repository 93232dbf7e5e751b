package sizer

import (
	"errors"
	"runtime"
	"time"

	"progressd/downloader"
	"progressd/fsclock"
	"progressd/fsys"
	"progressd/hfcache"
)

// Root looks at the repositories of one cache root. It belongs to one
// goroutine. It opens no blob, takes no lock, follows no link and leaves
// nothing open.
type Root struct {
	opts  Options
	clock *fsclock.Clock
	repos map[string]*repo
	// baselines hold what has moved on from Options.Since in this life.
	baselines map[string]time.Time
	// rested are the repositories at rest that weren't when this life began.
	rested map[string]sighted
	// came holds what Came has said of folders that weren't looked at yet.
	came      map[string]time.Time
	fs        fileSystem
	processes downloader.Snapshot
	temps     rootTempFiles
	warned    map[string]bool
	// collected is when garbage was last collected for want of memory.
	collected time.Time
}

// NewRoot makes a Root. It touches nothing.
func NewRoot(opts Options) *Root {
	if opts.FS == nil {
		opts.FS = fsys.Real{}
	}
	clock := fsclock.New(opts.FS, opts.Vague)
	opts.FS = clock
	return &Root{
		opts: opts, clock: clock, repos: make(map[string]*repo),
		baselines: make(map[string]time.Time), rested: make(map[string]sighted), came: make(map[string]time.Time), warned: make(map[string]bool), processes: opts.Procs.Snapshot(),
	}
}

// warn says something about a repository once. What it says is bounded: a
// hostile root must not fill the log.
func (r *Root) warn(folder, what string, err error) {
	key := folder + "\x00" + what
	if r.warned[key] || len(r.warned) >= 1000 {
		return
	}
	r.warned[key] = true
	//nolint:sloglint // literals, but for the name of a listing or a commit that tells two apart
	r.opts.Log.Warn(what, "root", r.opts.Path, "repo", folder, "err", err)
}

// A repo is what is kept between looks about a repository that has partials
// or is in play. Others keep nothing.
type repo struct {
	name   hfcache.Repo
	folder string
	layout *layout
	tree   *tree // of a Local one, else nil
	// baseline: what is older was told, or was there before; watchedSince: a partial
	// untouched since then is nobody's. arrived: that was found out.
	baseline, watchedSince time.Time
	arrived                bool
	blobs                  mark
	names                  fsys.Tally // in blobs/, where its mark is vague
	born                   time.Time  // of blobs/: inodes are used again
	partials               map[string]*partial
	locks                  lockDir
	// outsideLocks are those of hfcache.OutsideLockDir.
	outsideLocks lockDir
	// besides are the lock files in blobs/, lockedBesides of which blobs;
	// reading is what is held of all.
	besides       []lockFile
	lockedBesides []string
	reading       reading
	revs          revisions
	play          *play
	// cutOffs are blobs that were left half copied; see Checkpoint.CutOffs.
	cutOffs []CutOff
	// unlinked are blobs of the last play that no snapshot names.
	unlinked []string
	// awaiting: a lock is held that may stand for a file in the root, and there
	// are some that nobody has claimed.
	awaiting bool
	// unreadable: the last look failed, and that was said.
	unreadable bool
	last       sighted
}

// A sighted is when a repository was last looked at, and what blobs/ was then.
type sighted struct {
	at    time.Time
	inode uint64
	mtime time.Time
}

// changed reports whether a directory is the same as then, with other names in it.
func (s sighted) changed(e fsys.Entry) bool { return s.inode == e.Inode && !s.mtime.Equal(e.Mtime) }

// A layout says where a repository's partials, finished files, locks and
// listings lie, and what tells its files apart. All else is the same for every
// layout. A file's key stands in file.etag, partial.Etag and lockFile.etag.
type layout struct {
	// home holds the finished files under their keys, partials those that are
	// not, trees the listings; all follow the repository's folder.
	home, partials, trees string
	// scan brings the partials up to date and finds new files.
	scan func(*pass) error
	// locks are the lock files that there are.
	locks func(*pass) []lockFile
	// finished tells of a finished file; home is open.
	finished func(p *pass, home fsys.Dir, f *file) (fsys.Entry, error)
	// moved: names came or went since this look began.
	moved func(*pass) bool
	// key tells a listed file from others; index, also from those that
	// another revision has under that key.
	key, index func(hfcache.ListedFile) string
	// evidence is the commits that something is known to be done for.
	evidence func(*pass, *play) map[string]bool
	// snapshots finds the revisions that there are beside the listings,
	// links what files one of them has, linked whether each that is wanted
	// is in its place.
	snapshots func(*pass, *revisions) error
	links     func(*pass, *revision) error
	linked    func(p *pass, rev *revision, wants func(path string) bool) bool
	// rest counts what of the revisions in flight isn't kept, settled gives up
	// what is kept beside the files that are settled now, and recount has all
	// read anew.
	rest func(*pass, *play) error
	// check checks one file of a listing that isn't kept.
	check   func(*checker, *revision, hfcache.ListedFile) error
	settled func(*pass, *play)
	recount func(*pass, *play) error
}

// parseFolder names the repository that a look at folder is about.
func parseFolder(folder string) (hfcache.Repo, bool) {
	if name, ok := hfcache.ParseFolder(folder); ok {
		return name, true
	}
	return hfcache.LocalRepo(folder)
}

// A pass is one look in progress.
type pass struct {
	root *Root
	repo *repo
	now  time.Time
	top  fsys.Dir
	news
	held held
	// heldAgain: held is what the last reading found.
	heldAgain bool
	// aged: but for its age, the last reading would still stand.
	aged         bool
	places       places
	unattributed unattributed
	// unsure: a file grows in the root that may be this repository's, of
	// which it holds the lock.
	unsure bool
	// thorough: each file is looked at.
	thorough bool
	// room is read in a play only.
	room Room
	// text is what was read of a note last.
	text *[maxNote]byte
}

// news are what a pass finds changed in a repository.
type news struct {
	// relisted: the names in blobs/ were read in this pass, and may be others.
	relisted bool
	// blobsTime is the mtime of blobs/, zero if there is none.
	blobsTime time.Time
	// arrivedNew are etags of finished blobs that came since the last play.
	arrivedNew []string
	// placedNew: so did files in a snapshot that are no links.
	placedNew bool
	// deleted: see Look.Vanished.
	deleted bool
}

// places are the finished files in snapshots, as far as a pass asks for them.
type places struct {
	paths   map[string][]string   // of listed etags, below the folder
	entries map[string]fsys.Entry // of unlisted files
	sizes   map[int64]string      // of the blobs; any etag of that size
	tries   int                   // without a reason to find any
	resting bool                  // nothing is in flight: what is missing isn't on its way
	sought  bool                  // see seekPlaced
}

// A checker looks at files one after the other, which mostly lie in the same
// directories as the last.
type checker struct {
	*pass
	open [2]checkedDir
}

type checkedDir struct {
	path string
	dir  fsys.Dir
	is   bool
}

var (
	errGone     = errors.New("the repository is gone")
	errReplaced = errors.New("the root is another directory now")
	errHidden   = errors.New("another file system is there now")
)

func (p *pass) mark(e fsys.Entry) mark {
	return mark{dev: e.Dev, ino: e.Inode, mtime: e.Mtime, young: p.now.Sub(e.Mtime) < fsys.Coarse, vague: p.root.opts.Vague}
}

// isLink reports whether a link lies at path.
func (p *pass) isLink(path string) bool {
	e, err := p.top.LstatPath(path)
	return err == nil && e.Link()
}

func notAbsent(err error) error {
	if fsys.Absent(err) {
		return nil
	}
	return err
}

// reserve asks for memory. What is refused is perhaps held by what is garbage.
func (r *Root) reserve(n int64) bool {
	if r.opts.Reserve == nil || r.opts.Reserve(n) {
		return true
	}
	if now := time.Now(); now.Sub(r.collected) > refusedAgain {
		r.collected = now
		runtime.GC()
	}
	return false
}

func (r *Root) release(n int64) {
	if r.opts.Reserve != nil {
		r.opts.Reserve(-n)
	}
}

// giveBackWith gives reserved memory back when what takes it has really come free. It must
// know nothing of the Root, which knows what takes it: else neither ever does.
func giveBackWith[T any](taker *T, reserve func(n int64) bool, takes int64) {
	if reserve != nil {
		runtime.AddCleanup(taker, func(n int64) { reserve(-n) }, takes)
	}
}

// keep gives back what was reserved beyond what a listing takes, and all of it
// when the listing is no more: that is, when the memory has really come free.
func (r *Root) keep(l *listing, reserved int64) {
	if r.opts.Reserve == nil {
		return
	}
	var text int64
	for _, f := range l.files {
		text += int64(len(f.Path) + len(f.Etag))
	}
	r.keepAs(l, memoryOf(len(l.files), text), reserved)
}

// keepAs is keep for a listing that takes so much.
func (r *Root) keepAs(l *listing, takes, reserved int64) {
	if r.opts.Reserve == nil {
		return
	}
	takes = min(takes, reserved)
	r.release(reserved - takes)
	giveBackWith(l, r.opts.Reserve, takes)
}
