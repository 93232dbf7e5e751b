package watcher

import (
	"time"

	"progressd/fsys"
)

// To wake a goroutine for each of hundreds of caches, open the cache, see that nothing has
// happened and close it again costs several times what the kernel takes to answer. So
// where all of a root is watched, it is left to the finder of its pattern, which asks about
// it anyway: on the same way, it asks about what lies in it, too.

const (
	// longestRest bounds a rest, whatever may go wrong with who looks after it.
	longestRest = 10 * time.Minute
	// mostResting is how many repositories a root that rests may have.
	mostResting = 16
)

// asLeft reports whether the root is as it was, by what was seen at that wall clock.
func (r *rest) asLeft(e fsys.Entry, at time.Time) bool {
	same := stampOf(e, onRoot) == r.self
	if same {
		r.seen.Store(at.UnixNano())
	}
	return same
}

// allAsLeft asks about what lies in the root.
func (r *rest) allAsLeft(kernel fsys.Kernel) bool {
	for _, p := range r.repos {
		e, err := fsys.PeekAt(kernel, p.path)
		if err != nil || !e.IsDir() || e.Dev != r.dev || stampOf(e, p.stamp.where) != p.stamp {
			return false
		}
	}
	return true
}

// add leaves a root to the finder, if that takes any.
func (r *rests) add(path string, left *rest) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.open {
		return false
	}
	if r.of == nil {
		r.of = make(map[string]*rest)
	}
	if before := r.of[path]; before != nil {
		before.over = true
	}
	r.of[path] = left
	return true
}

// end takes a root back, nil if it isn't left any more.
func (r *rests) end(path string) *rest {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := r.of[path]
	if left != nil {
		left.over = true
		delete(r.of, path)
	}
	return left
}

// find finds the root that is left at a stop, for who has the lock.
func (r *rests) find(s *stop) bool {
	if s.rest == nil || s.rest.over {
		s.rest = r.of[s.place.path]
	}
	return s.rest != nil
}

// admit has the finder look after roots from now on.
func (r *rests) admit() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = true
}

// close has each root looked after by its own goroutine, until it is admitted again.
func (r *rests) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = false
	for _, left := range r.of {
		left.box.rouse()
	}
}

// has reports whether a place is a root that is left to the finder, and as it was.
func (r *rests) has(p place) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := r.of[p.path]
	return left != nil && left.dev == p.dev && left.self == stamp{inode: p.inode, mtime: p.mtime, where: onRoot}
}

// lieDown leaves the root to its finder, if there is nothing to do but to ask whether all
// is as it was.
func (r *runner) lieDown() {
	left := r.left()
	r.resting = left != nil && r.rests.add(r.root.Path, left)
}

// left is the root as it would be left, nil if it can't be.
func (r *runner) left() *rest {
	if r.rests == nil || !r.unmoved || !r.self.watched() || r.stirring || r.index.busy() || r.index.len() > mostResting {
		return nil
	}
	left := &rest{dev: r.root.Dev, self: r.self.stamp, box: r.mailbox}
	for _, p := range r.index.order {
		switch {
		case p.gone || r.isItself(p):
		case !p.watched() || r.restless(p) || r.locals.shelves[p] != nil:
			return nil
		default:
			left.repos = append(left.repos, resting{r.path(p, p.stamp.where), p.stamp})
		}
	}
	return left
}

// resume takes the root back. The poll that follows asks about all that lies in it: whoever
// has woken this goroutine may have seen something there.
func (r *runner) resume() {
	if !r.resting {
		return
	}
	r.resting, r.everything = false, true
	if left := r.rests.end(r.root.Path); left != nil {
		if seen := since(left.seen.Load()); seen.After(r.intact) {
			r.intact = seen
		}
	}
}

// wakeStrays wakes those that lie on no trail, for who has the lock.
func (r *rests) wakeStrays(t *trail) {
	on := make(map[string]bool)
	for _, p := range t.places {
		on[p.path] = true
	}
	for path, left := range r.of {
		if !on[path] {
			left.box.rouse()
		}
	}
}
