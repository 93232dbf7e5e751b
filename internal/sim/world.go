// Package sim runs the shipped daemon in virtual time: in a bubble of
// testing/synctest, over files in memory (simfs), with made-up clients,
// processes and operators. What happens in a life is decided by a seed and a
// number alone, so that the same seed gives the same story and the same lines.
//
// A life is a story (story.go), played by clients and operators (attempt.go,
// operator.go) beside a daemon that is killed, reloaded and configured at
// random (daemon.go). What truly happened is noted (truth.go), and every line
// is held against it (oracle.go).
package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"progressd/internal/simfs"
)

// A world is one machine and all that truly happens on it.
type world struct {
	seed  uint64
	fs    *simfs.FS
	procs *procs
	began time.Time
	// barred: the cache's disk isn't there, and nobody may write in its place.
	barred atomic.Bool

	mu sync.Mutex
	// told is the story in words.
	told []note
	// temps are the files in the roots that clients have made, by their paths.
	temps map[string]rootTemp
}

// A note is one thing that happened.
type note struct {
	at   time.Time
	text string
}

func newWorld(seed uint64) *world {
	w := &world{seed: seed, fs: simfs.New(time.Now), began: time.Now()}
	w.fs.SetOwner(owner)
	w.procs = newProcs(w)
	return w
}

// tell adds to the story in words.
func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, note{time.Now(), fmt.Sprintf(format, args...)})
}

// notes is the story so far.
func (w *world) notes() []note {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]note(nil), w.told...)
}

// random is the chance of one part of a life: what others draw doesn't change it.
func (w *world) random(parts ...any) *rand.Rand { return random(w.seed, parts...) }

func random(seed uint64, parts ...any) *rand.Rand {
	return rand.New(rand.NewPCG(seed, digest(fmt.Sprint(parts...))))
}

// digest is a number that follows from a text in every process.
func digest(text string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	sum := uint64(offset)
	for i := range len(text) {
		sum = (sum ^ uint64(text[i])) * prime
	}
	return sum
}

// pass lets time pass.
func pass(d time.Duration) { <-time.After(d) }

// wait lets time pass until something is over, and reports whether it isn't:
// what is over already is so for certain, even if there is nothing to wait for.
func wait(d time.Duration, over <-chan struct{}) bool {
	select {
	case <-over:
		return false
	default:
	}
	select {
	case <-over:
		return false
	case <-time.After(d):
		return true
	}
}

// between draws a duration.
func between(rng *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(rng.Int64N(int64(high-low)+1))
}

// oneOf draws one of some values.
func oneOf[T any](rng *rand.Rand, values ...T) T { return values[rng.IntN(len(values))] }

// chance is true n times of m.
func chance(rng *rand.Rand, n, m int) bool { return rng.IntN(m) < n }

const hexDigits = "0123456789abcdef"

// letters draws a text of so many of some characters.
func letters(rng *rand.Rand, n int, from string) string {
	var b strings.Builder
	for range n {
		b.WriteByte(from[rng.IntN(len(from))])
	}
	return b.String()
}

func hex(rng *rand.Rand, n int) string { return letters(rng, n, hexDigits) }

// clock shows a time of the story: hours, minutes and so on since it began.
func (w *world) clock(t time.Time) string {
	d := t.Sub(w.began)
	return fmt.Sprintf("%d:%02d:%02d.%06d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60, d.Microseconds()%1_000_000)
}
