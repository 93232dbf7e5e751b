package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"progressd/internal/wait"
	"progressd/tracker"
)

// verdict is what progressd owes after the last client of a scene has ended.
type verdict struct {
	// kinds are the verdicts that are true.
	kinds []tracker.Kind
	// silence is true as well: the daemon may not have seen enough of it.
	silence bool
	// begin and after are when the last client that brought something
	// lived.
	begin, after time.Time
	pace         pace
	// patience is how long interrupted has to wait.
	patience time.Duration
	// unlisted: no listing can prove anything.
	unlisted bool
	// beside: another client brought a listed revision meanwhile. Files of both
	// are one download, and when nothing of the other is under way any more
	// that listing proves it complete: one completed tells of both.
	beside bool
	// shy: the client lived for less than a look. A verdict on the one before
	// is then told as if it hadn't come; that it is true, judge.go sees to.
	shy bool
	// linking: ended may have been told while the client was stopped; see
	// onlyToLink.
	linking bool
}

// told is how many lines a model's log has.
func (m *model) told() int {
	lines, err := readLog(m.logPath())
	if err != nil {
		return 0
	}
	return len(lines)
}

// enough is how long the daemon must have been watching a client to know who
// it is and what it wants.
const enough = 1500 * time.Millisecond

// owed says what the truth after a life calls for.
//
//   - The listing and every file of it are there: completed, and nothing else;
//     or ended, of a client that was stopped when all that it had yet to do was
//     to link what was there: that it does so later nobody sees.
//   - What a client asked for is there and the client was seen: completed. If
//     it wasn't seen, nothing says what was wanted: ended will do as well, or
//     interrupted if another attempt left a partial behind.
//   - A library was asked for part, with a listing of more: ended, or again
//     interrupted.
//   - No listing and nothing against it: completed after a while of quiet; or ended, if
//     the client wasn't seen, or shows nothing before a file is in its place, beside what
//     others have left in the root, which may be its own.
//   - No listing, a gap in the numbers of the shards: ended.
//   - No listing, and an older attempt's partial beside it: any of them.
//   - Else a client is gone with its work undone: interrupted. If it left
//     nothing unfinished, and nothing says what it wanted: ended.
//   - Nor is there anything to be told of a partial that was made and abandoned
//     while no daemon ran.
//
// Where nothing came at all, silence is owed; see settle.
func (m *model) owed(l *life) verdict {
	t := l.truth
	seen := l.seen
	v := verdict{pace: m.world.pace, after: l.ready(), patience: l.patience(m.world.pace), unlisted: !t.listing}
	add := func(kinds ...tracker.Kind) verdict {
		v.kinds = append(v.kinds, kinds...)
		return v
	}
	switch {
	case t.short: // that is told, and is no success
		return add(tracker.Ended, tracker.Interrupted)
	case t.whole && t.listing:
		v.silence = !l.changed
		if v.linking = l.onlyToLink(); v.linking {
			add(tracker.Ended)
		}
		return add(tracker.Completed)
	case t.wanted && l.partly() && l.library && t.listing && seen && l.done:
		if t.partials > 0 {
			add(tracker.Interrupted)
		}
		return add(tracker.Ended)
	case t.wanted && l.partly() && (!seen || !l.done):
		return add(tracker.Completed, tracker.Ended, tracker.Interrupted)
	case t.listing && t.wanted && l.partly():
		return add(tracker.Completed)
	case !t.listing && t.blobs > 0 && l.done && m.litter(): // an orphan in the root, of which nothing tells whose it is
		return add(tracker.Completed, tracker.Ended, tracker.Interrupted)
	case !t.listing && t.partials == 0 && t.blobs > 0 && l.done && !t.gap:
		return add(tracker.Completed)
	case !t.listing && t.partials == 0 && t.blobs > 0 && l.done:
		return add(tracker.Ended)
	case !t.listing && t.blobs > 0 && l.done:
		return add(tracker.Completed, tracker.Ended, tracker.Interrupted)
	}
	v.silence = !seen || !l.changed
	if t.partials > 0 && (seen || t.blobs == 0) {
		return add(tracker.Interrupted)
	}
	add(tracker.Interrupted, tracker.Ended)
	if !t.listing && !t.gap && t.blobs > 0 && t.partials == 0 {
		add(tracker.Completed)
	}
	return v
}

// onlyToLink: it was stopped between its last blob and its last link.
func (l *life) onlyToLink() bool {
	stopped := !l.held.from.IsZero()
	return stopped && !l.heldAt.whole && l.heldAt.partials == 0 && l.heldAt.content == l.truth.content
}

// litter: a client that writes to the root of the cache was killed, and what
// it left behind lies there for good; or one that writes outside, of which it is
// known that it failed, and of nothing else that it mended that.
func (m *model) litter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.lives, func(l *life) bool { return (l.writer.outside() || l.writer.late()) && !l.done })
}

// mayStray: a file in the root may be this client's, as far as can be seen.
func (l *life) mayStray() bool { return !l.seen || l.writer.outside() }

// strays: a client that writes into the root was killed, and what it was at lies there.
func (w *world) strays() bool {
	left, err := filepath.Glob(filepath.Join(w.cache(), "tmp????????"))
	return err == nil && len(left) > 0
}

// settle waits for the verdict on what was done since the log had so many
// lines. The last life has the newest truth.
func (a *actor) settle(ctx context.Context, m *model, begun int, last *life) error {
	m.mu.Lock()
	var bringer *life // the last that brought something
	for _, l := range m.lives[m.marked().lives:] {
		if l.moved && (bringer == nil || l.end.After(bringer.end)) {
			bringer = l
		}
	}
	m.mu.Unlock()
	v := verdict{pace: a.pace, silence: true, after: last.end}
	if bringer != nil {
		v = m.owed(bringer)
		v.begin, v.shy = bringer.begin, bringer.shy()
		v.beside = v.unlisted && m.listedBeside(bringer)
		if v.unlisted && bringer.mayStray() && slices.Contains(v.kinds, tracker.Completed) && m.world.strays() {
			v.kinds = append(v.kinds, tracker.Ended)
		}
		if v.unlisted && m.undoneBeside(bringer) {
			v.kinds = append(v.kinds, tracker.Interrupted, tracker.Ended)
		}
		if bringer != last { // which may have come too late to change it
			w := m.owed(last)
			v.unlisted = v.unlisted && w.unlisted // it may have brought a listing
			v.kinds, v.silence = append(v.kinds, w.kinds...), v.silence && (w.silence || !bringer.changed)
		}
		v.silence = v.silence || !last.truth.whole && a.stands(m)
	}
	err := a.await(ctx, m, begun, v)
	m.mark()
	return err
}

// listedBeside reports whether a client brought the whole of a listed revision
// while another one lived.
func (m *model) listedBeside(other *life) bool {
	return slices.ContainsFunc(m.lives[m.marked().lives:], func(l *life) bool {
		together := l.begin.Before(other.end) && l.end.After(other.begin)
		return l != other && together && l.truth.whole && l.truth.listing
	})
}

// undoneBeside reports whether a client left another revision undone while this
// one lived. Files of both are one download, and without a listing nothing tells
// that those of the dead one aren't wanted any more.
func (m *model) undoneBeside(other *life) bool {
	return slices.ContainsFunc(m.lives[m.marked().lives:], func(l *life) bool {
		together := l.begin.Before(other.end) && l.end.After(other.begin)
		return together && l.revision.commit != other.revision.commit && !l.done && !l.truth.whole
	})
}

// stands reports whether the last word on a model is that it was interrupted,
// which needs no second saying if nobody was seen since.
func (a *actor) stands(m *model) bool {
	lines, err := readLog(m.logPath())
	return err == nil && len(lines) > 0 && lines[len(lines)-1].kind == tracker.Interrupted
}

// mark ends a scene.
func (m *model) mark() {
	lines := m.told()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.scenes = append(m.scenes, mark{lives: len(m.lives), lines: lines})
}

// marked is the end of the last scene.
func (m *model) marked() mark {
	if len(m.scenes) == 0 {
		return mark{}
	}
	return m.scenes[len(m.scenes)-1]
}

// silence is how long to listen for what should not or need not come.
const silence = 3 * time.Second

// await waits until a verdict is in the log, and blames progressd if it
// doesn't come.
func (a *actor) await(ctx context.Context, m *model, begun int, v verdict) error {
	limit := a.patience
	if v.silence {
		limit = silence
		if len(v.kinds) > 0 {
			limit += v.patience
		}
		limit = min(limit, a.patience)
	}
	deadline := time.Now().Add(limit)
	for {
		lines, err := readLog(m.logPath())
		if err != nil {
			return err
		}
		if kind := v.found(lines[min(begun, len(lines)):]); kind != "" {
			m.outcome(string(kind))
			return nil
		}
		if time.Now().After(deadline) {
			break
		}
		if err := wait.For(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	if v.silence {
		m.outcome("silence")
		return nil
	}
	m.outcome("LOST")
	a.blame(m, "no verdict within %v of %s: expected %s", limit, v.after.Format(clock), fmt.Sprint(v.kinds))
	return nil
}

// earliest is when the line of a verdict can have been written, whose time is
// cut to the second. What a listing proves may be told before its client has
// exited; all else has to wait.
func (v verdict) earliest(k tracker.Kind) time.Time {
	const cut, early = time.Second, 300 * time.Millisecond
	switch {
	case v.shy && (k == tracker.Interrupted || k == tracker.Completed):
		return v.begin.Add(-cut)
	case k == tracker.Interrupted:
		return v.after.Add(v.pace.interrupt - cut - early)
	case k == tracker.Completed && v.beside:
		return v.after.Add(-cut - look)
	case k == tracker.Completed && !v.unlisted, k == tracker.Ended && v.linking:
		return v.begin.Add(-cut)
	default:
		return v.after.Add(v.pace.quiet - cut - early)
	}
}

// found returns the verdict that has come, if it is the last word.
func (v verdict) found(lines []line) tracker.Kind {
	for i := len(lines) - 1; i >= 0; i-- {
		l := lines[i]
		if !terminal(l.kind) && l.kind != tracker.Interrupted {
			continue
		}
		if slices.Contains(v.kinds, l.kind) && l.at.After(v.earliest(l.kind)) {
			return l.kind
		}
		return ""
	}
	return ""
}

func (m *model) outcome(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outcomes = append(m.outcomes, text)
}
