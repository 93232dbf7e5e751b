package watcher

import (
	"context"
	"sync"
	"time"

	"progressd/fsys"
)

// A pattern leads to many places, and each may lie on a file system that hangs.
// So one goroutine asks about one place after the other; when an answer is long in
// coming, it is left alone with that place, and another one goes on with the rest.
// Nothing is asked a second time before the first answer is there, which a later
// survey takes.

const (
	// placePatience is how long a survey waits for one place.
	placePatience = 50 * time.Millisecond
	// maxHanging bounds how many places of a pattern are waited for: then
	// the pattern as a whole stands still.
	maxHanging = 64
)

// Probes are the places about which an answer is waited for. They may outlive a
// Watcher: where a file system hangs, the next one doesn't ask again.
type Probes struct {
	mu  sync.Mutex
	out map[string]*probe
}

// A probe is one question that is under way, or its late answer.
type probe struct {
	since time.Time
	// left: its survey goes on without the answer.
	left bool
	// answer is nil until it is there; then wake says so to who asked last.
	answer *answer
	wake   func()
}

// late gives the answer to a question of an earlier survey. pending is true while
// it is still waited for.
func (p *Probes) late(key string, wake func()) (a *answer, since time.Time, pending bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr := p.out[key]
	switch {
	case pr == nil:
		return nil, time.Time{}, false
	case pr.answer == nil:
		pr.left, pr.wake = true, wake
		return nil, pr.since, true
	}
	delete(p.out, key)
	return pr.answer, pr.since, false
}

// begin notes that a question is under way.
func (p *Probes) begin(key string) *probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out == nil {
		p.out = make(map[string]*probe)
	}
	pr := &probe{since: time.Now()}
	p.out[key] = pr
	return pr
}

// end takes an answer. It reports whether a survey still waits for it.
func (p *Probes) end(key string, pr *probe, a answer) (awaited bool) {
	p.mu.Lock()
	wake := pr.wake
	if !pr.left {
		delete(p.out, key)
	} else {
		pr.answer = &a
	}
	p.mu.Unlock()
	if pr.left {
		wake()
	}
	return !pr.left
}

// leave goes on without the answer to a question, unless it has just come or the
// question isn't asked yet.
func (p *Probes) leave(key string, wake func()) (since time.Time, left bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr := p.out[key]
	if pr == nil || pr.answer != nil {
		return time.Time{}, false
	}
	pr.left, pr.wake = true, wake
	return pr.since, true
}

// waiting counts the questions of a pattern that are left to themselves.
func (p *Probes) waiting(prefix string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, pr := range p.out {
		if pr.left && pr.answer == nil && len(key) > len(prefix) && key[:len(prefix)] == prefix {
			n++
		}
	}
	return n
}

// A surveyor asks about the places of one pattern.
type surveyor struct {
	fs     fsys.Kernel
	probes *Probes
	prefix string // of its keys
	wake   func() // for a new survey
	stuck  func() // is told when no more may be left hanging, and that one is waited for
}

// ask gives an answer for each question, nil for those from which one is still to
// come, and the latter once more as delays. asked is when the oldest answer was
// asked for, zero if all are of now.
func (s *surveyor) ask(ctx context.Context, questions []question) (answers []*answer, delays []delay, asked time.Time) {
	answers = make([]*answer, len(questions))
	var todo []int
	for i, q := range questions {
		a, since, pending := s.probes.late(q.key, s.wake)
		switch {
		case pending:
			delays = append(delays, delay{q.path, since})
		case a != nil:
			answers[i] = a
			if asked.IsZero() || since.Before(asked) {
				asked = since
			}
		default:
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 && ctx.Err() == nil {
		done, late := s.relay(ctx, questions, todo, answers)
		todo = todo[done:]
		if late != nil {
			delays = append(delays, *late)
			todo = todo[1:]
		}
	}
	return answers, delays, asked
}

type answered struct {
	question int
	answer   answer
}

// relay has a goroutine ask some questions one after the other. It returns how
// many were answered: all, or as many as came before one that is late.
func (s *surveyor) relay(ctx context.Context, questions []question, todo []int, answers []*answer) (done int, late *delay) {
	came := make(chan answered, len(todo)) // it never waits for who may be gone
	go func() {
		defer s.fs.Raise()()
		for _, i := range todo {
			q := questions[i]
			pr := s.probes.begin(q.key)
			a := q.ask()
			if !s.probes.end(q.key, pr, a) {
				return
			}
			came <- answered{i, a}
		}
	}()
	patience := time.NewTimer(placePatience)
	defer patience.Stop()
	for done < len(todo) {
		select {
		case a := <-came:
			answers[a.question] = &a.answer
			done++
			patience.Reset(placePatience)
			continue
		case <-patience.C:
		case <-ctx.Done():
		}
		q := questions[todo[done]]
		if ctx.Err() == nil && s.probes.waiting(s.prefix) >= maxHanging {
			s.stuck()
			patience.Reset(placePatience)
			continue
		}
		if since, left := s.probes.leave(q.key, s.wake); left {
			return done, &delay{q.path, since}
		}
		patience.Reset(placePatience) // it has just come, or is about to be asked
	}
	return done, nil
}
