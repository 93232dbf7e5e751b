package sim

import (
	"slices"
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
	// rule is what it breaks, at least.
	rule string
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
		passes, changes := on.Pass, m.look(l.story.Setup)
		on.Pass = func(look *sizer.Look) bool { return (passes == nil || passes(look)) && changes(look) }
	}
	return on
}

// mutants are the ways to be broken. Each has to be found out.
//
//nolint:gocognit,funlen // a list of cases, each a line or two: apart they would say less
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
	return slices.Concat(mutedMutants(drop, double), []mutant{
		{name: "looks end after three quarters of quiet_after", rule: "no-completed", look: withheld},
		{name: "a process never ends", rule: "no-interrupted", processes: func(p downloader.Proc) downloader.Proc { return immortal{p} }},
		{name: "nobody is ever there", rule: "no-interrupted", processes: func(p downloader.Proc) downloader.Proc { return stillborn{unlocked{p}} }},
		{name: "no lock shows", rule: "no-stalled", processes: func(p downloader.Proc) downloader.Proc { return unlocked{p} }},
		{name: "a lock is held for ever", rule: "keepalive", processes: func(p downloader.Proc) downloader.Proc { return &clinging{Proc: p} }},
		{name: "twice the bytes", rule: "truth", look: each(func(l *sizer.Look) { l.Bytes *= 2 })},
		{name: "twice the total", rule: "total", look: each(func(l *sizer.Look) { l.Total *= 2 })},
		{name: "orphans count", rule: "truth", look: each(func(l *sizer.Look) { l.Bytes += l.OrphanBytes })},
		{name: "a tidy cache is a whole one", rule: "false-completed", look: each(func(l *sizer.Look) {
			if l.InPlay && l.Partials == 0 && l.FilesDone > 0 {
				l.Proof, l.Mismatched = sizer.ProvenByListing, nil
			}
		})},
		{name: "what has a listing is never whole", rule: "false-ended", look: each(func(l *sizer.Look) {
			if l.Proof != sizer.NoProof {
				l.Proof, l.Missing, l.WantedKnown = sizer.NoProof, 1, false
			}
		})},
		{name: "a removed repository is not noticed", rule: "no-removed", look: func(setup) func(*sizer.Look) bool {
			return func(l *sizer.Look) bool { return !l.Gone }
		}},
		{name: "a repository at rest is removed", rule: "false-removed", look: each(func(l *sizer.Look) {
			if l.InPlay && l.Partials == 0 && l.FilesDone > 2 {
				*l = sizer.Look{Root: l.Root, Repo: l.Repo, At: l.At, Gone: true}
			}
		})},
		{name: "nothing is seen in the first half minute", rule: "no-opening", look: delayed},
		{name: "no byte is ever new", rule: "silence", look: each(func(l *sizer.Look) { l.Arrived, l.Bytes, l.Base = 0, 1000, 1000 })},
		{name: "stalled after a third of the time", rule: "false-stalled", setup: func(s *setup) { s.Stall /= 3 }},
		{name: "interrupted after a tenth of the time", rule: "false-interrupted", setup: func(s *setup) { s.Interrupt /= 10 }},
		{name: "interrupted after four times the time", rule: "no-interrupted", setup: func(s *setup) { s.Interrupt *= 4 }},
		{name: "quiet after a tenth of the time", rule: "hasty", setup: func(s *setup) { s.Quiet /= 10 }},
		{name: "keepalives at half the pace", rule: "no-keepalive", setup: func(s *setup) { s.Keepalive = s.Keepalive*2 + 10*time.Second }},
		{name: "the state is forgotten", rule: "opening", forgets: true},
		{name: "listings can't be read", rule: "no-completed", files: func(k fsys.Kernel) fsys.Kernel { return illiterate{k} }},
		{name: "partials are not seen", rule: "no-opening", files: func(k fsys.Kernel) fsys.Kernel { return &shortSighted{Kernel: k} }},
		{name: "holes count", rule: "truth", files: func(k fsys.Kernel) fsys.Kernel { return dense{k} }},
		{name: "descriptors stay open", rule: "open", files: func(k fsys.Kernel) fsys.Kernel { return leaky{k} }},
	})
}

// mutedMutants say too little, or too much.
func mutedMutants(drop func(...tracker.Kind) func(func(tracker.Event)) func(tracker.Event), double func(tracker.Kind) func(func(tracker.Event)) func(tracker.Event)) []mutant {
	return []mutant{
		{name: "completed is not said", rule: "no-completed", said: drop(tracker.Completed)},
		{name: "interrupted is not said", rule: "no-interrupted", said: drop(tracker.Interrupted)},
		{name: "stalled is not said", rule: "no-stalled", said: drop(tracker.Stalled)},
		{name: "ended is not said", rule: "no-ended", said: drop(tracker.Ended)},
		{name: "removed is not said", rule: "no-removed", said: drop(tracker.Removed)},
		{name: "preparing is not said", rule: "opening", said: drop(tracker.Preparing)},
		{name: "keepalives are not said", rule: "no-keepalive", said: drop(tracker.Keepalive)},
		{name: "began again is not said", rule: "monotone", said: drop(tracker.Restarted)},
		{name: "neither stalled nor interrupted is said", rule: "moving", said: drop(tracker.Stalled, tracker.Interrupted)},
		{name: "completed twice", rule: "after-end", said: double(tracker.Completed)},
		{name: "interrupted twice", rule: "twice", said: double(tracker.Interrupted)},
		{name: "preparing once more at the end", rule: "cause", said: func(say func(tracker.Event)) func(tracker.Event) {
			return func(e tracker.Event) {
				say(e)
				if e.Kind == tracker.Completed {
					time.AfterFunc(5*time.Minute, func() { e.Kind = tracker.Preparing; say(e) })
				}
			}
		}},
		{name: "each step twice", rule: "step", said: double(tracker.Progress)},
		{name: "ended for completed", rule: "wrong-verdict", said: func(say func(tracker.Event)) func(tracker.Event) {
			return func(e tracker.Event) {
				if e.Kind == tracker.Completed {
					e.Kind = tracker.Ended
				}
				say(e)
			}
		}},
		{name: "a total that changes", rule: "percent", said: func(say func(tracker.Event)) func(tracker.Event) {
			lines := int64(0)
			return func(e tracker.Event) {
				if e.Total > 0 {
					lines++
					e.Total += lines % 2 * e.Total / 3
				}
				say(e)
			}
		}},
		{name: "lines about others", rule: "known", said: func(say func(tracker.Event)) func(tracker.Event) {
			return func(e tracker.Event) {
				e.Repo.ID += "x"
				say(e)
			}
		}},
	}
}

// delayed looks at nothing in the first half minute of a repository.
func delayed(setup) func(*sizer.Look) bool {
	first := map[hfcache.Repo]time.Time{}
	return func(l *sizer.Look) bool {
		if l.InPlay && first[l.Repo].IsZero() {
			first[l.Repo] = l.At
		}
		return !l.InPlay || l.At.Sub(first[l.Repo]) > 30*time.Second
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
