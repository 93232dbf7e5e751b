package daemon

import (
	"time"

	"progressd/downloader"
	"progressd/fsys"
	"progressd/watcher"
)

// A Machine is whom the daemon asks about files and processes, in place of the
// one that it runs on: a simulation's.
type Machine struct {
	FS   fsys.Kernel
	Proc downloader.Proc
	// OpenNotify begins to listen to file system events.
	OpenNotify func() (*watcher.Notifications, error)
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
