package watcher

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"progressd/account"
)

// Whatever comes and goes, settled or not, a folder is found if and only if it
// is there, and each is in the order once.
func TestTheIndexFindsWhatIsThere(t *testing.T) {
	r := &runner{root: Root{Path: "/hub"}, mailbox: newMailbox(account.Unknown)}
	x, there := newIndex(), make(map[string]*repo)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		folder := fmt.Sprintf("models--o--%d", rng.IntN(60))
		p := there[folder]
		switch {
		case rng.IntN(10) == 0:
			x.settle()
		case p == nil:
			there[folder] = r.newRepo(folder, 1)
			x.add(there[folder])
		default:
			if rng.IntN(2) == 0 {
				x.at(p, time.Duration(rng.IntN(100)))
			}
			x.remove(p)
			delete(there, folder)
		}
		if got := x.find([]byte(folder)); got != there[folder] {
			t.Fatalf("%s is found as %v, want %v", folder, got, there[folder])
		}
		if x.len() != len(there) {
			t.Fatalf("it has %d, want %d", x.len(), len(there))
		}
	}
	x.settle()
	if len(x.order) != len(there) || len(x.due) != 0 {
		t.Errorf("%d are in the order, %d are due, want %d and none", len(x.order), len(x.due), len(there))
	}
	for i, p := range x.order {
		if there[p.folder()] != p || i > 0 && x.order[i-1].folder() >= p.folder() {
			t.Errorf("place %d: %s", i, p.folder())
		}
	}
}

// A repository that was visited long ago takes no more memory than one that
// never was, and nothing is forgotten before its time.
func TestAPlanIsKeptAsLongAsItSaysSomething(t *testing.T) {
	r := &runner{root: Root{Path: "/hub"}, mailbox: newMailbox(account.Unknown)}
	p := r.newRepo("models--a--b", 1)
	p.looked = true
	const start, end = 10 * time.Second, 11 * time.Second
	p.pay(start, end, end-start, 5*time.Second)
	owed := p.plan.paid
	for _, tt := range []struct {
		at   time.Duration
		kept bool
	}{{end, true}, {owed - 1, true}, {owed, false}} {
		if p.settle(tt.at); (p.plan != nil) != tt.kept {
			t.Errorf("at %v, with looks owed until %v: kept %v", tt.at, owed, p.plan != nil)
		}
	}
	x := newIndex()
	x.at(p, time.Hour)
	p.settle(time.Hour)
	if p.plan == nil {
		t.Error("a visit that is due was forgotten")
	}
	local := r.newLocal("model", 1, 0)
	local.settle(time.Hour)
	if local.plan == nil {
		t.Error("when a local one appeared was forgotten")
	}
}

func TestPlansOfTheVisitedAreDroppedAsTheyRunOut(t *testing.T) {
	r := &runner{root: Root{Path: "/hub"}, mailbox: newMailbox(account.Unknown)}
	x := newIndex()
	for _, rest := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		p := r.newRepo(fmt.Sprintf("models--o--%v", rest), 1)
		p.planned().rest = rest
		x.visited = append(x.visited, p)
	}
	due := x.visited[1]
	x.at(due, time.Hour)
	all := slices.Clone(x.visited)
	x.retire(3 * time.Second)
	if all[0].plan != nil || due.plan == nil || all[2].plan == nil {
		t.Error("after 3 s the one of 1 s has a plan, or what is due or rests until 4 s has none")
	}
	if len(x.visited) != 1 || x.visited[0] != all[2] {
		t.Errorf("%d are left", len(x.visited))
	}
}

// spinningLooker uses that much of a processor in each look.
type spinningLooker struct{ used *time.Duration }

func (l spinningLooker) Came(string, time.Time) {}

func (l spinningLooker) Stirred(context.Context) ([]string, bool) { return nil, false }

func (l spinningLooker) Look(context.Context, string, func() time.Duration) Pace {
	for end := processorTime() + *l.used; processorTime() < end; {
	}
	return Idle
}

func TestACostlyLookIsToldOf(t *testing.T) {
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	age(t, root, "models--a--b", "blobs")
	age(t, root)
	r := restingRunner(t, root)
	told, use := 0, time.Duration(0)
	r.opts.AfterCostly = func() { told++ }
	r.looker = spinningLooker{&use}
	p := r.index.order[0]
	if r.look(t.Context(), p); told != 0 {
		t.Error("a cheap look was told of")
	}
	use = costly
	if r.look(t.Context(), p); told != 1 {
		t.Errorf("a costly look was told of %d times", told)
	}
}

// restingLooker takes a second of a processor, as a runner counts it, and asks how long
// is rested then.
type restingLooker struct {
	spinningLooker
	used, rest *time.Duration
}

func (l restingLooker) Look(_ context.Context, _ string, rest func() time.Duration) Pace {
	*l.used += 10 * time.Second
	*l.rest = rest()
	return Idle
}

func TestALookerIsToldForHowLongItRests(t *testing.T) {
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	r := restingRunner(t, root)
	var used, rest time.Duration
	r.opts.ProcessorTime = func() time.Duration { return used }
	r.looker = restingLooker{used: &used, rest: &rest}
	p := r.index.order[0]
	r.look(t.Context(), p)
	r.look(t.Context(), p)
	want := 2*(lookShare+1)*10*time.Second - credit
	if got := p.plan.rest - r.now(); rest < want-time.Second || rest > want || got > rest {
		t.Errorf("it is told %v and rests for %v, want %v", rest, got, want)
	}
	if r.looking.used.Round(time.Second) != 20*time.Second {
		t.Errorf("%v are counted for the looks, want each once", r.looking.used)
	}
}

// Nothing that takes a processor has more than a tenth of it. Time alone counts no more
// than a poll: who was suspended for an hour looks again as if nothing had been.
func TestARestFollowsWhatWasUsedAndNotHowLongItTook(t *testing.T) {
	const poll = 5 * time.Second
	for name, tt := range map[string]struct {
		effort
		want time.Duration
	}{
		"a second of a core":      {effort{time.Second, time.Second}, 9 * time.Second},
		"a slow disk":             {effort{2 * time.Second, 10 * time.Millisecond}, 2 * time.Second},
		"suspended for an hour":   {effort{time.Hour, 10 * time.Millisecond}, poll},
		"many names, over a poll": {effort{time.Minute, 40 * time.Second}, 6 * time.Minute},
	} {
		if got := tt.rest(poll); got != tt.want {
			t.Errorf("%s: a rest of %v, want %v", name, got, tt.want)
		}
	}
	r := &runner{root: Root{Path: "/hub"}, mailbox: newMailbox(account.Unknown)}
	p := r.newRepo("models--a--b", 1)
	p.pay(0, time.Hour, time.Millisecond, poll)
	if want := time.Hour + poll; p.plan.rest != want {
		t.Errorf("after a look in which it was suspended it rests until %v, want %v", p.plan.rest, want)
	}
}
