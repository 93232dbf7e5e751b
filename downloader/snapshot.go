package downloader

import (
	"slices"
	"time"
)

// A Snapshot is what one look knows of processes. Each question is asked once,
// however many files a process holds: so all that is judged by one reading of
// the locks is judged by one answer, and each answer is paid for once. It belongs to
// one goroutine.
type Snapshot struct {
	proc Proc
	// running and read are few: those who download.
	running []running
	read    []read
	up      time.Duration
	upErr   error
	upKnown bool
}

// running is what a process does.
type running struct {
	pid     int
	started uint64
	state   State
}

// read is what is known of a process.
type read struct {
	pid     int
	process Process
	err     error
}

// Forget is called as a look begins.
func (s *Snapshot) Forget() {
	clear(s.read)
	s.running, s.read, s.upKnown = s.running[:0], s.read[:0], false
}

// Outlived is called when a look has read again who holds locks. That takes
// some milliseconds, in which a process may have ended and another one taken
// the lock that it held: whether those still run that did is asked once more.
func (s *Snapshot) Outlived() {
	s.running = slices.DeleteFunc(s.running, func(r running) bool { return r.state != Gone })
}

// Runs reports whether a process is there, stopped or not.
func (s *Snapshot) Runs(process Process) bool { return s.State(process) != Gone }

// State is what a process does.
func (s *Snapshot) State(process Process) State {
	for _, r := range s.running {
		if r.pid == process.PID && r.started == process.Started {
			return r.state
		}
	}
	r := running{process.PID, process.Started, s.proc.State(process)}
	s.running = append(s.running, r)
	return r.state
}

// Process describes a process; see Proc.
func (s *Snapshot) Process(pid int) (Process, error) {
	for _, r := range s.read {
		if r.pid == pid {
			return r.process, r.err
		}
	}
	r := read{pid: pid}
	r.process, r.err = s.proc.Process(pid)
	s.read = append(s.read, r)
	return r.process, r.err
}

// Began is when a process started by the wall clock, now where that can't be
// found out.
func (s *Snapshot) Began(process Process, now time.Time) time.Time {
	if !s.upKnown {
		s.up, s.upErr = s.proc.Uptime()
		s.upKnown = true
	}
	if s.upErr != nil {
		return now
	}
	return process.Began(now, s.up)
}
