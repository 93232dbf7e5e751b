package daemon

import (
	"os"
	"time"

	"progressd/account"
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
		o.OpenNotify, o.ProcessorTime = m.OpenNotify, m.used
	}
	return o
}

// An Opener opens what this process may not open itself: what a directory holds
// for its content, as the Kernel that it is, the tables of the system, and what the
// configuration names.
type Opener interface {
	fsys.Kernel
	Table(path string) (*os.File, error)
	// For is the same Kernel for one who pays for what is opened.
	For(charge func(time.Duration)) fsys.Kernel
}

// files are those of the machine; nil is the one that the daemon runs on.
func (o *Options) files() fsys.Kernel {
	switch {
	case o.Machine != nil:
		return o.Machine.FS
	case o.Opener != nil:
		return o.Opener
	default:
		return nil
	}
}

// filesFor are the files, with a user who pays for what is opened.
func (o *Options) filesFor(payer account.User) fsys.Kernel {
	if o.Machine != nil || o.Opener == nil {
		return o.files()
	}
	return o.Opener.For(func(used time.Duration) { o.Accounts.Spend(payer, account.Looks, int64(used)) })
}

// processes are those of the machine.
func (o *Options) processes() downloader.Proc {
	switch {
	case o.Machine != nil:
		return o.Machine.Proc
	case o.Opener != nil:
		return downloader.Apart{ProcDir: procDir, Open: o.Opener.Table, Raise: o.Opener.Raise}
	default:
		return procDir
	}
}

// raise is fsys.Kernel.Raise, for what is looked at without a Kernel.
func (o *Options) raise() (lower func()) {
	if o.Opener == nil {
		return func() {}
	}
	return o.Opener.Raise()
}

// table opens a table of the system.
func (o *Options) table(path string) (*os.File, error) {
	if o.Opener != nil {
		return o.Opener.Table(path)
	}
	return os.Open(path)
}

// hooked adds the beat of the machine to what the tracker tells of itself.
func (m *Machine) hooked(h tracker.Hooks) tracker.Hooks {
	if m != nil && m.Beat != nil {
		h.Alive, h.AliveEvery = m.Beat, m.BeatEvery
	}
	return h
}
