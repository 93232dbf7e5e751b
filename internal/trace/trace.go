// Package trace makes up how the bytes of a download reach the disk, beside the
// speed at which they come over the network: what an estimate of the speed is
// held against. The same seed gives the same trace.
package trace

import (
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

// A Kind is a way in which bytes come.
type Kind struct {
	Name string
	// Bursts: the bytes come in jumps that are far apart.
	Bursts bool

	files int
	speed func(second float64) float64 // of each file, in bytes a second
	noise float64                      // how far a second may be off the speed, as a share
	chunk float64                      // bytes a write has at least
	// plateau: a file grows only now and then, after so many seconds.
	least, most float64
}

const (
	mb  = 1e6
	mib = 1 << 20

	length = 20 * time.Minute
	// tick is how finely time goes.
	tick = 100 * time.Millisecond
	// change is when the speed of those changes that don't stay the same,
	// and again when it changes back.
	change, back = 300.0, 480.0
)

// Kinds are all there are. Steps of 10 MiB are those of huggingface_hub over
// HTTP, jumps of 200 MB to 1.5 GB those of hf_xet 1.3 and later.
func Kinds() []Kind {
	return []Kind{
		{Name: "steady", files: 1, speed: always(40 * mb), noise: .1},
		{Name: "10 MiB steps, 8 files", files: 8, speed: always(5 * mb), noise: .1, chunk: 10 * mib},
		{Name: "10 MiB steps, slow", files: 1, speed: always(.8 * mb), noise: .1, chunk: 10 * mib},
		{Name: "bursts, 2 to 16 s apart", Bursts: true, files: 1, speed: always(40 * mb), noise: .2, least: 2, most: 16},
		{Name: "bursts, 10 to 75 s apart", Bursts: true, files: 1, speed: always(20 * mb), noise: .2, least: 10, most: 75},
		{Name: "8 files, each in bursts 10 to 75 s apart", Bursts: true, files: 8, speed: always(5 * mb), noise: .2, least: 10, most: 75},
		{Name: Slowdown, files: 1, noise: .1, speed: func(second float64) float64 {
			if second < change {
				return 100 * mb
			}
			return 20 * mb
		}},
		{Name: Stall, files: 1, noise: .1, speed: func(second float64) float64 {
			if second >= change && second < back {
				return 0
			}
			return 40 * mb
		}},
	}
}

// The kinds whose speed changes after 300 s: to a fifth, or to nothing for
// three minutes.
const (
	Slowdown = "slowdown to a fifth"
	Stall    = "stall"
)

func always(speed float64) func(float64) float64 { return func(float64) float64 { return speed } }

// A Look is what the disk shows at a moment, and what is true.
type Look struct {
	At    time.Duration // since the download began
	Bytes int64
	// Files are the bytes of each file; all are in flight all the time.
	Files []int64
	Speed float64 // in bytes a second
	// Settled: the speed has been the same for so long that an estimate may
	// be held against it: 30 s from the start, 75 s after a change.
	Settled bool
}

// Changed is how long ago the speed of such a kind has changed.
func (l Look) Changed() time.Duration { return l.At - time.Duration(change*float64(time.Second)) }

// Looks plays 20 minutes, looked at so often.
func (k Kind) Looks(seed uint64, every time.Duration) iter.Seq[Look] {
	return func(yield func(Look) bool) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		files := make([]file, k.files)
		for i := range files {
			files[i].phase = rnd.Float64() * k.chunk
		}
		settledAt := 30.0
		due := time.Duration(rnd.Float64() * float64(every))
		for at := tick; at <= length; at += tick {
			second := at.Seconds()
			speed := k.speed(second)
			if speed != k.speed(second-tick.Seconds()) {
				settledAt = second + 75
			}
			look := Look{At: at, Speed: speed * float64(k.files), Settled: second >= settledAt}
			for i := range files {
				shown := int64(files[i].grow(k, rnd, second, speed))
				look.Files = append(look.Files, shown)
				look.Bytes += shown
			}
			if at < due {
				continue
			}
			due += every
			if !yield(look) {
				return
			}
		}
	}
}

type file struct{ net, shown, flush, phase, noise, noisy float64 }

// grow lets a tick pass and gives what the disk shows of the file.
func (f *file) grow(k Kind, rnd *rand.Rand, second, speed float64) float64 {
	if second >= f.noisy {
		f.noise, f.noisy = 1+k.noise*(2*rnd.Float64()-1), second+1
	}
	f.net += speed * f.noise * tick.Seconds()
	switch {
	case k.chunk > 0:
		f.shown = math.Floor((f.net+f.phase)/k.chunk) * k.chunk
	case second >= f.flush:
		f.shown = f.net
		if k.most > 0 {
			f.flush = second + k.least + (k.most-k.least)*rnd.Float64()
		}
	}
	return f.shown
}
