package sim

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"progressd/daemon"
	"progressd/downloader"
	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
	"progressd/state"
	"progressd/tracker"
)

// A mutant is a daemon that is broken in one way, to show that the judge sees
// it. The zero mutant is the daemon as it ships.
type mutant struct {
	name string
	// said changes what is said.
	said func(say func(tracker.Event)) func(tracker.Event)
	// setup is what the daemon goes by; the judge goes by that of the story.
	setup func(*setup)
	// files and processes stand between it and what it looks at.
	files     func(fsys.Kernel) fsys.Kernel
	processes func(downloader.Proc) downloader.Proc
	// look changes what a scan has found; it makes a function for each life.
	look func(setup) func(*sizer.Look) bool
	// forgets: nothing is remembered over a restart.
	forgets bool
}

// outlet is the recorder as the mutant has it.
func (m mutant) outlet(r *recorder) state.Putter {
	if m.said == nil {
		return r
	}
	return putter(m.said(r.Put))
}

type putter func(tracker.Event)

// Put implements state.Putter.
func (p putter) Put(e tracker.Event) { p(e) }

func (m mutant) set(s setup) setup {
	if m.setup != nil {
		m.setup(&s)
	}
	return s
}

func (m mutant) machine(on *daemon.Machine, l *life) *daemon.Machine {
	if m.files != nil {
		on.FS = m.files(on.FS)
	}
	if m.processes != nil {
		on.Proc = m.processes(on.Proc)
	}
	if m.look != nil {
		on.Pass = m.look(l.story.Setup)
	}
	return on
}

// mutants are the ways to be broken. Each has to be found out.
func mutants() []mutant {
	drop := func(kinds ...tracker.Kind) func(func(tracker.Event)) func(tracker.Event) {
		return func(say func(tracker.Event)) func(tracker.Event) {
			return func(e tracker.Event) {
				for _, k := range kinds {
					if e.Kind == k {
						return
					}
				}
				say(e)
			}
		}
	}
	double := func(kind tracker.Kind) func(func(tracker.Event)) func(tracker.Event) {
		return func(say func(tracker.Event)) func(tracker.Event) {
			return func(e tracker.Event) {
				say(e)
				if e.Kind == kind {
					say(e)
				}
			}
		}
	}
	each := func(change func(*sizer.Look)) func(setup) func(*sizer.Look) bool {
		return func(setup) func(*sizer.Look) bool {
			return func(l *sizer.Look) bool {
				change(l)
				return true
			}
		}
	}
	return []mutant{
		{name: "looks end after three quarters of quiet_after", look: withheld},
		{name: "a process never ends", processes: func(p downloader.Proc) downloader.Proc { return immortal{p} }},
		{name: "nobody is ever there", processes: func(p downloader.Proc) downloader.Proc { return stillborn{unlocked{p}} }},
		{name: "no lock shows", processes: func(p downloader.Proc) downloader.Proc { return unlocked{p} }},
		{name: "a lock is held for ever", processes: func(p downloader.Proc) downloader.Proc { return &clinging{Proc: p} }},
		{name: "completed is not said", said: drop(tracker.Completed)},
		{name: "interrupted is not said", said: drop(tracker.Interrupted)},
		{name: "stalled is not said", said: drop(tracker.Stalled)},
		{name: "ended is not said", said: drop(tracker.Ended)},
		{name: "removed is not said", said: drop(tracker.Removed)},
		{name: "preparing is not said", said: drop(tracker.Preparing)},
		{name: "keepalives are not said", said: drop(tracker.Keepalive)},
		{name: "began again is not said", said: drop(tracker.Restarted)},
		{name: "completed twice", said: double(tracker.Completed)},
		{name: "interrupted twice", said: double(tracker.Interrupted)},
		{name: "each step twice", said: double(tracker.Progress)},
		{name: "twice the bytes", look: each(func(l *sizer.Look) { l.Bytes *= 2 })},
		{name: "orphans count", look: each(func(l *sizer.Look) { l.Bytes += l.OrphanBytes })},
		{name: "a tidy cache is a whole one", look: each(func(l *sizer.Look) {
			if l.InPlay && l.Partials == 0 && l.FilesDone > 0 {
				l.Proof, l.Mismatched = sizer.ProvenByListing, nil
			}
		})},
		{name: "a removed repository is not noticed", look: func(setup) func(*sizer.Look) bool {
			return func(l *sizer.Look) bool { return !l.Gone }
		}},
		{name: "stalled after a third of the time", setup: func(s *setup) { s.Stall /= 3 }},
		{name: "interrupted after a tenth of the time", setup: func(s *setup) { s.Interrupt /= 10 }},
		{name: "interrupted after four times the time", setup: func(s *setup) { s.Interrupt *= 4 }},
		{name: "quiet after a tenth of the time", setup: func(s *setup) { s.Quiet /= 10 }},
		{name: "keepalives at half the pace", setup: func(s *setup) { s.Keepalive = s.Keepalive*2 + 10*time.Second }},
		{name: "the state is forgotten", forgets: true},
		{name: "listings can't be read", files: func(k fsys.Kernel) fsys.Kernel { return illiterate{k} }},
		{name: "partials are not seen", files: func(k fsys.Kernel) fsys.Kernel { return &shortSighted{Kernel: k} }},
		{name: "holes count", files: func(k fsys.Kernel) fsys.Kernel { return dense{k} }},
		{name: "descriptors stay open", files: func(k fsys.Kernel) fsys.Kernel { return leaky{k} }},
	}
}

// withheld is the fault that was there from the second day on: nothing is
// looked at any more when nothing has moved for three quarters of quiet_after.
func withheld(s setup) func(*sizer.Look) bool {
	moved := map[hfcache.Repo]time.Time{}
	return func(l *sizer.Look) bool {
		if l.Arrived > 0 || l.Locked || moved[l.Repo].IsZero() {
			moved[l.Repo] = l.At
		}
		return l.Partials > 0 || l.At.Sub(moved[l.Repo]) < s.Quiet*3/4
	}
}

type immortal struct{ downloader.Proc }

func (immortal) State(downloader.Process) downloader.State { return downloader.Running }

type stillborn struct{ downloader.Proc }

func (stillborn) State(downloader.Process) downloader.State { return downloader.Gone }

type unlocked struct{ downloader.Proc }

func (unlocked) Locks() (downloader.Locks, error) { return downloader.Locks{}, nil }

// clinging shows for ever the locks that it has once seen to be held.
type clinging struct {
	downloader.Proc
	held downloader.Locks
	some bool
}

func (c *clinging) Locks() (downloader.Locks, error) {
	locks, err := c.Proc.Locks()
	if !locks.Empty() && !c.some {
		c.held, c.some = locks, true
	}
	if c.some {
		return c.held, err
	}
	return locks, err
}

func (c *clinging) State(downloader.Process) downloader.State { return downloader.Running }

// illiterate can't read what it opens.
type illiterate struct{ fsys.Kernel }

func (illiterate) Read(int, []byte) (int, error) { return -1, unix.EIO }

// shortSighted is told of no name of a partial.
type shortSighted struct{ fsys.Kernel }

func (s *shortSighted) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	if strings.HasSuffix(name, ".incomplete") || strings.HasSuffix(name, "art") {
		return unix.ENOENT
	}
	return s.Kernel.Fstatat(at, name, st, flags)
}

// dense takes each file to be written to its end.
type dense struct{ fsys.Kernel }

func (d dense) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	err := d.Kernel.Fstatat(at, name, st, flags)
	st.Blocks = (st.Size + 511) / 512
	return err
}

// leaky closes one descriptor of two.
type leaky struct{ fsys.Kernel }

func (l leaky) Close(fd int) {
	if fd%2 == 0 {
		l.Kernel.Close(fd)
	}
}
