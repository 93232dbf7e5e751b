package sim

import (
	"math/rand/v2"
	"time"

	"progressd/hfcache"
)

// A story is all that is decided about a life before it begins. It is data: a
// part can be left out, and the rest goes as before.
type story struct {
	Seed, Number uint64
	Setup        setup
	Disk         diskKind
	Events       eventMode
	Hidden       bool `json:",omitempty"` // processes are (hidepid)
	Repos        []repoStory
	Strikes      []strike `json:",omitempty"`
	Ills         []ill    `json:",omitempty"`
}

// A diskKind is what the cache lies on.
type diskKind string

// The kinds of disks.
const (
	localDisk  diskKind = "ext4"
	coarseDisk diskKind = "coarse time stamps"
	nfs        diskKind = "nfs"
	rclone     diskKind = "rclone"
	linkless   diskKind = "no symlinks"
	smallDisk  diskKind = "small"
)

// An eventMode is what becomes of file system events.
type eventMode string

// The modes of events.
const (
	allEvents  eventMode = "events"
	noEvents   eventMode = "poll alone"
	someEvents eventMode = "events lost at random"
)

// A repoStory is what happens to one repository.
type repoStory struct {
	Seed    uint64
	Shape   shape
	Dataset bool `json:",omitempty"`
	Local   bool `json:",omitempty"`
	After   time.Duration
	Acts    []act
}

// An act is one thing that happens to a repository.
type act struct {
	Kind deedKind
	// Gap is from the end of the act before, or with Beside from its beginning.
	Gap    time.Duration
	Beside bool `json:",omitempty"`
	// Renew: a new revision was published right before.
	Renew  bool `json:",omitempty"`
	Client plan `json:",omitzero"`
}

// A deedKind is what kind of act it is.
type deedKind string

// The kinds of acts.
const (
	download   deedKind = "download"
	remove     deedKind = "rm -rf"
	prune      deedKind = "hf cache prune"
	renameAway deedKind = "rename"
	renameBack deedKind = "rename back"
	copyIn     deedKind = "copy in"
	copyPart   deedKind = "copy in, cut off"
	lockUp     deedKind = "chmod 000"
	lateBlocks deedKind = "blocks after death"
)

// A strike is what befalls the daemon.
type strike struct {
	At   time.Duration
	Kind strikeKind
	Down time.Duration `json:",omitempty"`
}

// A strikeKind is how the daemon is ended, or held up.
type strikeKind string

// The kinds of strikes.
const (
	kill    strikeKind = "killed"
	reload  strikeKind = "reloaded"
	suspend strikeKind = "suspended"
)

// An ill is what befalls the root for a while.
type ill struct {
	At   time.Duration
	Kind illKind
	For  time.Duration
}

// An illKind is what is wrong with the root.
type illKind string

// The ills of a root.
const (
	unmounted illKind = "unmounted"
	brokenIO  illKind = "EIO"
	hanging   illKind = "hangs"
	setAhead  illKind = "clock an hour ahead"
	setBack   illKind = "clock an hour back"
)

// draw makes up the story of a life.
func draw(seed, number uint64) story {
	rng := random(seed, "story", number)
	s := story{Seed: seed, Number: number, Setup: drawSetup(rng)}
	s.Disk = pick(rng, []choice[diskKind]{
		{70, localDisk}, {6, coarseDisk}, {8, nfs}, {4, rclone}, {6, linkless}, {4, smallDisk},
	})
	s.Events = pick(rng, []choice[eventMode]{{70, allEvents}, {15, noEvents}, {15, someEvents}})
	s.Hidden = chance(rng, 1, 25)
	count := pick(rng, []choice[int]{{65, 1}, {25, 2}, {10, 3}})
	for i := range count {
		s.Repos = append(s.Repos, drawRepo(random(seed, "repo", number, i), s.Disk))
	}
	if chance(rng, 1, 3) {
		for range 1 + rng.IntN(4) {
			s.Strikes = append(s.Strikes, strike{
				At:   between(rng, time.Second, oneOf(rng, time.Minute, 5*time.Minute, 20*time.Minute)),
				Kind: pick(rng, []choice[strikeKind]{{6, kill}, {2, reload}, {2, suspend}}),
				Down: oneOf(rng, 0, between(rng, 0, 3*time.Second), between(rng, 0, 2*time.Minute), between(rng, 0, 15*time.Minute)),
			})
		}
	}
	if chance(rng, 1, 8) {
		s.Ills = append(s.Ills, ill{
			At:   between(rng, time.Second, 5*time.Minute),
			Kind: pick(rng, []choice[illKind]{{3, unmounted}, {2, brokenIO}, {1, hanging}, {1, setAhead}, {1, setBack}}),
			For:  oneOf(rng, between(rng, 100*time.Millisecond, 5*time.Second), between(rng, 0, 2*time.Minute), between(rng, 0, 12*time.Minute)),
		})
		// A clock that is set is another machine's: of one of its own the daemon
		// sees that by its own time, which can't be set here.
		if k := s.Ills[0].Kind; (k == setAhead || k == setBack) && s.Disk != rclone {
			s.Disk = nfs
		}
	}
	return s
}

// A choice is a value and how often it is drawn.
type choice[T any] struct {
	weight int
	value  T
}

func pick[T any](rng *rand.Rand, choices []choice[T]) T {
	sum := 0
	for _, c := range choices {
		sum += c.weight
	}
	n := rng.IntN(sum)
	for _, c := range choices {
		if n -= c.weight; n < 0 {
			return c.value
		}
	}
	return choices[0].value
}

// habitWeights are how often a client is met; those that aren't named count 2.
var habitWeights = map[string]int{
	"huggingface_hub >= 1.22": 10, "huggingface_hub >= 1.22 with hf_xet >= 1.3": 6,
	"huggingface_hub 1.18 to 1.21": 6, "huggingface_hub 0.36 to 1.17": 6, "huggingface_hub 0.23 to 0.35": 4,
}

func drawHabit(rng *rand.Rand, may func(hfcache.Habit) bool) hfcache.Habit {
	var choices []choice[hfcache.Habit]
	for _, h := range hfcache.Habits {
		if weight := habitWeights[h.Name]; may(h) {
			choices = append(choices, choice[hfcache.Habit]{max(weight, 2), h})
		}
	}
	return pick(rng, choices)
}

// drawRepo makes up what happens to a repository.
func drawRepo(rng *rand.Rand, disk diskKind) repoStory {
	r := repoStory{Seed: rng.Uint64(), After: between(rng, 2*time.Second, 40*time.Second)}
	r.Shape = pick(rng, []choice[shape]{
		{40, shaped}, {10, plain}, {12, adapter}, {12, corpus}, {3, cardOnly}, {10, quantized}, {10, withExtras}, {1, manySmall},
	})
	r.Dataset = r.Shape == corpus || r.Shape == cardOnly || r.Shape == manySmall
	r.Local = chance(rng, 1, 7)
	may := func(h hfcache.Habit) bool {
		links := disk != linkless || h.Has(hfcache.Commands)
		return links && (!r.Local || h.LocalName != hfcache.NoLocal)
	}
	d := drawer{rng: rng, repo: &r, habit: drawHabit(rng, may), may: may}
	for range 1 + rng.IntN(pick(rng, []choice[int]{{6, 1}, {3, 2}, {1, 4}})) {
		d.scene()
	}
	return r
}

// A drawer makes up the acts of a repository.
type drawer struct {
	rng   *rand.Rand
	repo  *repoStory
	habit hfcache.Habit
	may   func(hfcache.Habit) bool
}

func (d *drawer) add(a act) { d.repo.Acts = append(d.repo.Acts, a) }

// gap is how long nothing happens.
func (d *drawer) gap() time.Duration {
	rng := d.rng
	return pick(rng, []choice[time.Duration]{
		{3, 0}, {3, between(rng, 0, 3*time.Second)}, {3, between(rng, 0, 45*time.Second)}, {2, between(rng, 0, 3*time.Minute)},
		{1, between(rng, 10*time.Minute, 20*time.Minute)},
	})
}

// client makes up how one goes about it.
func (d *drawer) client() plan {
	rng := d.rng
	if chance(rng, 1, 5) {
		d.habit = drawHabit(rng, d.may)
	}
	p := plan{
		Seed: rng.Uint64(), Habit: d.habit.Name, By: script, RemovesLocks: chance(rng, 1, 5) && d.habit.Has(hfcache.Commands),
		Rate:  oneOf(rng, int64(2_000_000), 8_000_000, 20_000_000, 60_000_000, 200_000_000),
		Chunk: 10 << 20, Burst: oneOf(rng, int64(30_000_000), 200_000_000, 800_000_000), Ahead: oneOf(rng, 4, 16, 100),
	}
	if d.habit.Has(hfcache.Commands) && chance(rng, 2, 3) {
		p.By = command
	}
	if d.habit.Name == "llama.cpp" && d.repo.Shape == quantized {
		p.By, p.Include = serving, []string{"*Q4_K_M.gguf"}
	}
	if p.By == script && chance(rng, 1, 4) {
		p.Stays = oneOf(rng, between(rng, time.Second, time.Minute), between(rng, time.Second, 3*time.Minute), between(rng, time.Second, 15*time.Minute))
	}
	return p
}
