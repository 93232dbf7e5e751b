package sim

import (
	"flag"
	"testing"
)

var mutantLives = flag.Uint64("sim.mutants", 120, "how many lives a mutant may live before it is found out")

// TestMutants breaks the daemon in one way after the other: each is found out
// within so many lives, of a seed at which the daemon as it ships is clean.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays some thousand lives")
	}
	const seed = 11
	clean := map[uint64]bool{}
	for n := uint64(1); n <= *mutantLives; n++ {
		res := play(t, draw(seed, n), mutant{})
		if clean[n] = len(res.faults) == 0; !clean[n] {
			t.Logf("life %d of seed %d is bad without any mutation: %v", n, seed, rulesOf(res.faults))
		}
	}
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for n := uint64(1); n <= *mutantLives; n++ {
				if !clean[n] {
					continue
				}
				if res := play(t, draw(seed, n), m); len(res.faults) > 0 {
					t.Logf("found out in life %d by %v", n, rulesOf(res.faults))
					return
				}
			}
			t.Errorf("it lived for %d lives and nothing was noticed", *mutantLives)
		})
	}
}
