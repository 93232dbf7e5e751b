package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"progressd/hfcache"
)

// Kind names a client that isn't huggingface_hub.
type Kind string

// The other clients; what each does is said where it is written.
const (
	Rust03      Kind = "rust-0.3"
	Rust03Tokio Kind = "rust-0.3-tokio"
	Rust04      Kind = "rust-0.4"
	Rust04Tokio Kind = "rust-0.4-tokio"
	Rust1       Kind = "rust-1"
	JS          Kind = "huggingface.js"
	LlamaCpp    Kind = "llama.cpp"
	Swift       Kind = "swift"
	GoHub       Kind = "go-huggingface"
)

// Kinds are all of them.
func Kinds() []Kind {
	return []Kind{Rust03, Rust03Tokio, Rust04, Rust04Tokio, Rust1, JS, LlamaCpp, Swift, GoHub}
}

// Other is one of them. Of HH these fields apply: Endpoint, Root, Workers,
// Chunk, Ahead, Burst, Include and Pause; the stages come in the order of the
// client, and those it hasn't got are left out. Any end of the context kills:
// none of them waits for what is in flight when it gets a Ctrl-C.
type Other struct {
	HH
	Kind Kind
}

// order is what a client is to bring, files in the hub's order.
type order struct {
	revision, commit string
	files            []listed
}

// habit is how a kind goes about an order.
type habit struct {
	// tree: it asks for the tree, which tells of Xet files.
	tree bool
	// workers is how many files are in flight unless it is said.
	workers int
	run     func(context.Context, *download, order) error
}

var habits = map[Kind]habit{
	Rust03:      {workers: 1, run: oneByOne((*job).rustTemp)},
	Rust03Tokio: {workers: 1, run: oneByOne((*job).rustTempScattered)},
	Rust04:      {workers: 1, run: oneByOne((*job).rustPart)},
	Rust04Tokio: {workers: 1, run: oneByOne((*job).rustSyncPart)},
	Rust1:       {workers: 8, tree: true, run: rust1},
	JS:          {workers: 1, tree: true, run: js},
	LlamaCpp:    {workers: 8, tree: true, run: llamaCpp},
	Swift:       {workers: 8, tree: true, run: swift},
	GoHub:       {workers: 20, run: goHub},
}

// Download brings a revision of a repository into the cache and returns the
// path of its snapshot.
func (o *Other) Download(ctx context.Context, repo hfcache.Repo, revision string) (string, error) {
	habit, ok := habits[o.Kind]
	if !ok {
		return "", fmt.Errorf("cannot download %q: no client %q", repo.ID, o.Kind)
	}
	ctx, kill := mortal(ctx)
	defer kill()
	h := o.HH
	if h.Workers == 0 {
		h.Workers = habit.workers
	}
	d, err := h.begin(repo)
	if err != nil {
		return "", err
	}
	defer d.transport.CloseIdleConnections()
	d.traits = traits{listing: habit.tree}
	tree, err := d.list(ctx, revision)
	if err != nil {
		return "", fmt.Errorf("cannot list %q: %w", repo.ID, err)
	}
	wanted := order{revision: revision, commit: tree.commit}
	for _, f := range tree.files {
		if h.Include == nil || h.Include(f.Path) {
			wanted.files = append(wanted.files, f)
		}
	}
	return filepath.Join(d.dir, "snapshots", tree.commit), habit.run(ctx, d, wanted)
}

// mortal is a context whose end is always a kill.
func mortal(ctx context.Context) (context.Context, func()) {
	work, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { kill(ErrKilled) })
	return work, func() {
		stop()
		kill(nil)
	}
}

// eachMissing does something for each file that is not in the snapshot yet: what a client
// asks the hub about it is known then.
func (d *download) eachMissing(ctx context.Context, o order, do func(context.Context, *job) error) error {
	return d.each(ctx, o.files, func(ctx context.Context, f listed) error {
		if exists(d.pointer(o.commit, f.Path)) {
			return nil
		}
		j, err := d.job(ctx, o.commit, f)
		if err != nil {
			return err
		}
		return do(ctx, j)
	})
}

// oneByOne asks for each file and fetches it, and notes the ref behind each,
// as programs do that use Rust's hf-hub before 1.0: a file in the snapshot is
// taken from there, anything else is fetched.
func oneByOne(fetch func(*job, context.Context) error) func(context.Context, *download, order) error {
	return func(ctx context.Context, d *download, o order) error {
		return d.eachMissing(ctx, o, func(ctx context.Context, j *job) error {
			if err := os.MkdirAll(filepath.Dir(j.blob), 0o777); err != nil {
				return err
			}
			if err := fetch(j, ctx); err != nil {
				return err
			}
			if err := j.expose(ctx); err != nil {
				return err
			}
			return d.saveRef(ctx, o.revision, o.commit)
		})
	}
}

// arrive gives a full partial the blob's name.
func (j *job) arrive(ctx context.Context, partial string) error {
	if err := os.Rename(partial, j.blob); err != nil {
		return err
	}
	return j.Pause(ctx, Renamed, j.path)
}

// expose makes the link in the snapshot and the directories above it.
func (j *job) expose(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(j.pointer), 0o777); err != nil {
		return err
	}
	if err := j.symlink(); err != nil {
		return err
	}
	return j.Pause(ctx, Linked, j.path)
}

// into opens a partial, fills it and closes it.
func (j *job) into(ctx context.Context, path string, flags int, fill func(context.Context, *os.File) error) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|flags, fs.FileMode(0o666))
	if err != nil {
		return err
	}
	if err = j.Pause(ctx, Opened, j.path); err == nil {
		err = fill(ctx, f)
	}
	return errors.Join(err, f.Close())
}

// rest streams what the partial doesn't hold yet behind it.
func (j *job) rest(ctx context.Context, f *os.File) error {
	at, err := f.Seek(0, 2)
	if err != nil {
		return err
	}
	_, err = j.stream(ctx, f, at)
	return err
}
