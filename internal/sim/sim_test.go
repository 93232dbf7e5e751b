package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	lives   = flag.Int("sim.lives", 0, "how many lives to play; 0 is a few, with fixed seeds")
	seed    = flag.Uint64("sim.seed", 0, "what decides about them; 0 is another one each time")
	number  = flag.Uint64("sim.life", 0, "play this one alone and print it")
	replay  = flag.String("sim.story", "", "a file with a story to play and print")
	verbose = flag.Bool("sim.v", false, "print every life")
	twice   = flag.Uint64("sim.twice", 8, "how many lives to play twice")
	rule    = flag.String("sim.rule", "", "a rule that a life breaks, whose smallest story is wanted")
	tally   = flag.Bool("sim.tally", false, "print a line for each rule that a life breaks")
	asis    = flag.Bool("sim.noshrink", false, "don't look for the smallest story that fails")
)

// A result is what came of a life.
type result struct {
	story  story
	faults []fault
	text   string // the story beside the lines
	logs   string
	lines  int
	took   time.Duration // of the life's time
	calls  int
	broken string // why it couldn't be played to its end
}

// play plays a story in a bubble of its own.
func play(t *testing.T, s story, m mutant) (res result) {
	t.Helper()
	dir := scratch(t)
	defer os.RemoveAll(dir)
	res.story = s
	defer func() {
		if cause := recover(); cause != nil {
			res.broken = fmt.Sprintf("%v\n%s", cause, bubbled())
			res.text += res.broken
			res.faults = append(res.faults, fault{rule: "broken", text: fmt.Sprint(cause)})
		}
	}()
	synctest.Test(t, func(*testing.T) {
		l := newLife(s, dir, m)
		l.play()
		synctest.Wait()
		res.took, res.calls = time.Since(l.world.began), l.world.fs.Calls()
		res.faults = judgeLife(l)
		res.logs, res.lines = l.logs(), len(l.daemon.said.all())
		if len(res.faults) > 0 || *verbose || *number > 0 || *replay != "" {
			res.text = l.print(res.faults)
		}
	})
	return res
}

// bubbled are the goroutines that are in a bubble still.
func bubbled() string {
	buf := make([]byte, 4<<20)
	var all []string
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if head, _, _ := strings.Cut(g, "\n"); strings.Contains(head, "synctest bubble") {
			all = append(all, g)
		}
	}
	return strings.Join(all, "\n\n")
}

// scratch is a directory for state and logs, in memory where there is one.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "progressd-sim-") //nolint:usetesting // in memory, and gone with its life
	if err != nil {
		dir, err = os.MkdirTemp("", "progressd-sim-") //nolint:usetesting // gone with its life
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLives plays many lives, a few where no number is given.
func TestLives(t *testing.T) {
	count, from := *lives, *seed
	switch {
	case *replay != "":
		playOne(t, readStory(t, *replay))
		return
	case *number > 0:
		playOne(t, draw(from, *number))
		return
	case count == 0:
		count, from = 20, 2 // none of them has ten thousand files: those take longer than all others together
	case from == 0:
		from = rand.Uint64N(1_000_000_000)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	began := time.Now()
	var mu sync.Mutex
	var sum result
	lines, bad, seen := 0, map[string][]uint64{}, map[*knownFault][]uint64{}
	var worst []result
	workers := runtime.GOMAXPROCS(0)
	t.Run("workers", func(t *testing.T) {
		for w := range workers {
			t.Run(fmt.Sprint(w), func(t *testing.T) {
				t.Parallel()
				for n := uint64(w) + 1; n <= uint64(count); n += uint64(workers) {
					res := play(t, draw(from, n), mutant{})
					mu.Lock()
					sum.took += res.took
					sum.calls += res.calls
					lines += res.lines
					for _, f := range res.faults {
						if k := f.known(); k != nil && !slices.Contains(seen[k], n) {
							seen[k] = append(seen[k], n)
							if *tally {
								fmt.Println("~", res.story.summary(f.name()))
							}
						}
					}
					names := namesOf(news(res.faults))
					for _, name := range names {
						if *tally {
							fmt.Println(res.story.summary(name))
						}
						bad[name] = append(bad[name], n)
						if len(bad[name]) <= 1 {
							worst = append(worst, res)
						}
					}
					if len(names) > 0 {
						bad["(lives)"] = append(bad["(lives)"], n)
					}
					mu.Unlock()
				}
			})
		}
	})
	fmt.Printf("seed %d: %d lives, %v of their time, %d calls of the kernel, %d lines, in %v\n",
		from, count, sum.took.Round(time.Second), sum.calls, lines, time.Since(began).Round(time.Millisecond))
	for i := range knownFaults {
		if k := &knownFaults[i]; len(seen[k]) > 0 {
			fmt.Printf("known, in %d lives: %s (%s)\n", len(seen[k]), k.why, k.special)
		}
	}
	if len(bad) > 0 {
		report(t, from, bad, worst)
	}
}

// rulesOf are the rules that were broken, each once.
func rulesOf(faults []fault) []string {
	var rules []string
	for _, f := range faults {
		if !slices.Contains(rules, f.rule) {
			rules = append(rules, f.rule)
		}
	}
	return rules
}

// namesOf are the rules that were broken, with what was special, each once.
func namesOf(faults []fault) []string {
	var names []string
	for _, f := range faults {
		if !slices.Contains(names, f.name()) {
			names = append(names, f.name())
		}
	}
	return names
}

// report prints what was found: of each rule one life, and its smallest story.
func report(t *testing.T, from uint64, bad map[string][]uint64, worst []result) {
	t.Helper()
	shown := map[string]bool{}
	for _, res := range worst {
		for _, name := range namesOf(news(res.faults)) {
			if shown[name] {
				continue
			}
			shown[name] = true
			small := res
			if !*asis {
				small = shrink(t, res, name)
			}
			fmt.Printf("\n=== %s: seed %d life %d\n%s\nplay it: %s\n", name, from, res.story.Number, small.text, command1(small, res))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(bad)) {
		fmt.Printf("%-40s %4d: %v\n", name, len(bad[name]), bad[name][:min(len(bad[name]), 12)])
	}
	t.Errorf("%d lives of seed %d are bad", len(bad["(lives)"]), from)
}

// command1 says how to play it again.
func command1(small, res result) string {
	first := fmt.Sprintf("make sim SIMSEED=%d SIMLIFE=%d", res.story.Seed, res.story.Number)
	if *asis {
		return first
	}
	return first + "\nplay the smallest: make sim SIMSTORY=" + writeStory(small.story)
}

func playOne(t *testing.T, s story) {
	t.Helper()
	res := play(t, s, mutant{})
	fmt.Println(res.text, res.broken)
	for _, f := range res.faults {
		if k := f.known(); k != nil {
			t.Logf("known (%s): %s: %s", k.why, f.rule, f.text)
		} else {
			t.Errorf("%s: %s", f.rule, f.text)
		}
	}
}

func writeStory(s story) string {
	text, err := json.Marshal(s)
	if err != nil {
		return err.Error()
	}
	path := filepath.Join(os.TempDir(), fmt.Sprintf("progressd-sim-%d-%d.json", s.Seed, s.Number))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return err.Error()
	}
	return path
}

func readStory(t *testing.T, path string) (s story) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTheSameSeedGivesTheSameLines plays some lives twice and compares their
// logs to the byte.
func TestTheSameSeedGivesTheSameLines(t *testing.T) {
	for n := range *twice {
		playAgain(t, draw(3, n+1), 1)
	}
}

// TestASuspendedDaemonSaysTheSameAgain plays lives in which the daemon is suspended:
// much is due at once when it goes on. Those that are named have given other lines from
// one time to the next.
func TestASuspendedDaemonSaysTheSameAgain(t *testing.T) {
	suspended := func(s strike) bool { return s.Kind == suspend }
	for _, n := range []uint64{25, 94, 208, 319, 2136} {
		playAgain(t, draw(3, n), 4)
	}
	for n, more := uint64(1), *twice; more > 0; n++ {
		if s := draw(3, n); slices.ContainsFunc(s.Strikes, suspended) {
			playAgain(t, s, 1)
			more--
		}
	}
}

// playAgain plays a life so many times more.
func playAgain(t *testing.T, s story, times int) {
	t.Helper()
	a := strings.Split(play(t, s, mutant{}).logs, "\n")
	for range times {
		b := strings.Split(play(t, s, mutant{}).logs, "\n")
		for i := range max(len(a), len(b)) {
			if x, y := at(a, i), at(b, i); x != y {
				t.Errorf("life %d of seed %d gave\n%s\nand then\n%s", s.Number, s.Seed, x, y)
				return
			}
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}
