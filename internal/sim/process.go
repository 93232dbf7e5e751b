package sim

import (
	"errors"
	"sync"
	"time"
)

// How the work of a process ends before its time.
var (
	// errKilled: it is gone, and tidies nothing up.
	errKilled = errors.New("killed")
	// errFailed: it sees the failure itself, and does what its client does then.
	errFailed = errors.New("failed")
)

// A process is a made-up one: it can be killed, stopped and asked to end.
type process struct {
	pid     int
	parent  int
	started uint64 // in hundredths of a second since the machine's start
	uid     uint32
	argv    []string
	comm    string

	died chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed when it goes on
	stopped bool
	asked   bool // by Ctrl-C
	dead    bool
	deadAt  time.Time
}

// sleep lets time pass for the process: none while it is stopped.
func (p *process) sleep(d time.Duration) error {
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.died:
			return errKilled
		}
	}
	return p.gate()
}

// gate holds a thread up while its process is stopped.
func (p *process) gate() error {
	for {
		p.mu.Lock()
		dead, stopped, changed := p.dead, p.stopped, p.changed
		p.mu.Unlock()
		switch {
		case dead:
			return errKilled
		case !stopped:
			return nil
		}
		select {
		case <-changed:
		case <-p.died:
		}
	}
}

// stop is SIGSTOP, proceed SIGCONT.
func (p *process) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped {
		p.stopped, p.changed = true, make(chan struct{})
	}
}

func (p *process) proceed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		p.stopped = false
		close(p.changed)
	}
}

// interrupt is Ctrl-C. It reports whether it is the first.
func (p *process) interrupt() (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first = !p.asked
	p.asked = true
	return first
}

func (p *process) interrupted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// end is the end of the process, of whatever cause.
func (p *process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return
	}
	p.dead, p.deadAt = true, time.Now()
	close(p.died)
}

func (p *process) state() (alive, stopped bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.dead, p.stopped
}

// ended is when it died; zero if it lives.
func (p *process) ended() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deadAt
}
