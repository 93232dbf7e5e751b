package tracker

import (
	"slices"
	"time"

	"progressd/sizer"
)

// Each of several files jumps at its own times, so that at either end of what is
// compared some have more in memory than on disk. So many of a file's plateaus
// must lie between, at once and with time.
const leastPlateaus, spanPlateaus = 2, 6

// Speed estimates how fast a download comes, as a whole and each of its files
// in flight. The zero value is ready.
type Speed struct {
	all   rate
	files []fileSpeed // at most as many as a look names
}

type fileSpeed struct {
	etag string
	rate
}

// Add notes a look: the bytes that the download has brought so far, and the
// files in flight. Times carry a monotonic reading.
func (s *Speed) Add(at time.Time, bytes int64, files []sizer.InFlight) {
	s.all.add(at, bytes)
	s.files = slices.DeleteFunc(s.files, func(known fileSpeed) bool {
		return !slices.ContainsFunc(files, func(f sizer.InFlight) bool { return f.Etag == known.etag })
	})
	for _, f := range files {
		known := s.file(f.Etag)
		if known == nil {
			s.files = append(s.files, fileSpeed{etag: f.Etag})
			known = &s.files[len(s.files)-1].rate
		}
		known.add(at, f.Bytes)
	}
}

// file is nil for one that isn't in flight.
func (s *Speed) file(etag string) *rate {
	for i := range s.files {
		if s.files[i].etag == etag {
			return &s.files[i].rate
		}
	}
	return nil
}

// PerSecond is the speed of the download in bytes a second, 0 if unknown. It is
// never more than the fastest ten seconds have brought.
func (s *Speed) PerSecond(now time.Time) int64 {
	plateau := s.plateau()
	return s.all.perSecond(now, max(rateLeast, leastPlateaus*plateau), max(rateSpan, spanPlateaus*plateau))
}

// File is the speed of a file in flight in bytes a second, 0 if unknown.
func (s *Speed) File(etag string, now time.Time) int64 {
	if r := s.file(etag); r != nil {
		return r.perSecond(now, rateLeast, rateSpan)
	}
	return 0
}

// plateau is how long one of several files is flat in the mean; 0 for a single
// one, whose increases can be compared as they are.
func (s *Speed) plateau() time.Duration {
	if len(s.files) < 2 {
		return 0
	}
	var sum time.Duration
	for i := range s.files {
		// One that hangs is no reason to be silent about the others.
		sum += min(s.files[i].plateau(), rateKept/spanPlateaus)
	}
	return sum / time.Duration(len(s.files))
}

// reset begins afresh, where the count of bytes is another one.
func (s *Speed) reset() { s.all.reset() }
