package state

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"progressd/hfcache"
	"progressd/sizer"
	"progressd/tracker"
)

// Placing notes durably that the line of a verdict is about to be appended
// there. An error means that a kill right after may repeat the line; it
// should be written all the same.
func (s *Store) Placing(id string, at tracker.Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, i := s.findPending(id)
	if e == nil {
		return fmt.Errorf("cannot note where the line of event %q goes: it is not pending", id)
	}
	e.Pending[i].Position = &at
	e.dirty = true
	if err := s.sync(); e.dirty {
		return fmt.Errorf("cannot note where the line of event %q goes: %w", id, err)
	}
	return nil
}

// Placed gives what Placing noted, in this life or a former one.
func (s *Store) Placed(id string) (tracker.Position, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, i := s.findPending(id)
	if e == nil || e.Pending[i].Position == nil {
		return tracker.Position{}, false
	}
	return *e.Pending[i].Position, true
}

// Written notes that a sink has the verdict for good. Once all that confirm
// have it, it is pending no more; an episode that is over is then closed.
func (s *Store) Written(id, sink string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, i := s.findPending(id)
	if e == nil || slices.Contains(e.Pending[i].Written, sink) {
		return
	}
	e.Pending[i].Written = append(e.Pending[i].Written, sink)
	e.dirty = true
	s.settle(e)
	_ = s.sync() // it says itself what fails
}

func (s *Store) findPending(id string) (*episode, int) {
	for _, e := range s.episodes {
		i := slices.IndexFunc(e.Pending, func(p pendingRecord) bool { return p.Event.ID == id })
		if i >= 0 {
			return e, i
		}
	}
	return nil, 0
}

// await names the sinks that confirm verdicts: one that was switched off
// since holds nothing up.
func (s *Store) await(sinks []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaited = sinks
	for _, e := range s.inOrder() {
		s.settle(e)
	}
	s.syncUnlessBroken()
}

// pendingFor gives the verdicts that a sink has not confirmed, oldest first.
func (s *Store) pendingFor(sink string) []tracker.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var events []tracker.Event
	for _, e := range s.inOrder() {
		for _, p := range e.Pending {
			if !slices.Contains(p.Written, sink) {
				events = append(events, p.Event)
			}
		}
	}
	return events
}

// note takes over what the engine decided, and gives the events that are to
// be told now, with the names of their logs.
func (s *Store) note(records []tracker.Episode, told []telling) []tracker.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ep := range records {
		s.keep(ep)
	}
	events := make([]tracker.Event, 0, len(told))
	for _, t := range told {
		if t.event.Repo.ID != "" {
			key := s.keyOf(t)
			t.event.Log = s.logName(key)
			s.noteLeftovers(key, t.event)
			s.noteVerdict(key, t.event)
			if key.repo.Type == hfcache.Local && t.event.Repo == key.repo {
				// At rest, it is called by where it is.
				t.event.Repo, t.event.Root = key.repo.LocalName(key.root), key.repo.Within(key.root)
			}
		}
		if s.pend(t) {
			events = append(events, t.event)
		}
	}
	for _, ep := range records {
		if e := s.episodes[ep.ID]; e != nil {
			s.settle(e)
		}
	}
	s.syncUnlessBroken()
	return events
}

// keyOf is whom an event is about: that of its episode, since the event says
// what the repository is called.
func (s *Store) keyOf(t telling) repoKey {
	if e := s.episodes[t.episode]; e != nil {
		return e.key()
	}
	return repoKey{t.event.Root, t.event.Repo}
}

// keep takes the newest record of an episode.
func (s *Store) keep(ep tracker.Episode) {
	e := s.episodes[ep.ID]
	if e == nil {
		s.boundEpisodes()
		s.last++
		e = &episode{episodeRecord: episodeRecord{Version: version, Number: s.last}}
		s.episodes[ep.ID] = e
	}
	ep.Memory.Since = sane(ep.Memory.Since)
	e.Episode = ep
	e.dirty = true
}

// pend makes a verdict pending and reports whether it is new: the engine may
// judge again, after a restart, what is pending already.
func (s *Store) pend(t telling) bool {
	e := s.episodes[t.episode]
	if !t.event.Verdict() || e == nil {
		return true
	}
	if known, _ := s.findPending(t.event.ID); known != nil {
		return false
	}
	if len(e.Pending) == maxPending {
		s.log.Warn("too many verdicts of one download wait to be written: the oldest is given up",
			"event", e.Pending[0].Event.ID, "limit", maxPending)
		e.Pending = slices.Delete(e.Pending, 0, 1)
	}
	e.Pending = append(e.Pending, pendingRecord{Event: t.event})
	e.dirty = true
	return true
}

// settle drops the notes of verdicts that every sink has, and closes an
// episode that is over with nothing pending. The repository's record is
// written before the episode's file is removed: a kill in between leaves an
// episode that is closed once more, to the same end.
func (s *Store) settle(e *episode) {
	before := len(e.Pending)
	e.Pending = slices.DeleteFunc(e.Pending, func(p pendingRecord) bool {
		return !slices.ContainsFunc(s.awaited, func(sink string) bool {
			return !slices.Contains(p.Written, sink)
		})
	})
	e.dirty = e.dirty || len(e.Pending) < before
	if e.Episode.Over && len(e.Pending) == 0 {
		s.close(e)
	}
}

func (s *Store) close(e *episode) {
	if rec := s.repoRecord(e.key()); e.played() && e.Number > rec.Number {
		rec.Number, rec.Home = e.Number, e.Episode.Home
		rec.Since, rec.CutOffs = e.Episode.Memory.Since, e.Episode.Memory.CutOffs
		s.stateDirty = true
	}
	delete(s.episodes, e.Episode.ID)
	s.closed[filepath.Join(episodesDir, episodeFile(e.Episode.ID))] = struct{}{}
}

// boundEpisodes gives up the oldest episode that only waits for its sinks.
func (s *Store) boundEpisodes() {
	if len(s.episodes) < maxEpisodes {
		return
	}
	for _, e := range s.inOrder() {
		if e.Episode.Over {
			s.log.Warn("too many downloads wait for their last line to be written: the oldest is given up",
				"episode", e.Episode.ID, "limit", maxEpisodes)
			s.close(e)
			return
		}
	}
}

// copyEpisode shares nothing that its owner goes on to change. A downloader,
// once known, stays as it is.
func copyEpisode(ep tracker.Episode) tracker.Episode {
	ep.Warned = maps.Clone(ep.Warned)
	ep.Memory = copyMemory(ep.Memory)
	return ep
}

func copyMemory(m sizer.Memory) sizer.Memory {
	m.Revisions = slices.Clone(m.Revisions)
	m.Downloaders = slices.Clip(m.Downloaders)
	m.FailedBlobs = slices.Clone(m.FailedBlobs)
	m.Unlinked = slices.Clone(m.Unlinked)
	m.Kept = slices.Clone(m.Kept)
	m.Copying = maps.Clone(m.Copying)
	m.CutOffs = slices.Clone(m.CutOffs)
	return m
}
