package watcher

import "context"

// stir plans a look at the repositories for which something moves in the root
// itself. Nothing in their own directories tells of that.
func (r *runner) stir(ctx context.Context) {
	for _, folder := range r.looker.Stirred(ctx) {
		if p := r.index.find([]byte(folder)); p != nil && folder != r.suspect {
			r.index.at(p, r.now())
		}
	}
}
