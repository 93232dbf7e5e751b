package daemon

import (
	"time"

	"progressd/downloader"
	"progressd/fsys"
	"progressd/sizer"
	"progressd/tracker"
	"progressd/watcher"
)

// A Machine is whom the daemon asks about files and processes, in place of the
// one that it runs on: a simulation's.
type Machine struct {
	FS   fsys.Kernel
	Proc downloader.Proc
	// OpenNotify begins to listen to file system events.
	OpenNotify func() (*watcher.Notifications, error)
	// Pass sees each look before it is judged; it may change it, or withhold
	// it. Nil lets all of them pass.
	Pass func(*sizer.Look) bool
	// Beat is called every BeatEvery by the loop that judges: while it doesn't
	// return, the daemon stands still. Nil is never.
	Beat      func()
	BeatEvery time.Duration
}

// passes reports whether a look is judged.
func (m *Machine) passes(look *sizer.Look) bool {
	return m == nil || m.Pass == nil || m.Pass(look)
}

// used is how much of a processor was used, by the clock of a simulation: there
// everything takes no time.
func (*Machine) used() time.Duration { return 0 }

// onto has a watcher watch the machine; nil is the one that the daemon runs on.
func (m *Machine) onto(o watcher.Options) watcher.Options {
	if m != nil {
		o.FS, o.OpenNotify, o.ProcessorTime = m.FS, m.OpenNotify, m.used
	}
	return o
}

// files are those of the machine; nil is the one that the daemon runs on.
func (m *Machine) files() fsys.Kernel {
	if m == nil {
		return nil
	}
	return m.FS
}

// processes are those of the machine.
func (m *Machine) processes() downloader.Proc {
	if m == nil {
		return procDir
	}
	return m.Proc
}

// hooked adds the beat of the machine to what the tracker tells of itself.
func (m *Machine) hooked(h tracker.Hooks) tracker.Hooks {
	if m != nil && m.Beat != nil {
		h.Alive, h.AliveEvery = m.Beat, m.BeatEvery
	}
	return h
}
