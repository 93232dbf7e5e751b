package state

import (
	"fmt"
	"slices"

	"progressd/hfcache"
	"progressd/tracker"
)

// telling is an event of an episode; of none if that is empty.
type telling struct {
	episode string
	event   tracker.Event
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
			t.event = s.addressed(t.event, key)
			s.noteLeftovers(key, t.event)
			s.noteVerdict(key, t.event)
			if key.Repo.Type == hfcache.Local && t.event.Repo == key.Repo {
				// At rest, it is called by where it is.
				t.event.Repo, t.event.Root = key.Repo.LocalName(key.Root), key.Repo.Within(key.Root)
			}
		} else {
			t.event.Tenant = s.tenant(t.event.Root)
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

// Placing notes durably, in one step for all of one root, that the lines of
// these verdicts are about to be appended there. An error means that a kill
// right after may repeat a line; it should be written all the same.
func (s *Store) Placing(placements []tracker.Placement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var unknown error
	var noted []*episode
	for _, p := range placements {
		e, i := s.findPending(p.Event)
		if e == nil {
			unknown = fmt.Errorf("cannot note where the line of event %q goes: it is not pending", p.Event)
			continue
		}
		e.Pending[i].Position = &p.At
		s.touchDurably(e)
		noted = append(noted, e)
	}
	err := s.sync()
	for _, e := range noted {
		if e.dirty {
			return fmt.Errorf("cannot note where the line of a verdict on %q goes: %w", e.Episode.Repo.ID, err)
		}
	}
	return unknown
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
	s.touchEpisode(e)
	s.settle(e)
	_ = s.sync() // it says itself what fails
}

// await names the sinks that confirm verdicts: one that was switched off
// since holds nothing up.
func (s *Store) await(sinks []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaited = sinks
	for _, e := range inOrder(s.episodes) {
		s.settle(e)
	}
	s.syncUnlessBroken()
}

// pendingFor gives the verdicts that a sink has not confirmed, oldest first.
func (s *Store) pendingFor(sink string) []tracker.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var events []tracker.Event
	for _, e := range inOrder(s.episodes) {
		for _, p := range e.Pending {
			if !slices.Contains(p.Written, sink) {
				events = append(events, s.addressed(p.Event, e.key()))
			}
		}
	}
	return events
}

// addressed says which log an event goes to, and whose that is.
func (s *Store) addressed(e tracker.Event, of hfcache.Place) tracker.Event {
	e.Log, e.Tenant = s.logName(of), s.tenant(of.Root)
	e.Tenant.Given = s.repoRecord(of).given
	return e
}

// keyOf is whom an event is about: that of its episode, since the event says
// what the repository is called.
func (s *Store) keyOf(t telling) hfcache.Place {
	if e := s.episodes[t.episode]; e != nil {
		return e.key()
	}
	return hfcache.Place{Root: t.event.Root, Repo: t.event.Repo}
}

// keep takes the newest record of an episode.
func (s *Store) keep(ep tracker.Episode) {
	e := s.episodes[ep.ID]
	if e == nil {
		s.boundEpisodes()
		s.last++
		r := s.of(ep.Root)
		e = &episode{of: r, payer: r.payer, episodeRecord: episodeRecord{Number: s.last}}
		s.episodes[ep.ID], r.episodes[ep.ID] = e, e
	}
	ep.Checkpoint.Since = sane(ep.Checkpoint.Since)
	e.Episode = ep
	s.touchEpisode(e)
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
		delete(s.pending, e.Pending[0].Event.ID)
		e.Pending = slices.Delete(e.Pending, 0, 1)
	}
	e.Pending = append(e.Pending, pendingRecord{Event: t.event})
	s.pending[t.event.ID] = e
	s.touchDurably(e)
	return true
}
