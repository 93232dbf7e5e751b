package sim

import (
	"flag"
	"slices"
	"strings"
	"testing"
)

var mutantLives = flag.Uint64("sim.mutants", 0, "how many lives a mutant may live before it is found out: make sim-mutants")

// TestMutants breaks the daemon in one way after the other: that rule of the
// judge which it breaks finds it out within so many lives, of a seed at which
// the daemon as it ships is clean.
func TestMutants(t *testing.T) {
	if *mutantLives == 0 {
		t.Skip("plays some thousand lives: make sim-mutants")
	}
	const seed = 11
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for n := uint64(1); n <= *mutantLives; n++ {
				s := draw(seed, n)
				res := play(t, s, m)
				if !slices.Contains(rulesOf(res.faults), m.rule) {
					continue
				}
				if clean := play(t, s, mutant{}); slices.Contains(rulesOf(clean.faults), m.rule) {
					continue // as it ships, it does that too
				}
				t.Logf("found out in life %d by %v", n, rulesOf(res.faults))
				return
			}
			t.Errorf("it lived for %d lives, and %s was not noticed", *mutantLives, m.rule)
		})
	}
}

// TestEveryRuleIsBroken by some mutant: what is never broken proves nothing.
func TestEveryRuleIsBroken(t *testing.T) {
	for _, rule := range rules() {
		if !slices.ContainsFunc(mutants(), func(m mutant) bool { return m.rule == rule }) {
			t.Errorf("no mutant breaks %s", rule)
		}
	}
}

// rules are those that the judge names.
func rules() []string {
	return strings.Fields(`known opening cause after-end step truth total percent monotone false-completed false-interrupted
		false-ended false-stalled false-removed moving keepalive silence twice hasty open
		no-opening no-keepalive no-completed no-interrupted no-ended no-stalled no-removed wrong-verdict`)
}
