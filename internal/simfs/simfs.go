// Package simfs is a machine's files in memory: what the daemon asks of the
// kernel about them (fsys.Kernel, and file system events), and what programs
// do to them. Its times are those of the clock it is given, so that in a
// bubble of testing/synctest a download of hours takes no time. What disks,
// networks and operators do to files is done on demand: errors, hangs, coarse
// time stamps, directories whose times never move, mounts that go and come.
//
// That it behaves as Linux does is tested against the real kernel.
package simfs

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// FS is the files of one machine: a tree of directories onto which volumes are
// mounted. All methods may be called by any goroutine.
type FS struct {
	clock func() time.Time

	mu     sync.Mutex
	caller Caller
	owner  uint32
	pace   func(path string, count int)
	shift  time.Duration
	root   *inode
	fds    map[int]*descriptor
	lastFD int
	lastDv uint64
	// watchers are in the order in which they were made, so that events
	// come in the same order each time.
	watchers []*Watcher
	calls    int
}

// Caller is for whom the Kernel's methods are called.
type Caller struct {
	UID uint32
	// Override stands for CAP_DAC_READ_SEARCH: everything may be read.
	Override bool
}

// New makes a machine with an empty root directory. clock gives the times that
// files get.
func New(clock func() time.Time) *FS {
	f := &FS{clock: clock, fds: make(map[int]*descriptor), lastFD: 2, caller: Caller{Override: true}}
	f.root = f.newVolume(Traits{Magic: unix.EXT4_SUPER_MAGIC}).root
	return f
}

// SetCaller says for whom the Kernel's methods are called from now on: at
// first for one who may read everything.
func (f *FS) SetCaller(c Caller) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.caller = c
}

// SetOwner says whose the files are that are made from now on.
func (f *FS) SetOwner(uid uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.owner = uid
}

// SetPace has pace called when a file is opened and when names are listed, with
// no lock held: it may let some time pass. It is told the path by which the
// caller has come, and how many such calls that one has made since. (It isn't
// called for a stat: in which order a look asks about files isn't the same each
// time, and a seed shall give the same times.)
func (f *FS) SetPace(pace func(path string, count int)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pace = pace
}

// SetShift sets by how much the times that files get are ahead of the clock:
// the wall clock was set, or the files are those of another machine.
func (f *FS) SetShift(ahead time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shift = ahead
}

// Calls is how many calls of the Kernel there were.
func (f *FS) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Open gives the paths of what is open through the Kernel.
func (f *FS) Open() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var open []string
	for _, d := range f.fds {
		open = append(open, d.path())
	}
	return open
}

// A Traits says what kind of file system a volume has. The zero Traits is a
// local one.
type Traits struct {
	// Magic is what statfs(2) calls it.
	Magic int64
	// Grain is to what times are cut; 0 is the kernel's tick of 4 ms.
	Grain time.Duration
	// Size is what it holds in bytes; 0 is 16 TiB.
	Size int64
	// NoSymlinks: links are refused. StillDirs: the times of directories
	// never move, as with rclone. NoBirth: when a file was made isn't kept.
	NoSymlinks, StillDirs, NoBirth bool
}

// A Volume is a file system that is mounted, or could be.
type Volume struct {
	traits  Traits
	dev     uint64
	root    *inode
	at      *inode // the directory that it is mounted on
	lastIno uint64
	freed   []uint64 // inode numbers that are used again, the lowest first
	used    int64    // blocks of 512 bytes
	trouble *trouble
}

const tick = 4 * time.Millisecond

func (f *FS) newVolume(t Traits) *Volume {
	if t.Grain == 0 {
		t.Grain = tick
	}
	if t.Size == 0 {
		t.Size = 16 << 40
	}
	f.lastDv++
	v := &Volume{traits: t, dev: unix.Mkdev(8, uint32(f.lastDv)), lastIno: 1}
	v.root = f.newInode(v, unix.S_IFDIR|0o755)
	v.root.parent = v.root
	return v
}

// NewVolume makes a file system that is mounted nowhere yet.
func (f *FS) NewVolume(t Traits) *Volume {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.newVolume(t)
}

// An inode is a file, a directory or a link.
type inode struct {
	vol                 *Volume
	ino                 uint64
	mode, uid           uint32
	nlink               int
	mtime, ctime, btime int64
	trouble             *trouble
	watches             []*watch

	// Of a directory: its entries by name and in the order in which they
	// were made, which volume is mounted on it, and where it lies.
	byName  map[string]*entry
	slots   []slot
	lastPos int64
	mounted *Volume
	parent  *inode

	link string // of a link

	// Of a file: what is known of its content is held, of the rest that it
	// was written.
	size    int64
	data    []byte
	extents extents
	// late are blocks that were given to it when nothing was written.
	late int64
	open int
}

// An entry is a name in a directory. It stays the same when it is renamed.
type entry struct {
	name string
	dir  *inode
	node *inode
	pos  int64 // of getdents, never used twice; 0 if it is gone
}

// A slot is where getdents finds an entry, as long as that is still there.
type slot struct {
	pos int64
	*entry
}

func (s slot) in(n *inode) bool { return s.entry.pos == s.pos && s.dir == n }

func (f *FS) newInode(v *Volume, mode uint32) *inode {
	n := &inode{vol: v, mode: mode, uid: f.owner}
	if len(v.freed) > 0 {
		n.ino, v.freed = v.freed[0], v.freed[1:]
	} else {
		v.lastIno++
		n.ino = v.lastIno
	}
	n.mtime = f.stamp(v)
	n.ctime, n.btime = n.mtime, n.mtime
	if n.dir() {
		n.byName = make(map[string]*entry)
		n.nlink = 2
	}
	return n
}

func (n *inode) kind() uint32 { return n.mode & unix.S_IFMT }
func (n *inode) dir() bool    { return n.kind() == unix.S_IFDIR }

// stamp is the time that a file of the volume gets now.
func (f *FS) stamp(v *Volume) int64 {
	now := f.clock().Add(f.shift).UnixNano()
	grain := int64(v.traits.Grain)
	return now - now%grain
}

// modified notes a change of the content: of a directory, of its names.
func (f *FS) modified(n *inode) {
	if n.dir() && n.vol.traits.StillDirs {
		return
	}
	n.mtime = f.stamp(n.vol)
	n.ctime = n.mtime
}

// changed notes a change of the inode.
func (f *FS) changed(n *inode) { n.ctime = f.stamp(n.vol) }

// attach puts a name into a directory.
func (f *FS) attach(dir *inode, e *entry) {
	dir.lastPos++
	e.dir, e.pos = dir, dir.lastPos
	dir.byName[e.name] = e
	dir.slots = append(dir.slots, slot{e.pos, e})
	if e.node.dir() {
		e.node.parent = dir
		dir.nlink++
	} else {
		e.node.nlink++
	}
	f.modified(dir)
}

// detach takes a name out of its directory.
func (f *FS) detach(e *entry) {
	dir := e.dir
	delete(dir.byName, e.name)
	e.pos = 0
	if e.node.dir() {
		dir.nlink--
	} else {
		e.node.nlink--
	}
	f.modified(dir)
}

// live are the slots in order, without those whose entries are gone.
func (n *inode) live() []slot {
	if len(n.slots) == len(n.byName) {
		return n.slots
	}
	kept := make([]slot, 0, len(n.byName))
	for _, s := range n.slots {
		if s.in(n) {
			kept = append(kept, s)
		}
	}
	n.slots = kept
	return kept
}

// after are the slots behind a position.
func (n *inode) after(pos int64) []slot {
	all := n.live()
	at, _ := slices.BinarySearchFunc(all, pos+1, func(s slot, pos int64) int { return cmp.Compare(s.pos, pos) })
	return all[at:]
}

// release gives back what an inode took that has no name and isn't open any
// more.
func (f *FS) release(n *inode) {
	if n.open > 0 || n.nlink > 0 || n.ino == 0 {
		return
	}
	n.vol.used -= n.blocks()
	n.extents, n.late = nil, 0
	n.vol.free(n.ino)
	n.ino = 0
}

// free has a number used again, as ext4 does.
func (v *Volume) free(ino uint64) {
	at, _ := slices.BinarySearch(v.freed, ino)
	v.freed = slices.Insert(v.freed, at, ino)
}

// split cuts a path into its directory and its last element.
func split(p string) (dir, name string) {
	p = strings.TrimRight(p, "/")
	i := strings.LastIndexByte(p, '/')
	return p[:max(i, 0)], p[i+1:]
}
