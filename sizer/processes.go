package sizer

import (
	"slices"
	"time"

	"progressd/downloader"
)

// processes are what one look knows of processes. Each question is asked once,
// however many files a process holds: so all that is judged by one reading of
// the locks is judged by one answer, and each answer is paid for once.
type processes struct {
	proc downloader.Proc
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
	state   downloader.State
}

// read is what is known of a process.
type read struct {
	pid     int
	process downloader.Process
	err     error
}

// forget is called as a look begins.
func (p *processes) forget() {
	clear(p.read)
	p.running, p.read, p.upKnown = p.running[:0], p.read[:0], false
}

// outlived is called when a look has read again who holds locks. That takes
// some milliseconds, in which a process may have ended and another one taken
// the lock that it held: whether those still run that did is asked once more.
func (p *processes) outlived() {
	p.running = slices.DeleteFunc(p.running, func(r running) bool { return r.state != downloader.Gone })
}

// runs reports whether a process is there, stopped or not.
func (p *processes) runs(process downloader.Process) bool { return p.state(process) != downloader.Gone }

func (p *processes) state(process downloader.Process) downloader.State {
	for _, r := range p.running {
		if r.pid == process.PID && r.started == process.Started {
			return r.state
		}
	}
	r := running{process.PID, process.Started, p.proc.State(process)}
	p.running = append(p.running, r)
	return r.state
}

func (p *processes) process(pid int) (downloader.Process, error) {
	for _, r := range p.read {
		if r.pid == pid {
			return r.process, r.err
		}
	}
	r := read{pid: pid}
	r.process, r.err = p.proc.Process(pid)
	p.read = append(p.read, r)
	return r.process, r.err
}

// began is when a process started by the wall clock, now where that can't be
// found out.
func (p *processes) began(process downloader.Process, now time.Time) time.Time {
	if !p.upKnown {
		p.up, p.upErr = p.proc.Uptime()
		p.upKnown = true
	}
	if p.upErr != nil {
		return now
	}
	return process.Began(now, p.up)
}
