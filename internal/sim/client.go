package sim

import (
	"errors"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
	"progressd/internal/simfs"
)

// A client is one process that downloads a revision, by the habits of its
// generation. What it does and in which order is what internal/client does with
// real files; a test compares the two.
type client struct {
	*world
	*process
	plan   plan
	repo   *repository
	rev    *revision
	habit  hfcache.Habit
	locals bool // it goes to a directory of its own
	copies bool // it is no client, but a copy from elsewhere
	record *record

	mu       sync.Mutex
	steps    int // done so far
	brought  int64
	probed   bool
	failed   error
	waiting  bool // for the hub, which has said how long, since waitedAt
	waitedAt time.Time
	hubCalls int
	// after is called after each call; nil but in tests.
	after func()
}

// A thread is one of a client's: what it draws changes no other's.
type thread struct {
	*client
	rng *rand.Rand
	// had: the blob of its file was there when it began.
	had bool
}

// start makes the process of a client. It does nothing yet.
func (w *world) start(repo *repository, rev *revision, pl plan) *client {
	habit, ok := hfcache.HabitOf(pl.Habit)
	if !ok {
		panic("there is no client " + pl.Habit)
	}
	c := &client{world: w, plan: pl, repo: repo, rev: rev, habit: habit, locals: repo.local != ""}
	argv := pl.argv(repo)
	c.process = w.procs.spawn(nil, owner, path.Base(argv[0]), argv...)
	c.record = repo.truth.begin(c)
	return c
}

// owner is who owns the caches and runs the clients.
const owner = 1000

func (c *client) thread(name any) *thread {
	return &thread{client: c, rng: c.random("client", c.plan.Seed, name)}
}

// run downloads until all is there, or it ends before its time. It returns
// when the process is gone.
func (c *client) run() {
	t := c.thread("main")
	err := t.work()
	c.record.finish(err)
	if err == nil {
		_ = t.sleep(c.plan.Stays)
	}
	_ = t.sleep(between(t.rng, 20*time.Millisecond, 1500*time.Millisecond))
	c.procs.exit(c.process)
	c.record.gone()
}

// work is all that the client does before it exits.
func (t *thread) work() error {
	if err := t.sleep(between(t.rng, 300*time.Millisecond, 2500*time.Millisecond)); err != nil {
		return err
	}
	if err := t.ask(); err != nil {
		return err
	}
	wanted := t.wanted()
	if t.habit.Has(hfcache.Lists) && t.plan.Single == "" {
		if err := t.saveListing(); err != nil {
			return err
		}
	}
	if t.habit.Ways&(hfcache.RefLast|hfcache.RefAtEnd|hfcache.NoRef) == 0 {
		if err := t.saveRef(); err != nil {
			return err
		}
	}
	if err := t.bringAll(wanted); err != nil {
		return err
	}
	if t.habit.Has(hfcache.RefAtEnd) {
		return t.saveRef()
	}
	return nil
}

// bringAll brings all files that are wanted.
func (t *thread) bringAll(wanted []hubFile) error {
	if t.habit.Link == hfcache.LinkBatches {
		return t.inBatches(wanted)
	}
	files := wanted
	if t.habit.Link == hfcache.LinkAtEnd { // two threads would write to one partial
		seen := map[string]bool{}
		files = slices.DeleteFunc(slices.Clone(wanted), func(f hubFile) bool {
			twin := seen[f.etag]
			seen[f.etag] = true
			return twin
		})
	}
	if err := t.each(files, (*thread).bring); err != nil {
		return err
	}
	if t.habit.Link == hfcache.LinkAtEnd {
		return t.linkAll(wanted)
	}
	return nil
}

// wanted are the files that it was asked for, in the hub's order.
func (c *client) wanted() []hubFile {
	var wanted []hubFile
	for _, f := range c.rev.files {
		if c.plan.wants(f.path) {
			wanted = append(wanted, f)
		}
	}
	return wanted
}

// each does all files, as many at a time as the client does. After a failure
// or Ctrl-C none is begun.
func (t *thread) each(files []hubFile, do func(*thread, hubFile) error) error {
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		next  int
		first error
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if first != nil || t.interrupted() || next == len(files) {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range min(t.habit.AtOnce, len(files)) {
		group.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				err := do(t.thread(i), files[i])
				if err == nil {
					continue
				}
				mu.Lock()
				if first == nil || errors.Is(err, errKilled) {
					first = err
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if first == nil && t.interrupted() && next < len(files) {
		return errFailed
	}
	return first
}

// step is done before each call by which a client changes the cache: it takes a
// moment, and may be the client's last.
func (t *thread) step() error {
	if err := t.sleep(between(t.rng, 3*time.Microsecond, 400*time.Microsecond)); err != nil {
		return err
	}
	t.mu.Lock()
	t.steps++
	last := t.plan.DieAtStep > 0 && t.steps >= t.plan.DieAtStep
	t.mu.Unlock()
	if last {
		return t.meetFate()
	}
	return nil
}

// meetFate ends the client as its plan says.
func (t *thread) meetFate() error {
	switch t.plan.Fate {
	case killed:
		t.tell("%s is killed (SIGKILL)", t.record.name())
		t.procs.exit(t.process)
		return errKilled
	case interrupted:
		if t.interrupt() {
			t.tell("%s gets Ctrl-C", t.record.name())
		}
		if !t.habit.Has(hfcache.FinishesFiles) {
			t.procs.exit(t.process)
			return errKilled
		}
	case finishes:
	}
	return nil
}

// try does something to the cache, and gives the client's view of a failure.
func (t *thread) try(do func() error) error {
	if err := t.step(); err != nil {
		return err
	}
	if t.barred.Load() {
		return t.fail(unix.EACCES)
	}
	if err := do(); err != nil {
		return t.fail(err)
	}
	if t.after != nil {
		t.after()
	}
	return nil
}

// fail notes why the client fails.
func (t *thread) fail(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = err
		t.record.failing()
		t.tell("%s fails: %v", t.record.name(), err)
	}
	return errFailed
}

// mkdirAll makes directories. That another thread was faster is no error.
func (t *thread) mkdirAll(p string) error {
	if t.fs.Has(p) {
		return nil
	}
	return t.try(func() error { return t.fs.MkdirAll(p) })
}

// put writes a small file, by way of a temporary one if its name is given.
func (t *thread) put(p, tmp, text string, mode uint32) error {
	target := p
	if tmp != "" {
		target = tmp
	}
	err := t.try(func() error {
		f, err := t.fs.Create(target, mode, simfs.Trunc)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.WriteText(text)
	})
	if err != nil || tmp == "" {
		return err
	}
	return t.try(func() error { return t.fs.Rename(tmp, p) })
}

// ask is what a client asks the hub for before it does anything.
func (t *thread) ask() error {
	if err := t.sleep(between(t.rng, 40*time.Millisecond, 500*time.Millisecond)); err != nil {
		return err
	}
	return nil
}

// saveListing leaves the listing of the whole revision.
func (t *thread) saveListing() error {
	dir := t.repo.dir() + "/trees"
	if t.locals {
		dir = t.repo.dir() + "/" + hfcache.LocalTrees
	}
	p := dir + "/" + t.rev.commit + ".json"
	if t.fs.Has(p) {
		return nil
	}
	if err := t.mkdirAll(dir); err != nil {
		return err
	}
	return t.put(p, dir+"/"+t.temp()+".tmp", t.rev.listing(), 0o600)
}

// saveRef notes which commit the branch is.
func (t *thread) saveRef() error {
	dir := t.repo.root + "/" + t.repo.repo.Folder() + "/refs"
	p := dir + "/main"
	if old, err := t.fs.ReadFile(p); err == nil && old == t.rev.commit && t.habit.Has(hfcache.Lists) {
		return nil
	}
	if err := t.mkdirAll(dir); err != nil {
		return err
	}
	tmp := ""
	if t.habit.Has(hfcache.Lists) {
		tmp = p + "." + hex(t.rng, 8) + ".tmp"
	}
	return t.put(p, tmp, t.rev.commit, 0o644)
}

// temp is a name as Python's tempfile makes them.
func (t *thread) temp() string {
	return "tmp" + letters(t.rng, 8, "abcdefghijklmnopqrstuvwxyz0123456789_")
}

// lock waits for the lock of a file, and truncates it at each try as the lock libraries do.
// What it returns gives it back.
func (t *thread) lock(p string) (unlock func() error, err error) {
	for {
		var st unix.Stat_t
		var file *simfs.File
		err := t.try(func() (err error) {
			if file, err = t.fs.Create(p, 0o644, simfs.Trunc); err != nil {
				return err
			}
			if err = t.fs.Lstat(p, &st); err != nil {
				file.Close()
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if t.procs.lock(t.process, file, st.Dev) {
			held := t.record.locked()
			return func() error {
				t.record.unlocked(held)
				t.procs.unlock(t.process, file)
				if t.plan.RemovesLocks {
					_ = t.fs.Remove(p)
				}
				return nil
			}, nil
		}
		if err := t.sleep(between(t.rng, 40*time.Millisecond, 60*time.Millisecond)); err != nil {
			return nil, err
		}
	}
}

// underLock does something while a lock is held.
func (t *thread) underLock(p string, do func() error) error {
	unlock, err := t.lock(p)
	if err != nil {
		return err
	}
	err = do()
	if errors.Is(err, errKilled) {
		return err // the kernel gives it back
	}
	if stepErr := t.step(); stepErr != nil {
		return stepErr
	}
	return errors.Join(err, unlock())
}

// lockPath is where the lock of a file lies; empty where there is none.
func (t *thread) lockPath(etag string) string {
	locks := t.repo.root + "/" + hfcache.LockDir(t.repo.repo.Folder())
	switch t.habit.Lock {
	case hfcache.LockInDir:
		return locks + "/" + etag + ".lock"
	case hfcache.LockOutside:
		return locks + "/blobs/" + etag + ".lock"
	case hfcache.LockBeside:
		return t.blob(etag) + ".lock"
	default:
		return ""
	}
}

func (c *client) blob(etag string) string { return c.repo.dir() + "/blobs/" + etag }

// pointer is the place of a file in the snapshot.
func (c *client) pointer(file string) string {
	return c.repo.dir() + "/snapshots/" + c.rev.commit + "/" + file
}

// linkText leads from a place in the snapshot to a blob.
func linkText(file, etag string) string {
	return strings.Repeat("../", 2+strings.Count(file, "/")) + "blobs/" + etag
}
