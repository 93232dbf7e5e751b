package downloader

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowProc takes long for its list of locks.
type slowProc struct {
	Proc
	locks Locks
	takes time.Duration
	reads int
}

func (p *slowProc) Locks() (Locks, error) {
	p.reads++
	<-time.After(p.takes)
	return p.locks, nil
}

// listOf gives so many locks as ProcDir reads them.
func listOf(t *testing.T, locks int) Locks {
	dir := t.TempDir()
	text := strings.Repeat("2: POSIX  ADVISORY  WRITE 666 08:02:999 0 0\n", locks)
	if err := os.WriteFile(filepath.Join(dir, "locks"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := ProcDir(dir).Locks()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestALongListOfLocksThatIsSlowIsReadSeldom(t *testing.T) {
	long, short := listOf(t, 20_000), listOf(t, 100)
	for _, c := range []struct {
		what        string
		locks       Locks
		takes       time.Duration
		least, most int // readings in a minute of two looks a second
	}{
		{"long and slow", long, 200 * time.Millisecond, 8, 16},
		{"long and quick", long, 7 * time.Millisecond, 110, 121},
		{"short and slow, on a busy machine", short, 200 * time.Millisecond, 80, 121},
	} {
		synctest.Test(t, func(t *testing.T) {
			proc := &slowProc{locks: c.locks, takes: c.takes}
			procs := NewShared(proc)
			start := time.Now()
			for time.Since(start) < time.Minute {
				if _, err := procs.Locks(time.Now(), 0); err != nil {
					t.Fatal(err)
				}
				<-time.After(500 * time.Millisecond)
			}
			if proc.reads < c.least || proc.reads > c.most {
				t.Errorf("%s: read %d times in a minute, want %d to %d", c.what, proc.reads, c.least, c.most)
			}
		})
	}
}
