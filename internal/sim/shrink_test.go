package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// shrink looks for the smallest story in which a rule is still broken: it
// leaves one part after the other out, as long as it stays so.
func shrink(t *testing.T, res result, name string) result {
	t.Helper()
	end := time.Now().Add(20 * time.Second)
	for progress := true; progress; {
		progress = false
		for _, smaller := range parts(res.story) {
			if time.Now().After(end) {
				return res
			}
			again := play(t, smaller, mutant{})
			if slices.Contains(namesOf(again.faults), name) || slices.Contains(rulesOf(again.faults), name) {
				res, progress = again, true
				break
			}
		}
	}
	return res
}

// parts are the stories that lack one part of a story.
func parts(s story) []story {
	var all []story
	for i := range s.Repos {
		if len(s.Repos) > 1 {
			c := clone(s)
			c.Repos = slices.Delete(c.Repos, i, i+1)
			all = append(all, c)
		}
	}
	for i := range s.Strikes {
		c := clone(s)
		c.Strikes = slices.Delete(c.Strikes, i, i+1)
		all = append(all, c)
	}
	for i := range s.Ills {
		c := clone(s)
		c.Ills = slices.Delete(c.Ills, i, i+1)
		all = append(all, c)
	}
	change := func(do func(*story)) {
		c := clone(s)
		do(&c)
		all = append(all, c)
	}
	if s.Setup != shippedSetup() {
		change(func(c *story) { c.Setup = shippedSetup() })
	}
	if s.Disk != localDisk {
		change(func(c *story) { c.Disk = localDisk })
	}
	if s.Events != allEvents {
		change(func(c *story) { c.Events = allEvents })
	}
	if s.Hidden {
		change(func(c *story) { c.Hidden = false })
	}
	for i, r := range s.Repos {
		for k := range r.Acts {
			all = append(all, actParts(s, i, k)...)
		}
		if r.Local {
			change(func(c *story) { c.Repos[i].Local = false })
		}
	}
	return all
}

// actParts are the stories in which one act is left out, or is a simpler one.
func actParts(s story, i, k int) []story {
	var all []story
	c := clone(s)
	c.Repos[i].Acts = slices.Delete(c.Repos[i].Acts, k, k+1)
	if len(c.Repos[i].Acts) > 0 {
		all = append(all, c)
	}
	a := s.Repos[i].Acts[k]
	change := func(when bool, do func(*act)) {
		if when {
			c := clone(s)
			do(&c.Repos[i].Acts[k])
			all = append(all, c)
		}
	}
	change(a.Renew, func(a *act) { a.Renew = false })
	change(a.Client.Fate != finishes, func(a *act) { a.Client.Fate, a.Client.DieAtByte, a.Client.DieAtStep = finishes, 0, 0 })
	change(a.Client.StopFor > 0, func(a *act) { a.Client.StopFor, a.Client.StopAfter = 0, 0 })
	change(a.Client.Hub != hubMood{}, func(a *act) { a.Client.Hub = hubMood{} })
	change(a.Client.Stays > 0, func(a *act) { a.Client.Stays = 0 })
	change(a.Client.RemovesLocks, func(a *act) { a.Client.RemovesLocks = false })
	change(a.Client.Force, func(a *act) { a.Client.Force = false })
	change(len(a.Client.Include) > 0 && a.Client.By != serving, func(a *act) { a.Client.Include = nil })
	change(a.Client.Single != "", func(a *act) { a.Client.Single = "" })
	return all
}

func clone(s story) story {
	s.Strikes, s.Ills, s.Repos = slices.Clone(s.Strikes), slices.Clone(s.Ills), slices.Clone(s.Repos)
	for i := range s.Repos {
		s.Repos[i].Acts = slices.Clone(s.Repos[i].Acts)
	}
	return s
}

// TestShrink looks for the smallest story of one life that breaks a rule.
func TestShrink(t *testing.T) {
	if *number == 0 || *rule == "" {
		t.Skip("it needs -sim.seed, -sim.life and -sim.rule")
	}
	res := play(t, draw(*seed, *number), mutant{})
	if !slices.Contains(rulesOf(res.faults), *rule) {
		t.Fatalf("life %d of seed %d breaks %v", *number, *seed, rulesOf(res.faults))
	}
	small := shrink(t, res, *rule)
	fmt.Printf("%s\nplay it: make sim SIMSTORY=%s\n", small.text, writeStory(small.story))
}
