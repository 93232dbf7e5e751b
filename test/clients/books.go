package main

import (
	"maps"
	"sync"
	"syscall"
	"time"

	"progressd/hfcache"
	"progressd/internal/hub"
)

// books are kept of an act: what was published, what the hub has sent of it
// and when, and who was started.
type books struct {
	mu        sync.Mutex
	entries   map[hfcache.Repo][]hub.Entry
	samples   map[hfcache.Repo][]sample
	processes []*process
	// kin are those that programs which load a model have started.
	kin map[int]bool
	met time.Time
	// sampling goes on while a process lives.
	sampling sync.WaitGroup
}

// sample is how many bytes of a repository the hub had sent at a time, each
// content once.
type sample struct {
	at   time.Time
	sent int64
}

func newBooks() *books {
	return &books{entries: map[hfcache.Repo][]hub.Entry{}, samples: map[hfcache.Repo][]sample{}, kin: map[int]bool{}}
}

func (b *books) note(repo hfcache.Repo, entries []hub.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries[repo] = append(b.entries[repo], entries...)
}

func (b *books) started(p *process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.processes = append(b.processes, p)
}

// close kills what an act that failed has left running.
func (b *books) close() {
	b.mu.Lock()
	processes := b.processes
	b.mu.Unlock()
	for _, p := range processes {
		select {
		case <-p.exited:
		default:
			// It leads a group: what it has started dies with it.
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			<-p.exited
		}
	}
	b.sampling.Wait()
}

// pids are of all processes that were started.
func (b *books) pids() map[int]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	pids := map[int]bool{}
	for _, p := range b.processes {
		pids[p.cmd.Process.Pid] = true
	}
	maps.Copy(pids, b.kin)
	return pids
}

// sample looks again and again at what the hub has sent, until a client has
// exited.
func (b *books) sample(h *hub.Hub, exited <-chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.look(h)
		case <-exited:
			b.look(h)
			return
		}
	}
}

func (b *books) look(h *hub.Hub) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.meet(now)
	for repo, entries := range b.entries {
		sent, counted := int64(0), map[string]bool{}
		for _, e := range entries {
			if !counted[e.Etag] {
				counted[e.Etag] = true
				sent += min(e.Size, h.Served(e.Etag))
			}
		}
		all := b.samples[repo]
		if len(all) == 0 || all[len(all)-1].sent != sent {
			b.samples[repo] = append(all, sample{now, sent})
		}
	}
}

// sentBy is how much had been sent at a time, or a little later.
func (b *books) sentBy(repo hfcache.Repo, at time.Time) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.samples[repo] {
		if s.at.After(at) {
			return s.sent
		}
	}
	all := b.samples[repo]
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].sent
}
