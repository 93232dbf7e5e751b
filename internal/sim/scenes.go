package sim

import (
	"time"
)

// scene makes up one to three acts that belong together.
func (d *drawer) scene() {
	scenes := []choice[func()]{
		{6, d.whole}, {6, d.unlucky}, {5, d.unluckyThenWhole}, {3, d.part}, {3, d.single}, {2, d.again},
		{3, d.renewed}, {3, d.two}, {3, d.stepwise}, {3, d.stopped}, {3, d.troubled}, {2, d.removed},
		{1, d.pruned}, {1, d.moved}, {1, d.copied}, {1, d.lockedUp}, {1, d.forced},
	}
	pick(d.rng, scenes)()
}

// whole: nothing bad happens.
func (d *drawer) whole() { d.add(act{Kind: download, Gap: d.gap(), Client: d.client()}) }

// fated is a client that ends before its time.
func (d *drawer) fated() plan {
	p := d.client()
	p.Fate = pick(d.rng, []choice[fate]{{3, killed}, {1, interrupted}})
	if chance(d.rng, 1, 3) {
		p.DieAtStep = 1 + d.rng.IntN(120)
	} else {
		p.DieAtByte = 1 + d.rng.Int64N(oneOf(d.rng, int64(5_000_000), 100_000_000, 1_500_000_000))
	}
	return p
}

func (d *drawer) unlucky() { d.add(act{Kind: download, Gap: d.gap(), Client: d.fated()}) }

// unluckyThenWhole: another client finishes the work, perhaps the second one.
func (d *drawer) unluckyThenWhole() {
	d.unlucky()
	if chance(d.rng, 1, 3) {
		d.unlucky()
	}
	if chance(d.rng, 1, 6) {
		d.add(act{Kind: lateBlocks, Gap: between(d.rng, 20*time.Second, 40*time.Second)})
	}
	d.whole()
}

// part: less is wanted than there is.
func (d *drawer) part() {
	p := d.client()
	if p.By != serving {
		p.Include = oneOf(d.rng, []string{"*.safetensors"}, []string{"*.json"}, []string{"*00001*", "*.json"}, []string{"*.gguf", "*.parquet", "unet/*"})
	}
	if chance(d.rng, 1, 4) {
		f := d.fated()
		p.Fate, p.DieAtByte, p.DieAtStep = f.Fate, f.DieAtByte, f.DieAtStep
	}
	d.add(act{Kind: download, Gap: d.gap(), Client: p})
}

// single: one file by its name.
func (d *drawer) single() {
	p := d.client()
	p.Include, p.Single = nil, oneOf(d.rng, "config.json", "tokenizer.json", "README.md", "model.safetensors", "model-00001-of-00002.safetensors")
	d.add(act{Kind: download, Gap: d.gap(), Client: p})
}

// again: all is there.
func (d *drawer) again() {
	d.whole()
	d.whole()
}

// renewed: a new revision shares files with the one before.
func (d *drawer) renewed() {
	first := oneOf(d.rng, d.whole, d.unlucky)
	first()
	d.add(act{Kind: download, Gap: d.gap(), Renew: true, Client: oneOf(d.rng, d.client, d.client, d.fated)()})
	if chance(d.rng, 1, 2) {
		d.whole()
	}
}

// two clients at once, one of which may die.
func (d *drawer) two() {
	d.whole()
	first := d.repo.Acts[len(d.repo.Acts)-1].Client
	second := oneOf(d.rng, d.client, d.fated)()
	if first.Habit != second.Habit && (lockless(first.Habit) || lockless(second.Habit)) {
		return // they would spoil each other's files, of which nothing is promised
	}
	if lockless(first.Habit) {
		return
	}
	d.add(act{Kind: download, Gap: between(d.rng, 0, 20*time.Second), Beside: true, Renew: chance(d.rng, 1, 4), Client: second})
}

// stepwise: the configuration first, the weights minutes later, as loaders do.
func (d *drawer) stepwise() {
	p := d.client()
	p.Include, p.Single, p.By, p.Stays = nil, "config.json", script, 0
	d.add(act{Kind: download, Gap: d.gap(), Client: p})
	p.Seed, p.Single = d.rng.Uint64(), "tokenizer.json"
	d.add(act{Kind: download, Gap: between(d.rng, 0, 20*time.Second), Client: p})
	p.Seed, p.Single, p.Include = d.rng.Uint64(), "", []string{"*.safetensors", "*.json"}
	d.add(act{Kind: download, Gap: between(d.rng, time.Second, 5*time.Minute), Client: p})
}

// stopped: SIGSTOP for seconds, or longer than a stall takes.
func (d *drawer) stopped() {
	p := d.client()
	p.StopAfter = between(d.rng, 0, time.Minute)
	p.StopFor = oneOf(d.rng, between(d.rng, time.Second, 30*time.Second), between(d.rng, 0, 10*time.Minute), between(d.rng, 10*time.Minute, 20*time.Minute))
	d.add(act{Kind: download, Gap: d.gap(), Client: p})
}

// troubled: something goes wrong at the hub.
func (d *drawer) troubled() {
	p := d.client()
	at := 1 + d.rng.Int64N(oneOf(d.rng, int64(5_000_000), 300_000_000))
	switch d.rng.IntN(5) {
	case 0:
		p.Hub = hubMood{After: 1 + d.rng.IntN(5), Refuses: true}
	case 1:
		p.Hub = hubMood{After: 1 + d.rng.IntN(5), Wait: between(d.rng, 5*time.Second, 300*time.Second)}
	case 2:
		p.Hub = hubMood{AtByte: at, Stall: oneOf(d.rng, between(d.rng, time.Second, time.Minute), between(d.rng, time.Minute, 20*time.Minute))}
	case 3:
		p.Hub = hubMood{AtByte: at, Cuts: true}
	default:
		p.Hub = hubMood{IgnoresRange: true}
		d.unlucky()
	}
	if d.repo.Shape == cardOnly {
		p.Hub = hubMood{After: 2, Refuses: true}
	}
	d.add(act{Kind: download, Gap: d.gap(), Client: p})
	if chance(d.rng, 1, 2) {
		d.whole()
	}
}

// removed: rm -rf, at rest or while it is downloaded, and perhaps once more.
func (d *drawer) removed() {
	oneOf(d.rng, d.whole, d.unlucky)()
	d.add(act{Kind: remove, Gap: between(d.rng, 0, 90*time.Second), Beside: chance(d.rng, 1, 3)})
	if chance(d.rng, 1, 2) {
		d.whole()
	}
}

// pruned: partials are taken away under a client.
func (d *drawer) pruned() {
	d.whole()
	d.add(act{Kind: prune, Gap: between(d.rng, 0, 40*time.Second), Beside: true})
}

// moved: the folder is renamed aside, and perhaps back.
func (d *drawer) moved() {
	oneOf(d.rng, d.whole, d.unlucky)()
	d.add(act{Kind: renameAway, Gap: d.gap(), Beside: chance(d.rng, 1, 4)})
	if chance(d.rng, 1, 2) {
		d.add(act{Kind: renameBack, Gap: d.gap()})
	}
}

// copied: files are brought by rsync or scp.
func (d *drawer) copied() {
	d.add(act{Kind: oneOf(d.rng, copyIn, copyPart), Gap: d.gap(), Client: d.client()})
	if chance(d.rng, 1, 3) {
		d.whole()
	}
}

// lockedUp: nobody may read the folder for a while.
func (d *drawer) lockedUp() {
	d.whole()
	d.add(act{Kind: lockUp, Gap: between(d.rng, 0, 40*time.Second), Beside: true})
}

// forced: what is there is fetched once more.
func (d *drawer) forced() {
	d.whole()
	p := oneOf(d.rng, d.client, d.fated)()
	p.Force = p.By == command
	d.add(act{Kind: download, Gap: d.gap(), Client: p})
}

func lockless(habit string) bool {
	return habit == "huggingface.js" || habit == "llama.cpp" || habit == "Rust hf-hub <= 0.3" || habit == "Rust hf-hub <= 0.3 on tokio"
}
