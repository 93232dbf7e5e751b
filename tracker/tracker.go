package tracker

import (
	"context"
	"log/slog"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
)

// noteEvery is how old the bytes in a record may be.
const noteEvery = 10 * time.Second

// Hooks are what the engine tells of itself. Each may be nil; they are called
// by Run's goroutine and must not block.
type Hooks struct {
	// Status is given a line for systemd, "2 downloads: org/model 61.4%,
	// org/other 350MB", when it has changed, at most each two seconds.
	Status func(text string)
	// Alive is called every AliveEvery by the loop that does all the work:
	// while it is called, the engine is not wedged. AliveEvery of 0 is never.
	Alive      func()
	AliveEvery time.Duration
	// RunOver is told when all is said of a run whose end was reported.
	RunOver func(root string, repo hfcache.Repo)
	// Attend is told how closely a repository has to be looked at, whenever
	// that changes and after each look at a download.
	Attend func(Attention)
	// Shown is given how a download stands: when something is told of it, and
	// else each 5 seconds, or each second while Watched says that somebody
	// watches.
	Shown   func(Standing)
	Watched func() bool
	// Given is told of each input before it is judged, and may change nothing.
	Given func(Input)
}

// Tracker owns the state of every download. All of it belongs to the
// goroutine of Run; it does no I/O and waits for nobody.
type Tracker struct {
	set   Settings
	rec   Recorder
	hooks Hooks
	log   *slog.Logger

	open map[hfcache.Place]*entry
	// closed are the plays whose episode is over: more looks of the same
	// play are nothing new. One is forgotten as soon as it is at rest.
	closed map[hfcache.Place]string
	homes  homes
	rooms  map[uint64]*room
	// reports are those of leftovers.
	reports reports
	status  status
	// runs are those that were reported, hears where reports come from.
	runs  map[hfcache.Place]*run
	hears <-chan Report
	// traces are what the debug level has told last, empty where it is off.
	traces map[hfcache.Place]traced
}

// entry is an open download and what of it was noted last.
type entry struct {
	*download
	noted   noted
	notedAt time.Time
	// judged is when the newest look was begun, attended what was said last
	// of how closely to look, shownAt when it was shown last.
	judged   time.Time
	attended Attention
	shownAt  time.Time
}

// noted is what of a record decides whether it is to be noted anew.
type noted struct {
	bytes, base, fell  int64
	phase              Phase
	stranger, diskFull bool
	home               fsys.Identity
	memory             sizer.Memory
}

func notedOf(ep *Episode) noted {
	return noted{
		bytes: ep.Bytes, base: ep.Base, fell: ep.Fell,
		phase: ep.Phase, stranger: ep.Stranger, diskFull: ep.DiskFull, home: ep.Home,
		memory: ep.Memory,
	}
}

// New returns a tracker that judges by set and hands what is to be remembered
// and said to rec.
func New(set Settings, rec Recorder, hooks Hooks, log *slog.Logger) *Tracker {
	return &Tracker{
		set: set, rec: rec, hooks: hooks, log: log,
		open:    map[hfcache.Place]*entry{},
		closed:  map[hfcache.Place]string{},
		homes:   newHomes(),
		rooms:   map[uint64]*room{},
		runs:    map[hfcache.Place]*run{},
		reports: reports{at: map[hfcache.Place]time.Time{}},
		traces:  map[hfcache.Place]traced{},
	}
}

// Restore goes on with the open episodes of a former life. It is called
// before Run, with the present time. Nothing is said of them before they are
// looked at again.
func (t *Tracker) Restore(episodes []Episode, now time.Time) {
	for _, ep := range episodes {
		if ep.Over() {
			continue
		}
		d := restoreDownload(t.set, ep, now)
		k, e := hfcache.Place{Root: ep.Root, Repo: ep.Repo}, &entry{download: d, noted: notedOf(&ep), notedAt: now}
		if t.open[k] == nil {
			t.open[k] = e
			t.show(e, nil)
		} else { // two homes at one path; which is there is told before the first look
			t.homes.absent[k] = append(t.homes.absent[k], e)
		}
		t.log.Debug("download restored", "root", ep.Root, "repo", ep.Repo.ID, "episode", ep.ID)
	}
}

// Hear has Run take in reports of runs. It is called before Run; whoever sends
// must not wait for anything that waits for the tracker.
func (t *Tracker) Hear(reports <-chan Report) { t.hears = reports }

// Run judges looks as they come until ctx is done or looks is closed; then
// every record is noted once more. roots tells of roots that were found, went
// and came back; it may be nil. Looks of one repository come in order.
func (t *Tracker) Run(ctx context.Context, looks <-chan sizer.Look, roots <-chan RootChange) error {
	beats := newBeats()
	defer beats.stop()
	var pulse <-chan time.Time
	if t.hooks.Alive != nil && t.hooks.AliveEvery > 0 {
		alive := time.NewTicker(t.hooks.AliveEvery)
		defer alive.Stop()
		pulse = alive.C
	}
	t.publish(time.Now())
	for k, e := range t.open {
		t.attend(k, e)
	}
	for {
		beats.want(t.ticking())
		select {
		case <-ctx.Done():
			t.flush()
			return nil
		case look, ok := <-looks:
			if !ok {
				t.flush()
				return nil
			}
			t.Take(ctx, Input{Look: &look})
			if beats.near(look.At) {
				t.Take(ctx, Input{Tick: look.At})
			}
			t.publish(look.At)
		case change := <-roots:
			t.Take(ctx, Input{Root: &change})
		case report := <-t.hears:
			t.Take(ctx, Input{Report: &report})
			t.publish(report.At)
		case now := <-beats.due:
			beats.passed(now)
			t.Take(ctx, Input{Tick: now})
			t.publish(now)
		case <-pulse:
			t.hooks.Alive()
		}
	}
}

// observe gives a look to its download, beginning one if it is due.
func (t *Tracker) observe(look sizer.Look) {
	k := hfcache.Place{Root: look.Root, Repo: look.Repo}
	t.leftovers(k, look)
	here := !look.Gone && look.Unreadable == nil
	if t.open[k] == nil && here {
		t.takeBack(k)
	}
	e := t.open[k]
	if e == nil {
		if e = t.begin(k, look); e == nil {
			if look.InPlay {
				t.order(Attention{Root: k.Root, Repo: k.Repo, Seen: look.At})
			}
			return
		}
	}
	e.judged = look.At
	if here {
		t.sighted(k, e)
	} else if look.Gone && !e.unplayed() && !t.deleted(k, e) {
		t.setAside(k, e)
		return
	}
	if e.unplayed() {
		look = t.sinceClosed(k, look)
	}
	t.note(e, e.observe(look))
	t.settleRun(k, e)
	if !e.ep.Over() {
		t.weigh(e)
		t.attend(k, e)
		return
	}
	if look.Gone {
		t.vanish(k, e)
	} else {
		t.close(k, e)
	}
	t.log.Debug("download over", "root", k.Root, "repo", k.Repo.ID, "episode", e.ep.ID)
}

// close forgets a download that is over, but for its play.
func (t *Tracker) close(k hfcache.Place, e *entry) {
	delete(t.open, k)
	if e.ep.Play != "" {
		t.closed[k] = e.ep.Play
	}
	t.release(k, e, e.now)
}

// vanish forgets a download whose repository is no more: nothing of it can be seen.
func (t *Tracker) vanish(k hfcache.Place, e *entry) {
	delete(t.open, k)
	t.release(k, e, time.Time{})
}

// begin opens an episode if the look shows a download that was not told yet,
// and returns nil otherwise.
func (t *Tracker) begin(k hfcache.Place, look sizer.Look) *entry {
	if look.Unreadable != nil {
		return nil
	}
	if look.Gone || !look.InPlay {
		delete(t.closed, k)
		return nil
	}
	base := look.Base
	if play, told := t.closed[k]; told && play == look.Play {
		if look.Arrived <= 0 {
			return nil
		}
		// What the episode before has told was there before this one.
		base = look.Bytes - look.Arrived
	}
	delete(t.closed, k)
	e := &entry{download: newDownload(t.set, look, base), noted: noted{phase: PhaseHeld}}
	e.run = t.runs[k]
	t.open[k] = e
	t.log.Debug("download begins", "root", k.Root, "repo", k.Repo.ID, "episode", e.ep.ID)
	return e
}

// tick lets time pass for every download whose root is there.
func (t *Tracker) tick(now time.Time) {
	for k, e := range t.open {
		if t.homes.away[k.Root] {
			continue
		}
		t.note(e, e.tick(now))
		t.settleRun(k, e)
		if e.deserted(now) {
			t.bury(k, e)
		}
		if t.open[k] != e {
			continue // buried
		}
		if e.ep.Over() {
			t.close(k, e)
			continue
		}
		t.attend(k, e)
	}
}

// sinceClosed is what of a look is new to a run that has begun when the play
// that it shows was told already.
func (t *Tracker) sinceClosed(k hfcache.Place, look sizer.Look) sizer.Look {
	play, told := t.closed[k]
	switch {
	case !told || play != look.Play || !look.InPlay:
	case look.Arrived <= 0:
		look.InPlay = false
	default:
		look.Base = look.Bytes - look.Arrived
	}
	return look
}

// note commits what is worth remembering: every line, what the sizer has
// learned, and the bytes from time to time.
func (t *Tracker) note(e *entry, events []Event) {
	old := e.now.Sub(e.notedAt) >= noteEvery && (e.ep.Bytes != e.noted.bytes || e.ep.Base != e.noted.base)
	if len(events) == 0 && !old && e.ep.Phase == e.noted.phase && e.ep.Fell == e.noted.fell && e.ep.Stranger == e.noted.stranger &&
		e.ep.DiskFull == e.noted.diskFull && e.ep.Home == e.noted.home && e.noted.memory.SameFacts(e.ep.Memory) {
		t.showAgain(e)
		return
	}
	t.commit(e, events)
}

func (t *Tracker) commit(e *entry, events []Event) {
	for _, event := range events {
		if event.Kind == OrphansFound {
			t.reports.at[hfcache.Place{Root: event.Root, Repo: event.Repo}] = event.At
		}
	}
	t.show(e, events)
	ep := e.episode()
	e.noted, e.notedAt = notedOf(&ep), e.now
	t.rec.Commit(&ep, events)
}

// flush notes every record as it stands.
func (t *Tracker) flush() {
	for _, e := range t.open {
		t.commit(e, nil)
	}
}

// ticking reports whether the passing of time alone can matter.
func (t *Tracker) ticking() bool {
	if t.status.pending {
		return true
	}
	for k, e := range t.open {
		if (e.active() || e.run != nil && e.run.exit != nil) && !t.homes.away[k.Root] || e.waits() {
			return true
		}
	}
	return false
}
