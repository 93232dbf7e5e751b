package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"progressd/tracker"
)

// judge goes through a model's log line by line and holds each against what
// truly happened. These are the rules. Lines have whole seconds, so that all of
// them allow for one, and for slack.
//
//	known      every line is one that this soak can cause
//	order      no line is older than the one before
//	opening    an episode opens once, with preparing and then started or
//	           resumed. Only a kill of the daemon can have lost either
//	cause      it opens because a client brought bytes that no earlier end
//	           has told of: what lies there, or was told, is silent
//	end        nothing follows its end but a new episode
//	step       no step is announced twice in it
//	truth      no line says more bytes than there are in the revisions that were
//	           asked for since the last end, or more than its own total; where
//	           all is wanted of one listed revision, the total is that of its
//	           blobs, each counted once
//	monotone   no line says fewer bytes than one before it, unless a line says
//	           that bytes were lost, or a kill can have lost that line, or a
//	           client has come for another revision
//	completed  all that was wanted is there. Each time that happened is told
//	           once at most (that it is told at all, settle.go sees to)
//	unlisted   is followed by its completed, unless a kill came between
//	interrupted, ended
//	           no client that brought anything lived for as long as the verdict
//	           has to wait, or without a lock gave a sign of it (but for one
//	           that is gone, and of which an end has told), and what is there
//	           isn't the whole
//	stalled    a client was stopped for so long
//	differs    some file that is linked has another size
//	moving     after interrupted or stalled
//	removed    the repository was deleted, once for each time
//	keepalive  a client lives, if the daemon can have known it
type judge struct {
	*model
	faults []string
	// killed reports whether a kill may have lost a line that was due
	// between two moments.
	killed func(from, to time.Time) bool

	// prev is the line before, and open says that its episode has no end.
	prev *line
	open bool
	// opened are the kinds of opening lines seen in this episode.
	opened []tracker.Kind
	// high is the line with the most bytes since the last loss, stepped the
	// highest step that is surely told.
	high    line
	stepped int64
	waited  tracker.Kind // interrupted or stalled, if one stands

	// consumed is how many lives an end has told of.
	consumed int
	// told is what lay there when completed was told last, toldLife whose
	// work that was.
	told      string
	toldLife  int
	removedAt int
}

// slack is how late a loaded machine may make anything.
const slack = 1500 * time.Millisecond

func (j *judge) blame(l line, format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf("line %d: ", l.number)+fmt.Sprintf(format, args...))
}

// run judges a whole log.
func (j *judge) run(lines []line) []string {
	j.toldLife = -1
	for i, l := range lines {
		if l.kind == "" {
			j.blame(l, "known: %q is not a line that can be due here", l.raw)
			continue
		}
		if j.prev != nil && l.at.Before(j.prev.at) {
			j.blame(l, "order: older than the line before")
		}
		j.opening(l)
		j.amounts(l)
		j.verdict(l)
		if l.kind == tracker.Unlisted && (i+1 == len(lines) || lines[i+1].kind != tracker.Completed) && !j.lossy(l, l) {
			j.blame(l, "unlisted: without its completed")
		}
		j.prev, j.open = &lines[i], !terminal(l.kind)
	}
	return j.faults
}

// lossy reports whether a kill can have lost a line between two.
func (j *judge) lossy(from, to line) bool {
	return j.killed(from.at.Add(-slack), to.at.Add(time.Second+slack))
}

// opening checks how episodes begin.
func (j *judge) opening(l line) {
	first := !j.open
	if first {
		j.opened, j.high, j.stepped, j.waited = nil, line{}, 0, ""
		j.cause(l)
	}
	kind := l.kind
	if kind == tracker.Resumed {
		kind = tracker.Started
	}
	switch {
	case kind != tracker.Preparing && kind != tracker.Started:
		if first {
			j.unopened(l)
		}
	case slices.Contains(j.opened, kind):
		j.blame(l, "opening: %s again in the same episode", l.kind)
	case kind == tracker.Preparing && !first:
		j.blame(l, "opening: preparing, but the episode before has no end")
	case kind == tracker.Started && first:
		j.unopened(l)
	}
	j.opened = append(j.opened, kind)
}

// unopened: an opening line is missing; only a kill excuses that.
func (j *judge) unopened(l line) {
	from := line{at: l.at.Add(-time.Minute)}
	if j.prev != nil {
		from = *j.prev
	}
	if !j.lossy(from, l) {
		j.blame(l, "opening: %s without preparing", l.kind)
	}
}

// cause looks for a client whose bytes are not told yet.
func (j *judge) cause(l line) {
	for _, life := range j.upTo(l)[j.consumed:] {
		if life.moved {
			return
		}
	}
	if l.kind != tracker.Removed && !j.beside() {
		j.blame(l, "cause: nothing came that had not been told")
	}
}

// beside: a client that had begun sooner than the one of which the last end has
// told went on behind that end, and left something else there.
func (j *judge) beside() bool {
	return j.prev != nil && slices.ContainsFunc(j.lives[:j.consumed], func(life *life) bool {
		return life.moved && life.end.After(j.prev.at.Add(time.Second)) && life.truth.content != j.told
	})
}

// upTo are the lives of which a line can tell.
func (j *judge) upTo(l line) []*life {
	n := len(j.lives)
	for _, m := range j.scenes {
		if l.number <= m.lines {
			n = m.lives
			break
		}
	}
	for n > j.consumed && j.lives[n-1].begin.After(l.at.Add(time.Second)) {
		n--
	}
	return j.lives[:n]
}

// consume: an end has told of all that had ended by then.
func (j *judge) consume(l line, by time.Time) {
	for i, life := range j.upTo(l) {
		if !life.end.After(by) {
			j.consumed = max(j.consumed, i+1)
		}
	}
}

// amounts checks the numbers of a line.
func (j *judge) amounts(l line) {
	if l.kind == tracker.Restarted {
		j.high = line{}
	}
	if most := j.most(l); l.bytes.least > most || l.total.least > most {
		j.blame(l, "truth: there are %d bytes at most", most)
	}
	if l.total.known() && l.bytes.least > l.total.most {
		j.blame(l, "truth: more than its total")
	}
	if total := j.surely(l); total > 0 && l.total.known() && (total < l.total.least || total > l.total.most) {
		j.blame(l, "truth: the total is %d", total)
	}
	if l.kind == tracker.Progress {
		if l.bytes.most/step <= j.stepped {
			j.blame(l, "step: was announced before")
		}
		j.stepped = max(j.stepped, l.bytes.least/step)
	}
	if !l.bytes.known() {
		return
	}
	if l.bytes.most < j.high.bytes.least && !j.lossy(j.high, l) && !j.lapsed(l) && !j.renewed(l) {
		j.blame(l, "monotone: less than line %d, and nothing says why", j.high.number)
	}
	if l.bytes.least >= j.high.bytes.least {
		j.high = l
	}
}

// lapsed: a verdict on a client that is gone counts what it left behind; what
// was lost is told when the next one begins.
func (j *judge) lapsed(l line) bool {
	return l.kind == tracker.Interrupted || l.kind == tracker.Ended || l.kind == tracker.Removed || l.kind == tracker.Unlisted
}

// renewed: since the line with the most bytes a client has come for another
// revision, which what was there for the one before is not part of.
func (j *judge) renewed(l line) bool {
	lives := j.upTo(l)
	for i, life := range lives {
		if i > 0 && life.revision.commit != lives[i-1].revision.commit && life.begin.After(j.high.at.Add(-slack)) {
			return true
		}
	}
	return false
}

// most is how many bytes there can be: every blob of the revisions that were
// asked for since the last end, each once.
func (j *judge) most(l line) int64 {
	var revisions []revision
	lives := j.upTo(l)
	for i, life := range lives[j.consumed:] {
		revisions = append(revisions, life.revision)
		if before := j.consumed + i - 1; life.writer.guessed() && before >= 0 {
			revisions = append(revisions, lives[before].revision)
		}
	}
	if len(revisions) == 0 {
		revisions = j.revisions
	}
	return union(revisions)
}

// surely is the total where there can be but one, else 0: since the last end
// clients have wanted all of one revision.
func (j *judge) surely(l line) int64 {
	var sum int64
	for _, life := range j.upTo(l)[j.consumed:] {
		whole := life.revision.whole(life.want)
		if life.partly() || sum > 0 && sum != whole {
			return 0
		}
		sum = whole
	}
	return sum
}

// verdict checks what is said of the end.
func (j *judge) verdict(l line) {
	switch l.kind {
	case tracker.Completed:
		j.completed(l)
	case tracker.Interrupted:
		j.lifeless(l, j.world.pace.interrupt)
		j.waited = l.kind
	case tracker.Ended:
		j.lifeless(l, j.world.pace.quiet)
		j.consume(l, l.at)
	case tracker.Stalled:
		if !j.anyLife(func(life *life) bool { return life.stood(l.at, j.world.pace.stall) }) {
			j.blame(l, "stalled: no client was stopped for so long")
		}
		j.waited = l.kind
	case tracker.SizeDiffers:
		if !j.anyLife(func(life *life) bool { return life.truth.short }) {
			j.blame(l, "differs: every file has its size")
		}
	case tracker.Moving:
		if j.waited == "" {
			j.blame(l, "moving: nothing stood still")
		}
		j.waited = ""
	case tracker.Restarted:
		j.waited = ""
	case tracker.Removed:
		j.removed(l)
	case tracker.Keepalive:
		j.keepalive(l)
	default: // no verdict, and nothing that depends on one
	}
}

// stood reports whether the client was stopped for as long as a stall takes.
func (l *life) stood(at time.Time, stall time.Duration) bool {
	from, to := l.held.from, l.held.to
	return !from.IsZero() && from.Before(at.Add(time.Second-stall+slack)) && (to.IsZero() || to.After(at.Add(-slack)))
}

func (j *judge) anyLife(is func(*life) bool) bool { return slices.ContainsFunc(j.lives, is) }

// completed spends the newest time at which all that was wanted had come.
func (j *judge) completed(l line) {
	found := -1
	for i, life := range j.upTo(l) {
		latest := l.at.Add(time.Second + slack) // it may be seen before the client has exited
		if !life.truth.listing {
			latest = l.at.Add(time.Second + 200*time.Millisecond - j.world.pace.quiet)
		}
		if life.ready().After(latest) || !life.complete() || i <= j.toldLife {
			continue
		}
		if life.truth.content == j.told && !j.removedBetween(j.toldLife, i) {
			continue
		}
		// Of those that had surely ended the newest, else the oldest. Within
		// the second of the line nothing tells which of two it tells of, nor
		// whether it came before a removal or behind it.
		surely := !life.end.After(l.at)
		unclear := found >= 0 && j.removedBetween(found, i) && j.lives[found].end.After(l.at)
		if found < 0 || surely && !unclear {
			found = i
		}
	}
	if found < 0 {
		j.blame(l, "completed: untrue, or told before")
		return
	}
	j.told, j.toldLife = j.lives[found].truth.content, found
	j.consumed = max(j.consumed, found+1)
}

func (j *judge) removedBetween(a, b int) bool {
	return a >= 0 && slices.ContainsFunc(j.removals, func(r removal) bool {
		return r.at.After(j.lives[a].end) && r.at.Before(j.lives[b].end)
	})
}

// complete: all that the client wanted is there, or nothing says otherwise.
func (l *life) complete() bool {
	t := l.truth
	known := !l.library || !l.seen || !l.partly() // else a listing says that there is more
	return t.whole || t.wanted && (t.listing && known || !t.listing && l.done) || !t.listing && t.blobs > 0 && t.partials == 0 && !t.gap && !t.short
}

// lifeless checks a verdict that needs every client to be gone for a while.
func (j *judge) lifeless(l line, wait time.Duration) {
	var last *life
	unknown := false // whether somebody is at work on something else
	for i, life := range j.lives {
		wait := wait
		if l.kind == tracker.Interrupted {
			wait = life.patience(j.world.pace)
		}
		if life.begin.Before(l.at.Add(-slack)) && life.last(l.at).After(l.at.Add(time.Second+200*time.Millisecond-wait)) && !life.shy() && !j.past(i, l) {
			j.blame(l, "%s: a client lived until %s", l.kind, life.end.Format(clock))
		}
		if life.end.Before(l.at) {
			last = life
		} else if life.begin.Before(l.at) {
			unknown = unknown || life.writer.lockless()
		}
	}
	if !unknown && last != nil && last.truth.whole && last.truth.listing && !j.removedSince(last.end, l.at) {
		j.blame(l, "%s: the whole is there", l.kind)
	}
}

// past: the client has no lock and is gone, and an end has told of its work. The
// verdict is on another one: to wait for a sign of this one would put that off.
func (j *judge) past(i int, l line) bool {
	life := j.lives[i]
	return i < j.consumed && life.writer.lockless() && !life.end.After(l.at)
}

// ready is when a client had done what it did: it may be stopped behind that.
func (l *life) ready() time.Time {
	if l.heldAt.whole {
		return l.held.from
	}
	return l.end
}

// patience is how long after its last sign a client must be left alone: its
// death can be known, or it can't.
func (l *life) patience(p pace) time.Duration {
	if l.writer.lockless() {
		return p.stall
	}
	return p.interrupt
}

// last is when a client gave its last sign before some time: without a lock
// there is none while it stands still.
func (l *life) last(at time.Time) time.Time {
	from, to := l.held.from, l.held.to
	if l.writer.lockless() && !from.IsZero() && from.Before(at) && (to.IsZero() || to.After(at.Add(-slack))) {
		return from
	}
	return l.end
}

// look is how long the daemon may not look at what is going on.
const look = 600 * time.Millisecond

// shy: the client can't be surely seen, because it had nothing to do, was
// stopped at once or lived for less than a look.
func (l *life) shy() bool {
	return !l.moved || l.hold > 0 && l.holdAfter < slack || l.end.Sub(l.begin) < look
}

func (j *judge) removedSince(from, to time.Time) bool {
	return slices.ContainsFunc(j.removals, func(r removal) bool { return r.at.After(from) && r.at.Before(to.Add(time.Second)) })
}

// removed spends the newest removal that the line can tell of.
func (j *judge) removed(l line) {
	found := -1
	for i := j.removedAt; i < len(j.removals); i++ {
		if r := j.removals[i]; r.lines < l.number && r.at.Before(l.at.Add(time.Second+slack)) {
			found = i
		}
	}
	if found < 0 {
		j.blame(l, "removed: it was not, or that was told")
		return
	}
	j.consume(l, j.removals[found].at)
	j.removedAt = found + 1
}

// keepalive must not make the dead look alive.
func (j *judge) keepalive(l line) {
	alive := j.anyLife(func(life *life) bool {
		return life.begin.Before(l.at.Add(time.Second)) && life.end.After(l.at.Add(-slack-time.Second))
	})
	unseen := j.hidden() || j.anyLife(func(life *life) bool {
		return life.begin.Before(l.at) && (life.shy() || life.writer.lockless() || life.writer.late() || j.world.daemon.watched(life.begin, life.end) < enough)
	})
	if !alive && !unseen {
		j.blame(l, "keepalive: no client lives")
	}
}

// story is all there is to know about a model, for who has to find out why.
func (m *model) story(lines []line, d *daemon) string {
	var s strings.Builder
	fmt.Fprintf(&s, "## %s (chunk %d, workers by default, shared store %v)\n", m.repo.ID, m.client.Chunk, m.client.SharedStore)
	for _, r := range m.revisions {
		fmt.Fprintf(&s, "revision %.7s:", r.commit)
		for _, e := range r.files {
			fmt.Fprintf(&s, " %s=%.6s:%d", e.Path, e.Etag, e.Size)
		}
		s.WriteString("\n")
	}
	from, to := time.Now(), time.Time{}
	for _, l := range m.lives {
		fmt.Fprintf(&s, "%s\n", l)
		from, to = earlier(from, l.begin), earlier(time.Now(), l.end.Add(m.world.pace.peace))
	}
	for _, r := range m.removals {
		fmt.Fprintf(&s, "removed at %s\n", r.at.Format(clock))
	}
	fmt.Fprintf(&s, "awaited: %s\nstrikes:", strings.Join(m.outcomes, ", "))
	for _, strike := range d.strikes {
		if strike.at.After(from) && strike.at.Before(to) {
			fmt.Fprintf(&s, " %s(%d)", strike.at.Format(clock), int(strike.sig))
		}
	}
	s.WriteString("\n")
	for _, l := range lines {
		s.WriteString("  " + l.raw + "\n")
	}
	return s.String()
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
