package display

import (
	"testing"
	"time"

	"progressd/record"
)

func TestBarsOfAnySize(t *testing.T) {
	for _, c := range []struct{ bytes, total int64 }{{0, 1}, {1, 1}, {1<<63 - 2, 1<<63 - 1}, {-1, 5}, {6, 5}, {1, 1 << 60}} {
		if n := filled(c.bytes, c.total, 40); n < 0 || n > 40 || c.bytes < c.total && n == 40 {
			t.Errorf("%d of %d: %d cells", c.bytes, c.total, n)
		}
	}
}

func TestSilenceIsToldOfWhatMayGoOn(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		ago   time.Duration
		state record.State
		want  string
	}{
		{65 * time.Second, record.Stalled, "no new data for 1m05s"},
		{59 * time.Second, record.Downloading, ""},
		{time.Hour, record.Completed, ""},
	} {
		if got := Silence(record.Download{Grown: now.Add(-c.ago), State: c.state}, now); got != c.want {
			t.Errorf("%s for %v: %q", c.state, c.ago, got)
		}
	}
	if got := Silence(record.Download{State: record.Stalled}, now); got != "" {
		t.Errorf("unknown: %q", got)
	}
}
