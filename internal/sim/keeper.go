package sim

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"progressd/account"
	"progressd/daemon"
	"progressd/state"
)

// A keeper runs the daemon, and kills it.
type keeper struct {
	life   *life
	dir    string
	mutant mutant
	said   *recorder

	mu sync.Mutex
	// down are the times in which it didn't run.
	down []span

	ending   atomic.Bool
	cancel   context.CancelFunc
	done     chan struct{}
	store    *state.Store
	number   int // of the daemon's lives
	started  time.Time
	watchers int
	// frozen is closed when the daemon goes on; nil while it runs. waiting is how many
	// calls about a part wait for that.
	frozen  chan struct{}
	waiting map[string]int
	thawed  time.Time
	// handing has something in it while a look is handed on.
	handing chan struct{}
}

func newKeeper(l *life, dir string, m mutant) *keeper {
	k := &keeper{life: l, dir: dir, mutant: m, handing: make(chan struct{}, 1)}
	k.said = &recorder{life: l}
	return k
}

// start starts the daemon.
func (k *keeper) start() {
	log := slog.New(&diagnostics{k})
	set := k.mutant.set(k.life.story.Setup).settings([]string{k.life.root}, k.dir)
	if k.mutant.forgets {
		writeFiles(set.StateDir, nil)
	}
	accounts := account.NewBook(account.SystemOwners(os.Open), log)
	store, err := state.Open(set.StateDir, accounts, log)
	if err != nil {
		panic(err)
	}
	k.store = store
	k.number++
	k.started = time.Now()
	k.ending.Store(false)
	ctx, cancel := context.WithCancel(context.Background())
	k.cancel, k.done = cancel, make(chan struct{})
	pipeline := daemon.New(ctx, daemon.Options{
		Settings: set, Store: store, Accounts: accounts, Getenv: func(string) string { return "" }, Log: log,
		Machine: k.machine(), Outlets: []state.Outlet{{Queue: k.mutant.outlet(k.said)}},
	})
	go func() {
		defer close(k.done)
		pipeline.Run(ctx)
	}()
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.down); n > 0 {
		k.down[n-1].to = time.Now()
	}
}

// end stops the daemon in order.
func (k *keeper) end() {
	k.mu.Lock()
	k.down = append(k.down, span{from: time.Now()})
	k.mu.Unlock()
	k.ending.Store(true)
	k.cancel()
	<-k.done
	if err := k.store.Close(); err != nil {
		k.life.world.tell("the daemon's state can't be closed: %v", err)
	}
}

// kill ends the daemon as SIGKILL does: what it writes down and says behind
// that moment is taken back.
func (k *keeper) kill() {
	at := time.Now()
	kept := readFiles(filepath.Join(k.dir, "state"))
	logs := sizes(filepath.Join(k.dir, "log"))
	k.said.cut(at)
	k.end()
	k.said.proceed()
	writeFiles(filepath.Join(k.dir, "state"), kept)
	for _, p := range files(filepath.Join(k.dir, "log")) {
		if err := os.Truncate(p, logs[p]); err != nil {
			panic(err)
		}
	}
}

// settling is how long a daemon runs before it is suspended: which of its parts does what
// first in its first moment is chance, and then the same life would say other lines.
const settling = 50 * time.Millisecond

// suspend is SIGSTOP and SIGCONT: meanwhile the daemon asks nothing and says
// nothing.
func (k *keeper) suspend(d time.Duration, over <-chan struct{}) {
	w := k.life.world
	wait(settling-time.Since(k.started), over)
	w.tell("the daemon is suspended for %v", d)
	frozen := make(chan struct{})
	k.mu.Lock()
	k.frozen, k.waiting = frozen, map[string]int{}
	at := len(k.down)
	k.down = append(k.down, span{from: time.Now()})
	k.mu.Unlock()
	wait(d, over)
	k.mu.Lock()
	k.frozen, k.thawed = nil, time.Now()
	k.down[at].to = time.Now()
	k.mu.Unlock()
	close(frozen)
	w.tell("the daemon goes on")
	pass(time.Millisecond) // all parts go on before the next strike
}

// gate holds up a part of the daemon that is suspended. The one part goes on
// before the other, and of two calls about one part the one that came first, always in
// the same order.
func (k *keeper) gate(part string) {
	const apart = 100 * time.Microsecond
	k.mu.Lock()
	frozen, before := k.frozen, k.waiting[part]
	if frozen != nil {
		k.waiting[part]++
	}
	k.mu.Unlock()
	if frozen != nil {
		<-frozen
		pass(time.Duration(before)*apart + time.Duration(digest(part)%uint64(apart)))
	}
}

// suffer plays what befalls the daemon, in order, until the story is over.
func (k *keeper) suffer(strikes []strike, over <-chan struct{}) {
	w := k.life.world
	for _, s := range inOrder(strikes) {
		if !wait(s.At-time.Since(w.began), over) {
			return
		}
		switch s.Kind {
		case kill:
			w.tell("the daemon is killed, for %v", s.Down)
			k.kill()
		case reload:
			w.tell("the daemon is stopped in order, for %v", s.Down)
			k.end()
		case suspend:
			k.suspend(s.Down, over)
			continue
		}
		wait(s.Down, over)
		w.tell("the daemon is started")
		k.start()
		pass(time.Millisecond) // all parts run before the next strike
	}
}

// files are those below a directory; none if there is no directory.
func files(dir string) []string {
	var all []string
	_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, p)
		}
		return nil
	})
	return all
}

func sizes(dir string) map[string]int64 {
	all := map[string]int64{}
	for _, p := range files(dir) {
		if info, err := os.Stat(p); err == nil {
			all[p] = info.Size()
		}
	}
	return all
}

func readFiles(dir string) map[string][]byte {
	all := map[string][]byte{}
	for _, p := range files(dir) {
		data, err := os.ReadFile(p)
		if err != nil {
			panic(err)
		}
		all[p] = data
	}
	return all
}

// writeFiles has a directory hold these files and no other.
func writeFiles(dir string, all map[string][]byte) {
	for _, p := range files(dir) {
		if _, kept := all[p]; !kept {
			_ = os.Remove(p)
		}
	}
	for p, data := range all {
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			panic(err)
		}
		if err := os.WriteFile(p, data, 0o600); err != nil {
			panic(err)
		}
	}
}

// lately reports whether the daemon is suspended, or was a moment ago.
func (k *keeper) lately() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.frozen != nil || time.Since(k.thawed) < time.Second
}

// diagnostics takes what the daemon says of itself into the story, but for that
// which depends on whether an answer or its deadline is seen first, if both came
// while the daemon was suspended.
type diagnostics struct{ keeper *keeper }

func (*diagnostics) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (d *diagnostics) Handle(_ context.Context, r slog.Record) error {
	if d.keeper.lately() {
		return nil
	}
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	d.keeper.life.world.tell("(the daemon: %s)", text)
	return nil
}

func (d *diagnostics) WithAttrs([]slog.Attr) slog.Handler { return d }
func (d *diagnostics) WithGroup(string) slog.Handler      { return d }
