package state

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// A child that is being forked shares the open lock file until it has replaced
// itself: so does a duplicate of the descriptor.
func testLockedForAMoment(t *testing.T) {
	for name, test := range map[string]struct {
		held time.Duration
		want error
	}{
		"for a moment": {held: lockPatience / 2},
		"for long":     {held: 2 * lockPatience, want: ErrLocked},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				first, err := awaitLock(dir)
				if err != nil {
					t.Fatal(err)
				}
				forked, err := unix.Dup(int(first.file.Fd()))
				if err != nil {
					t.Fatal(err)
				}
				first.release()
				closed := make(chan error, 1)
				time.AfterFunc(test.held, func() { closed <- unix.Close(forked) })
				began := time.Now()
				second, err := awaitLock(dir)
				if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
					t.Errorf("got %v, want %v", err, test.want)
				}
				if waited := time.Since(began); waited > lockPatience {
					t.Errorf("it waited %v", waited)
				}
				second.release()
				<-closed
			})
		})
	}
}
