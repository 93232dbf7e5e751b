package sizer

import (
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"progressd/downloader"
	"progressd/fsclock"
	"progressd/fsys"
	"progressd/hfcache"
)

// Options say how a Root looks. All fields are needed but FS, Recall, Listing
// and Judged.
type Options struct {
	// FS is whom files are asked of: this machine's kernel, if it is nil.
	FS fsys.Kernel
	// Vague: on the root's file system directories may keep their times when
	// names come and go, and a name may have another inode number each time it
	// is looked up. So it is on those of networks.
	Vague bool
	// Path of the cache root; the only path that may lead through links.
	Path string
	// Dev and Inode are the root's identity: a look that finds another
	// directory there reports nothing.
	Dev, Inode uint64
	// Unlinked: the path has no links, and none that comes is followed.
	Unlinked bool
	// Since: blobs older than this were there before anyone watched.
	Since time.Time
	// Opened is when watching began. A partial untouched since then is
	// nobody's, until it grows or its lock is taken.
	Opened time.Time
	// Recall gives what was remembered about a repository, if anything.
	Recall func(hfcache.Repo) (Memory, bool)
	// Listing gives the files of a commit of which the cache has no listing,
	// as the hub has them. It never waits: what it doesn't know yet it may
	// know at a later look.
	Listing func(repo hfcache.Repo, commit string) (hfcache.Listing, bool)
	// Reserve takes n bytes of memory for a listing, and gives them back if n
	// is negative; false if there is no more, then the listing isn't read.
	// Called by any goroutine; nil if there is no bound.
	Reserve func(n int64) bool
	// Procs knows who holds which lock; shared by all roots.
	Procs *downloader.Shared
	// Judged gives when the newest look at a repository was begun that was
	// judged, and the judge's interest in its play: only he ends one that
	// nothing proves complete. It never waits; nil if nobody judges.
	Judged func(hfcache.Repo) (newest time.Time, interest Interest)
	Log    *slog.Logger
}

// Interest is what who judges a play still has in it.
type Interest int

// The interests.
const (
	// Settled: none. What comes is of another play.
	Settled Interest = iota
	// Paused: it has stopped, and may go on.
	Paused
	// Open: it goes on, or its end is waited for.
	Open
)

// open opens the root. Where its identity tells it from another directory, what a
// link leads to is found out by that.
func (o *Options) open() (fsys.Dir, error) {
	if o.Unlinked && o.Vague {
		return fsys.OpenUnlinked(o.FS, o.Path)
	}
	return fsys.Open(o.FS, o.Path)
}

// Root looks at the repositories of one cache root. It belongs to one
// goroutine. It opens no blob, takes no lock, follows no link and leaves
// nothing open.
type Root struct {
	opts  Options
	clock *fsclock.Clock
	repos map[string]*repo
	// since holds what has moved on from Options.Since in this life.
	since map[string]time.Time
	// rested are the repositories at rest that weren't when this life began.
	rested map[string]sighted
	// came holds what Came has said of folders that weren't looked at yet.
	came      map[string]time.Time
	fs        fileSystem
	processes downloader.Snapshot
	temps     temps
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
		since: make(map[string]time.Time), rested: make(map[string]sighted), came: make(map[string]time.Time), warned: make(map[string]bool), processes: opts.Procs.Snapshot(),
	}
}

// A repo is what is kept between looks about a repository that has partials
// or is in play. Others keep nothing.
type repo struct {
	name   hfcache.Repo
	folder string
	layout *layout
	tree   *tree // of a Local one, else nil
	// since: what is older was told, or was there before; opened: a partial
	// untouched since then is nobody's. arrived: that was found out.
	since, opened time.Time
	arrived       bool
	blobs         mark
	names         fsys.Tally // in blobs/, where its mark is vague
	born          time.Time  // of blobs/: inodes are used again
	partials      map[string]*partial
	locks         lockDir
	// outsideLocks are those of hfcache.OutsideLockDir.
	outsideLocks lockDir
	// besides are the lock files in blobs/, lockedBesides of which blobs;
	// reading is what is held of all.
	besides       []lockFile
	lockedBesides []string
	reading       reading
	revs          revisions
	play          *play
	// cutOffs are blobs that were left half copied; see Memory.CutOffs.
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

// Look passes once over a repository. folder must be one that
// hfcache.ParseFolder or hfcache.LocalRepo accepts.
func (r *Root) Look(now time.Time, folder string) (Look, Pace) {
	name, ok := parseFolder(folder)
	if !ok {
		return Look{Root: r.opts.Path, At: now}, Idle
	}
	rp := r.repo(name, folder)
	look := Look{Root: r.opts.Path, Repo: name, At: now}
	r.processes.Forget()
	p := &pass{root: r, repo: rp, now: r.clock.Look(now)}
	switch err := p.run(&look); {
	case errors.Is(err, errGone):
		r.drop(rp, p.now)
		// Another one may stand in its place already, at which nothing moves any more.
		return Look{Root: r.opts.Path, Repo: name, At: now, Gone: true}, Fast
	case err != nil:
		r.unreadable(rp, err)
		return Look{Root: r.opts.Path, Repo: name, At: now, Unreadable: err}, Slow
	}
	if rp.unreadable {
		rp.unreadable = false
		r.opts.Log.Info("a repository can be looked at again", "root", r.opts.Path, "repo", folder)
	}
	return look, r.rest(rp)
}

// unreadable is said once, until it is over. What is removed while it is
// looked at is gone at the next look, and no fault.
func (r *Root) unreadable(rp *repo, err error) {
	if !rp.unreadable && !errors.Is(err, errReplaced) && !errors.Is(err, fs.ErrNotExist) {
		rp.unreadable = true
		r.opts.Log.Warn("cannot look at a repository: what was known of it stands, and it is tried again",
			"root", r.opts.Path, "repo", rp.folder, "err", err)
	}
}

var (
	errGone     = errors.New("the repository is gone")
	errReplaced = errors.New("the root is another directory now")
	errHidden   = errors.New("another file system is there now")
)

func (r *Root) repo(name hfcache.Repo, folder string) *repo {
	if rp := r.repos[folder]; rp != nil {
		return rp
	}
	rp := &repo{name: name, folder: folder, since: r.opts.Since, opened: r.opts.Opened, last: r.rested[folder]}
	delete(r.rested, folder)
	rp.layout, rp.tree = layoutOf(name)
	memory, known := Memory{}, false
	if r.opts.Recall != nil {
		memory, known = r.opts.Recall(name)
	}
	if known {
		rp.since = later(rp.since, r.clock.Ours(memory.Since))
		rp.cutOffs = memory.CutOffs
	}
	rp.since = later(rp.since, r.since[folder])
	if _, moved := r.since[folder]; known && !moved && memory.Play != "" {
		rp.play = restored(memory, r.clock)
	}
	r.repos[folder] = rp
	return rp
}

// Forget forgets what is kept of a repository in which a download goes on: the next
// look finds it as if it were the first.
func (r *Root) Forget(folder string) {
	if rp := r.repos[folder]; rp != nil {
		r.since[folder] = later(r.since[folder], rp.since) // what came before stays told
		delete(r.repos, folder)
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
	aged      bool
	places    places
	strangers strangers
	// unsure: a file grows in the root that may be this repository's, of
	// which it holds the lock.
	unsure bool
	// thorough: each file is looked at.
	thorough bool
	// room is read in a play only.
	room Room
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

func (p *pass) run(look *Look) error {
	defer p.root.opts.FS.Raise()()
	top, err := p.root.opts.open()
	if err != nil {
		return err
	}
	defer top.Close()
	e, err := top.Stat()
	if err != nil {
		return err
	}
	if e.Dev != p.root.opts.Dev || e.Inode != p.root.opts.Inode && !p.root.opts.Vague {
		return errReplaced
	}
	p.top = top
	if !p.repo.arrived {
		p.repo.arrived = true
		p.arrive()
	}
	if err := p.repo.layout.scan(p); err != nil {
		return err
	}
	p.repo.last = sighted{p.now, p.repo.blobs.ino, p.blobsTime}
	if p.repo.play == nil && len(p.repo.partials) == 0 && len(p.arrivedNew) == 0 && !p.placedNew && !p.mayStage() {
		return nil
	}
	p.held = p.readHeld()
	p.stageTemps()
	p.stageLoose()
	p.takeUp()
	p.judge()
	if p.repo.play == nil && !p.begin() {
		p.leftovers(look)
		return nil
	}
	return p.playOn(look)
}

// readBlobs brings the partials up to date and, at rest, finds blobs that
// came since the last play.
func (p *pass) readBlobs() error {
	blobs, err := p.top.Sub(p.repo.folder + "/blobs")
	if fsys.Absent(err) {
		return p.noBlobs(err)
	}
	if err != nil {
		return err
	}
	defer blobs.Close()
	e, err := blobs.Stat()
	if err != nil {
		return err
	}
	if p.repo.last.changed(e) && p.noteClock(e, p.repo.last.at, blobs.Stat) {
		if e, err = blobs.Stat(); err != nil {
			return err
		}
	}
	p.root.fs.learn(blobs, e.Dev)
	p.blobsTime = e.Mtime
	if p.repo.play != nil {
		p.room = roomOf(blobs, e)
	}
	if p.repo.blobs.stale(e) {
		if err := p.recognise(blobs, e); err != nil {
			return err
		}
		if p.relisted, err = p.listPartials(blobs); err != nil {
			return err
		}
	}
	if err := p.measurePartials(blobs); err != nil || !p.relisted {
		return err
	}
	if since, ok := p.lookForNew(); ok {
		return p.findNew(blobs, since)
	}
	return nil
}

// recognise marks the directory that holds the partials. One that was removed
// and made again is errGone: what was is over. One of another file system hides
// what was.
func (p *pass) recognise(d fsys.Dir, e fsys.Entry) error {
	was, born := p.repo.blobs, d.Born(".")
	mountedAgain := was.ino == e.Inode && !born.IsZero() && p.repo.born.Equal(born)
	switch {
	case was.ino == 0 || mountedAgain:
	case was.dev != e.Dev:
		return errHidden
	case was.another(e) || !p.repo.born.Equal(born):
		return errGone
	}
	p.repo.blobs, p.repo.born = p.mark(e), born
	return nil
}

// forget is for a repository without that directory: it has no partials, and
// is errGone where there is no repository either.
func (p *pass) forget() error {
	e, err := p.top.LstatPath(p.repo.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	if err != nil {
		return err
	}
	if !e.IsDir() {
		return errGone
	}
	if p.repo.blobs.ino != 0 && p.repo.blobs.dev != e.Dev {
		return errHidden
	}
	p.repo.blobs, p.repo.partials = mark{}, nil
	return nil
}

// replaced reports whether the repository was removed since this look read its
// partials, or removed and made again, as an error: such a look has seen something of
// before and something of after. Files would be missing that were moved away with all
// others, and the times of what came later would be those behind which nothing more
// of it is told.
func (p *pass) replaced() error {
	if p.repo.blobs.ino == 0 {
		return nil
	}
	path := p.repo.folder + p.repo.layout.partials
	e, err := p.top.LstatPath(path)
	switch {
	case fsys.Absent(err):
		return err // the next look tells whether all of it is gone
	case err != nil || p.repo.tree != nil || e.Mtime.Equal(p.blobsTime):
		return nil //nolint:nilerr // what can't be seen has not been replaced
	case e.Dev != p.repo.blobs.dev:
		return errHidden
	case p.repo.blobs.another(e) || !p.top.BornPath(path).Equal(p.repo.born):
		return errGone
	}
	return nil
}

func (p *pass) noBlobs(err error) error {
	switch {
	case !fsys.Refused(err):
	case p.isLink(p.repo.folder + "/blobs"):
		p.root.warn(p.repo.folder, "blobs is a link, and links are not followed, so nothing is told of this repository: mount what it leads to there instead (mount --bind), or move the whole cache and name where it lies as a root", err)
	default:
		p.root.warn(p.repo.folder, "blobs is no directory, and is not followed", err)
	}
	if err := p.forget(); err != nil {
		return err
	}
	p.relisted = true
	return nil
}

// isLink reports whether a link lies at path.
func (p *pass) isLink(path string) bool {
	e, err := p.top.LstatPath(path)
	return err == nil && e.Link()
}

// lookForNew reports whether finished blobs that nobody saw as partials may
// matter, and those after which time: at rest they are the sign of a
// download, in a play or where one begins that of another revision.
func (p *pass) lookForNew() (since time.Time, ok bool) {
	since = p.repo.since
	if p.repo.play != nil {
		since = p.repo.play.since
	}
	return since, p.root.opts.Vague || p.blobsTime.After(since)
}

// findNew looks for finished blobs that came after the last play: a small
// model may be done between two looks. A few are enough to know it by; in a
// play, few are unknown, and no more than some are looked at. As many are where
// a partial begins one, which has to be told soon.
func (p *pass) findNew(blobs fsys.Dir, since time.Time) error {
	const enough, some = 64, 4096
	unknown, bounded, written := 0, p.repo.play != nil, since
	if bounded {
		written = p.repo.play.opened // before it was put in its place
	}
	for _, part := range p.repo.partials {
		bounded = bounded || part.fresh
	}
	err := blobs.Names(func(name string) bool {
		if b := hfcache.ParseBlob(name); b.Kind != hfcache.Finished || p.repo.play.has(name) {
			return true
		}
		unknown++
		name = strings.Clone(name)
		e, err := p.finished(blobs, name)
		if err == nil && e.Ctime.After(since) && e.Mtime.After(written) && (p.repo.play != nil || !p.keptTimes(p.repo.folder+"/blobs/"+name, e.Mtime)) {
			p.arrivedNew = append(p.arrivedNew, name)
		}
		return len(p.arrivedNew) < enough && (!bounded || unknown < some)
	})
	pl := p.repo.play
	linked := pl != nil && len(pl.revisions) > 0 && pl.looked && !pl.linkless
	if err != nil || linked || len(p.arrivedNew) > 0 {
		return err
	}
	p.placedNew, err = p.placedSince(since)
	if pl != nil {
		pl.linkless = pl.linkless || p.placedNew
	} else if err == nil && !p.placedNew && !p.repo.blobs.young && !p.root.opts.Vague {
		p.repo.since = p.blobsTime // deletions only: don't ask again
	}
	return err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
