package watcher

import (
	"context"
	"time"
)

// fileClock is a time before which nothing is written from now on, by the clock
// of a file system of this machine.
func fileClock() time.Time { return time.Now().Add(-clockSlack).Round(0) }

// came says that a folder is there that wasn't at that time. The clocks of file
// systems of networks are others.
func (r *runner) came(folder string, absent time.Time) {
	if r.remote == "" && !absent.IsZero() {
		r.looker.Came(folder, absent)
	}
}

// stir plans a look at the repositories for which something moves in the root
// itself. Nothing in their own directories tells of that.
func (r *runner) stir(ctx context.Context) {
	var folders []string
	r.aside(func() { folders, r.stirring = r.looker.Stirred(ctx) })
	for _, folder := range folders {
		if p := r.index.find([]byte(folder)); p != nil && folder != r.suspect {
			r.index.at(p, r.now())
		}
	}
}
