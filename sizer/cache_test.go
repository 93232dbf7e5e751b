package sizer

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
)

// A cache is a root on a real file system with the means to do to it what
// clients do, and a proc directory of its own in which processes live and die.
type cache struct {
	t    *testing.T
	path string
	proc string
	root *Root
	now  time.Time
	// step is how long after the last look the next one is; 0 is real time.
	step time.Duration
	log  *strings.Builder

	locks map[string]string // lock file -> line of /proc/locks
	opts  Options
	// over: nothing more is waited for.
	over bool
}

const (
	demo    = "models--org--demo"
	commitA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	commitB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// etag makes a blob name of 64 hex digits out of a short word.
func etag(word string) string {
	return strings.Repeat("0", 64-2*len(word)) + fmt.Sprintf("%x", word)
}

func newCache(t *testing.T) *cache {
	t.Helper()
	base := t.TempDir()
	c := &cache{t: t, path: filepath.Join(base, "hub"), proc: filepath.Join(base, "proc"), log: &strings.Builder{}, locks: map[string]string{}}
	c.must(os.MkdirAll(c.path, 0o755))
	c.must(os.MkdirAll(c.proc, 0o755))
	c.writeLocks()
	c.now, c.step = time.Now(), 500*time.Millisecond
	c.watch(c.now.Add(-time.Minute), nil)
	return c
}

// watch begins watching, as a daemon that starts does.
func (c *cache) watch(since time.Time, recall func(hfcache.Repo) (Checkpoint, bool)) {
	var st syscall.Stat_t
	c.must(syscall.Stat(c.path, &st))
	c.opts = Options{
		Path: c.path, Dev: st.Dev, Inode: st.Ino, Since: since, Opened: since, Recall: recall,
		Procs: downloader.NewShared(downloader.ProcDir(c.proc)), Judged: c.judged,
		Log: slog.New(slog.NewTextHandler(c.log, nil)),
	}
	if strings.Contains(c.t.Name(), onNetwork) {
		c.opts.FS, c.opts.Vague = &network{}, true
	}
	c.root = NewRoot(c.opts)
}

// restart is another life of the daemon, which remembers the repository.
func (c *cache) restart(m Checkpoint) {
	c.watch(c.opts.Since, func(hfcache.Repo) (Checkpoint, bool) { return m, true })
	c.opts.Opened = time.Now()
	c.root = NewRoot(c.opts)
}

func (c *cache) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// look passes once over the demo repository, half a second after the last.
func (c *cache) look() Look {
	c.t.Helper()
	look, _ := c.lookAt(demo)
	return look
}

func (c *cache) lookAt(folder string) (Look, Pace) {
	c.now = c.now.Add(c.step)
	if c.step == 0 {
		c.now = time.Now()
	}
	return c.root.Look(c.now, folder)
}

// judged is one who has judged all looks but this.
func (c *cache) judged(hfcache.Repo) (time.Time, Interest) {
	if c.over {
		return c.now.Add(-time.Nanosecond), Settled
	}
	return c.now.Add(-time.Nanosecond), Open
}

// quiet is longer than anything but a verdict is waited for.
const quiet = 30 * time.Second

// conclude lets a verdict come in a while, and what there is be looked at twice.
func (c *cache) conclude() {
	c.now = c.now.Add(quiet)
	c.look()
	c.over = true
	c.look()
	c.over = false
}

func (c *cache) in(folder string, parts ...string) string {
	return filepath.Join(append([]string{c.path, folder}, parts...)...)
}

// write makes or extends a file to size with real, written bytes.
func (c *cache) write(path string, size int) {
	c.t.Helper()
	c.must(os.MkdirAll(filepath.Dir(path), 0o755))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	c.must(err)
	st, err := f.Stat()
	c.must(err)
	_, err = f.Write(make([]byte, max(0, size-int(st.Size()))))
	c.must(err)
	c.must(f.Close())
}

func (c *cache) partial(word, suffix string, size int) string {
	path := c.in(demo, "blobs", etag(word)+suffix)
	c.write(path, size)
	return path
}

// finish renames a partial to its blob and links it into the snapshot.
func (c *cache) finish(word, suffix, commit, path string) {
	c.t.Helper()
	c.must(os.Rename(c.in(demo, "blobs", etag(word)+suffix), c.in(demo, "blobs", etag(word))))
	c.link(word, commit, path)
}

func (c *cache) link(word, commit, path string) {
	c.t.Helper()
	link := c.in(demo, "snapshots", commit, path)
	c.must(os.MkdirAll(filepath.Dir(link), 0o755))
	up := strings.Repeat("../", 2+strings.Count(path, "/"))
	c.must(os.Symlink(up+"blobs/"+etag(word), link))
}

// whole puts a finished and linked file in place.
func (c *cache) whole(word string, size int, commit, path string) {
	c.partial(word, ".incomplete", size)
	c.finish(word, ".incomplete", commit, path)
}

// nextTick waits until the file system's clock has moved on.
func (c *cache) nextTick() {
	c.t.Helper()
	path := filepath.Join(c.proc, "tick")
	at := func() time.Time {
		c.must(os.WriteFile(path, nil, 0o644))
		info, err := os.Stat(path)
		c.must(err)
		return info.ModTime()
	}
	for first := at(); !at().After(first); {
	}
}

type listedFile struct {
	word string
	size int
}

// list writes the tree file of a commit.
func (c *cache) list(commit string, files map[string]listedFile) {
	c.t.Helper()
	listed := map[string]any{}
	for path, f := range files {
		listed[path] = map[string]any{"size": f.size, "blob_id": etag(f.word)}
	}
	text, err := json.Marshal(map[string]any{"format_version": 1, "files": listed})
	c.must(err)
	c.must(os.MkdirAll(c.in(demo, "trees"), 0o755))
	c.must(os.WriteFile(c.in(demo, "trees", commit+".json"), text, 0o644))
}

// age makes everything in the repository look an hour old, directories too.
func (c *cache) age() {
	c.t.Helper()
	c.must(filepath.Walk(c.path, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.Mode()&os.ModeSymlink != 0 {
			return err
		}
		old := time.Now().Add(-time.Hour)
		return os.Chtimes(path, old, old)
	}))
}

// run makes a process; lock makes it hold the lock of a blob.
func (c *cache) run(pid int, args ...string) {
	c.t.Helper()
	dir := filepath.Join(c.proc, fmt.Sprint(pid))
	c.must(os.MkdirAll(dir, 0o755))
	comm := filepath.Base(args[0])
	c.must(os.WriteFile(filepath.Join(dir, "stat"), fmt.Appendf(nil,
		"%d (%s) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", pid, comm, 1000+pid), 0o644))
	c.owner(pid, os.Getuid())
	c.must(os.WriteFile(filepath.Join(dir, "comm"), []byte(comm+"\n"), 0o644))
	c.must(os.WriteFile(filepath.Join(dir, "cmdline"), []byte(strings.Join(args, "\x00")+"\x00"), 0o644))
	c.must(os.WriteFile(filepath.Join(dir, "cgroup"), []byte("0::/system.slice/vllm.service\n"), 0o644))
}

// owner makes a process another user's.
func (c *cache) owner(pid, uid int) {
	c.t.Helper()
	status := fmt.Sprintf("Uid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", uid)
	c.must(os.WriteFile(filepath.Join(c.proc, fmt.Sprint(pid), "status"), []byte(status), 0o644))
}

func (c *cache) lock(pid int, word string) { c.lockIn(demo, pid, word) }

func (c *cache) lockIn(folder string, pid int, word string) {
	c.t.Helper()
	c.lockAt(filepath.Join(c.path, ".locks", folder, etag(word)+".lock"), pid, word)
}

func (c *cache) lockAt(path string, pid int, word string) {
	c.t.Helper()
	c.write(path, 0)
	var st syscall.Stat_t
	c.must(syscall.Stat(path, &st))
	c.locks[word] = fmt.Sprintf("1: FLOCK  ADVISORY  WRITE %d %02x:%02x:%d 0 EOF\n", pid, major(st.Dev), minor(st.Dev), st.Ino)
	c.writeLocks()
}

func (c *cache) unlock(word string) {
	delete(c.locks, word)
	c.writeLocks()
}

// kill ends a process and lets go of all locks.
func (c *cache) kill(pid int) {
	c.t.Helper()
	c.must(os.RemoveAll(filepath.Join(c.proc, fmt.Sprint(pid))))
	clear(c.locks)
	c.writeLocks()
}

func (c *cache) writeLocks() {
	var lines strings.Builder
	for _, line := range c.locks {
		lines.WriteString(line)
	}
	c.must(os.WriteFile(filepath.Join(c.proc, "locks"), []byte(lines.String()), 0o644))
}

func major(dev uint64) uint64 { return dev >> 8 & 0xfff }
func minor(dev uint64) uint64 { return dev&0xff | dev>>12&0xfff00 }
