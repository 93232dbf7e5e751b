package sim

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"progressd/internal/simfs"
)

// procs are the processes and locks of the machine.
type procs struct {
	w *world

	mu   sync.Mutex
	last int
	all  []*process
	// locks are held exclusively, in the order in which they were taken.
	locks []heldLock
	// hidden: /proc shows nobody's processes but the daemon's own (hidepid).
	hidden bool
}

// A heldLock is on an open file: as long as it is held, no other file gets its number.
type heldLock struct {
	dev, ino uint64
	by       *process
	file     *simfs.File
}

func newProcs(w *world) *procs { return &procs{w: w, last: 1000} }

// spawn starts a process.
func (p *procs) spawn(parent *process, uid uint32, comm string, argv ...string) *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last += 3
	q := &process{
		pid: p.last, uid: uid, argv: argv, comm: comm,
		started: uint64(p.w.uptime() / hundredth),
		died:    make(chan struct{}),
	}
	if parent != nil {
		q.parent = parent.pid
	}
	p.all = append(p.all, q)
	return q
}

// exit ends a process: its locks are gone at once.
func (p *procs) exit(q *process) {
	q.end()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.release(func(l heldLock) bool { return l.by == q })
	p.all = slices.DeleteFunc(p.all, func(o *process) bool { return o == q })
}

// lock takes the lock of an open file unless it is held, and keeps the file open until it
// is given back.
func (p *procs) lock(q *process, file *simfs.File, dev uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	alive, _ := q.state()
	ino := file.Inode()
	if !alive || slices.ContainsFunc(p.locks, func(l heldLock) bool { return l.dev == dev && l.ino == ino }) {
		file.Close()
		return false
	}
	p.locks = append(p.locks, heldLock{dev, ino, q, file})
	return true
}

func (p *procs) unlock(q *process, file *simfs.File) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.release(func(l heldLock) bool { return l.by == q && l.file == file })
}

// release gives locks back. It is called with the lock held.
func (p *procs) release(which func(heldLock) bool) {
	p.locks = slices.DeleteFunc(p.locks, func(l heldLock) bool {
		if which(l) {
			l.file.Close()
			return true
		}
		return false
	})
}

// find is the process of that number, nil if there is none.
func (p *procs) find(pid int) *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hidden {
		return nil
	}
	for _, q := range p.all {
		if q.pid == pid {
			return q
		}
	}
	return nil
}

// pids are the numbers of all processes that show.
func (p *procs) pids() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hidden {
		return nil
	}
	var all []int
	for _, q := range p.all {
		all = append(all, q.pid)
	}
	return all
}

// locksText is /proc/locks.
func (p *procs) locksText() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for i, l := range p.locks {
		fmt.Fprintf(&b, "%d: FLOCK  ADVISORY  WRITE %d %02x:%02x:%d 0 EOF\n", i+1, l.by.pid, l.dev>>8&0xfff, l.dev&0xff, l.ino)
	}
	return b.String()
}

// hundredth is in what the kernel counts the start of a process.
const hundredth = 10 * time.Millisecond

// bootedBefore is how long before the story the machine was started.
const bootedBefore = time.Hour

// uptime is how long the machine runs.
func (w *world) uptime() time.Duration { return time.Since(w.began) + bootedBefore }
