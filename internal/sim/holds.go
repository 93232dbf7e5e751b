package sim

import "time"

// locked notes that the client has taken a lock.
func (r *record) locked() *span {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lockedAt.IsZero() {
		r.lockedAt = time.Now()
	}
	held := &span{from: time.Now()}
	r.holds = append(r.holds, held)
	return held
}

// unlocked notes that it has given one back.
func (r *record) unlocked(held *span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	held.to = time.Now()
}

// held is for how long the client has held locks until some time, each for itself, and
// the one that it held longest.
func (r *record) held(at time.Time) (together, longest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if died := r.ended(); !died.IsZero() && died.Before(at) {
		at = died
	}
	for _, h := range r.holds {
		to := h.to
		if to.IsZero() || to.After(at) {
			to = at
		}
		d := max(to.Sub(h.from), 0)
		together, longest = together+d, max(longest, d)
	}
	return together, longest
}
