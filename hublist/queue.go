package hublist

import (
	"errors"
	"slices"
	"time"

	"progressd/hfcache"
)

// A request names what is asked for.
type request struct {
	repo   hfcache.Repo
	commit string
}

// The bounds of the queue. A cache is untrusted: it may show any number of
// downloads that are none.
const (
	maxWishes  = 64
	maxRefused = 1024
	// maxReady is how many files all answers list that nobody has fetched
	// yet: as many as one may.
	maxReady = 200_000
	// maxTries is how often one listing may fail before the next is not
	// kept waiting for it any more.
	maxTries = 5
)

// How long is waited for what.
const (
	// unwanted: a wish that isn't repeated is not one any more, and an
	// answer that isn't fetched was for one that has gone.
	unwanted = 10 * time.Minute
	// refusal is how long a hub's no, or an answer that can't be used, is
	// not asked for again.
	refusal = time.Hour
	// spacing lies between two requests: it keeps the daemon below the 500
	// calls in 5 minutes that the hub grants to everybody, and leaves some
	// to the downloaders.
	spacing = time.Second
	// firstPause doubles with each failure in a row, up to lastPause.
	firstPause = 5 * time.Second
	lastPause  = 10 * time.Minute
	// longestWait bounds what a hub may ask for by Retry-After.
	longestWait = time.Hour
)

// A fetchQueue decides what is asked when: wishes are taken, put off, answered and
// forgotten here. It is pure; the time is passed in.
type fetchQueue struct {
	wishes  []*wish   // in the order in which they are worked on
	ready   []answer  // the oldest first
	refused []refused // the oldest first
	// pause is until when the endpoint is left alone, wait how long it was
	// for the last failure; zero while all is well.
	pause time.Time
	wait  time.Duration
	// down: the last request for anything has failed.
	down bool
}

type wish struct {
	request
	asked time.Time
	// unshelved: it was not found among the answers on disk.
	unshelved bool
	tries     int
}

type answer struct {
	request
	at      time.Time
	listing hfcache.Listing
}

type refused struct {
	request
	until time.Time
}

// ask hands an answer out, once, or notes the wish. The caller keeps what it
// gets; from then on the answer is on disk only.
func (d *fetchQueue) ask(now time.Time, r request) (listing hfcache.Listing, ok, fresh bool) {
	if i := slices.IndexFunc(d.ready, func(a answer) bool { return a.request == r }); i >= 0 {
		listing = d.ready[i].listing
		d.ready = slices.Delete(d.ready, i, i+1)
		return listing, true, false
	}
	if w := d.wish(r); w != nil {
		w.asked = now
		return listing, false, false
	}
	d.refused = slices.DeleteFunc(d.refused, func(no refused) bool { return !now.Before(no.until) })
	if slices.ContainsFunc(d.refused, func(no refused) bool { return no.request == r }) || len(d.wishes) >= maxWishes {
		return listing, false, false
	}
	d.wishes = append(d.wishes, &wish{request: r, asked: now})
	return listing, false, true
}

func (d *fetchQueue) wish(r request) *wish {
	for _, w := range d.wishes {
		if w.request == r {
			return w
		}
	}
	return nil
}

// A step is what the worker does next.
type step int

const (
	// toRest until something is asked.
	toRest step = iota
	// toLook among the answers on disk.
	toLook
	// toFetch it from the hub.
	toFetch
	// toWait for the pause to end, or for something to be asked.
	toWait
)

// next says what to do, for which request or for how long.
func (d *fetchQueue) next(now time.Time) (do step, r request, pause time.Duration) {
	d.wishes = slices.DeleteFunc(d.wishes, func(w *wish) bool { return now.Sub(w.asked) > unwanted })
	d.ready = slices.DeleteFunc(d.ready, func(a answer) bool { return now.Sub(a.at) > unwanted })
	for _, w := range d.wishes {
		if !w.unshelved {
			return toLook, w.request, 0
		}
	}
	switch {
	case len(d.wishes) == 0 && len(d.ready) == 0:
		return toRest, r, 0
	case len(d.wishes) == 0: // until the answers are to be dropped
		return toWait, r, unwanted - now.Sub(d.ready[0].at) + time.Second
	case now.Before(d.pause):
		return toWait, r, d.pause.Sub(now)
	default:
		return toFetch, d.wishes[0].request, 0
	}
}

// notShelved notes that the hub has to be asked.
func (d *fetchQueue) notShelved(r request) {
	if w := d.wish(r); w != nil {
		w.unshelved = true
	}
}

// answered fulfils a wish.
func (d *fetchQueue) answered(now time.Time, r request, listing hfcache.Listing) {
	d.drop(r)
	d.ready = append(d.ready, answer{r, now, listing})
	files := 0
	for i, a := range slices.Backward(d.ready) {
		if files += len(a.listing.Files); files > maxReady {
			d.ready = slices.Delete(d.ready, 0, i+1)
			return
		}
	}
}

func (d *fetchQueue) drop(r request) {
	d.wishes = slices.DeleteFunc(d.wishes, func(w *wish) bool { return w.request == r })
}

func (d *fetchQueue) refuse(now time.Time, r request) {
	d.drop(r)
	if len(d.refused) >= maxRefused {
		d.refused = slices.Delete(d.refused, 0, 1)
	}
	d.refused = append(d.refused, refused{r, now.Add(refusal)})
}

// fetched judges a request by its error, nil for an answer. A no, and an
// answer that is no listing, are remembered for that request; anything else
// is the endpoint's trouble, and all requests wait.
func (d *fetchQueue) fetched(now time.Time, r request, err error) {
	var no *refusedError
	var busy *busyError
	switch {
	case err == nil:
		d.well(now)
	case errors.As(err, &no), errors.Is(err, errUnusable):
		d.well(now)
		d.refuse(now, r)
	case errors.As(err, &busy):
		d.trouble(now, min(busy.after, longestWait))
	default:
		d.trouble(now, 0)
		d.putBack(now, r)
	}
}

func (d *fetchQueue) well(now time.Time) {
	d.down, d.wait, d.pause = false, 0, now.Add(spacing)
}

// trouble puts all requests off, for at least as long as was asked for.
func (d *fetchQueue) trouble(now time.Time, atLeast time.Duration) {
	d.down = true
	d.wait = min(max(2*d.wait, firstPause), lastPause)
	d.pause = now.Add(max(d.wait, atLeast))
}

// putBack lets the others go first: it may be this listing that fails.
func (d *fetchQueue) putBack(now time.Time, r request) {
	w := d.wish(r)
	if w == nil {
		return
	}
	if w.tries++; w.tries >= maxTries && len(d.wishes) > 1 {
		d.refuse(now, r)
		return
	}
	d.drop(r)
	d.wishes = append(d.wishes, w)
}
