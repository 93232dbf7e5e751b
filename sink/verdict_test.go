package sink

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"progressd/tracker"
)

// errKilled is what a killed daemon's test panics with.
var errKilled = errors.New("killed")

// killer kills at a step: each disk operation has one before and one after.
type killer struct {
	*memory
	// left counts down to the kill.
	left int
	// torn is how much of a line reaches the disk in a write that is
	// killed, -1 for none: the kill comes at a step.
	torn int
}

func (k *killer) step() {
	k.left--
	if k.left == 0 {
		panic(errKilled)
	}
}

func (k *killer) Placing(placements []tracker.Placement) error {
	k.step()
	defer k.step()
	return k.memory.Placing(placements)
}

func (k *killer) Written(id, sink string) {
	k.step()
	k.memory.Written(id, sink)
}

func (k *killer) write(f *os.File, b []byte) (int, error) {
	if k.torn >= 0 {
		_, _ = f.Write(b[:min(k.torn, len(b))])
		panic(errKilled)
	}
	k.step()
	defer k.step()
	return f.Write(b)
}

func (k *killer) sync(f *os.File) error {
	k.step()
	defer k.step()
	return nil
}

// live is one life of the daemon: a fresh model log over what survived.
// False if it was killed.
func live(t *testing.T, dir string, k *killer, e tracker.Event) (whole bool) {
	t.Helper()
	m := NewModelLog(dir, clock, k, (&diagnostics{}).logger())
	m.write, m.sync = k.write, k.sync
	defer func() {
		if r := recover(); r != nil && r != any(errKilled) {
			panic(r)
		}
	}()
	if err := m.Write(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	return true
}

// rotations are what may happen to a log while the daemon is down.
var rotations = map[string]func(*testing.T, string){
	"nothing":      func(*testing.T, string) {},
	"rename":       rename,
	"rm":           remove,
	"copytruncate": copyTruncate,
	"twice": func(t *testing.T, path string) {
		rename(t, path+".1")
		rename(t, path)
	},
}

// befores are what the log holds before the verdict.
var befores = map[string]string{
	"no log":            "",
	"lines":             line350,
	"a torn line":       line350 + line550[:12],
	"an older verdict":  line350 + lineDone + line350,
	"only a torn start": "[",
}

// verdictLines counts the verdict's whole lines in all files of the log,
// without those that were there before.
func verdictLines(t *testing.T, dir, before string) int {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, ocrLog+"*"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n += strings.Count("\n"+string(text), "\n"+lineDone)
		if len(text) >= len(before) && string(text[:len(before)]) == before {
			n -= strings.Count("\n"+before, "\n"+lineDone)
		}
	}
	return n
}

// testKilledAnywhere kills one life after another, at each step and with each
// length of a torn line, rotates in between, and then lets one live: exactly
// one line, confirmed once.
func testKilledAnywhere(t *testing.T) {
	for _, before := range befores {
		for rotation := range rotations {
			for _, first := range firstKills() {
				for _, second := range []int{0, 2, 4, 6} {
					k := kills{before: before, rotation: rotation, first: first, second: second}
					k.run(t, t.TempDir())
				}
			}
		}
	}
}

// steps of a verdict: before and after its note, its write, its sync, and
// before it is confirmed. A kill beyond them tears the line.
const steps = 7

func firstKills() []int {
	kills := []int{}
	for step := range steps + 1 {
		kills = append(kills, step)
	}
	// One more is the newline that ends an earlier torn line.
	for _, torn := range []int{0, 1, 20, len(lineDone) - 1, len(lineDone), len(lineDone) + 1} {
		kills = append(kills, steps+1+torn)
	}
	return kills
}

// kills is one case.
type kills struct {
	before, rotation string
	first, second    int
}

func (c kills) run(t *testing.T, dir string) {
	path := filepath.Join(dir, ocrLog)
	if c.before != "" {
		if err := os.WriteFile(path, []byte(c.before), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	survives := newMemory()
	e := event(tracker.Completed, "e1")
	k := &killer{memory: survives, left: c.first, torn: -1}
	if c.first > steps {
		k.torn = c.first - steps - 1
	}
	over, want := live(t, dir, k, e), 1
	if over && c.rotation == "rm" {
		want = 0
	}
	rotations[c.rotation](t, path)
	// A verdict that is confirmed is never told again.
	if !over {
		over = live(t, dir, &killer{memory: survives, left: c.second, torn: -1}, e)
	}
	if !over && !live(t, dir, &killer{memory: survives, torn: -1}, e) {
		t.Fatalf("%+v: killed by nobody", c)
	}
	if n := verdictLines(t, dir, c.before); n != want {
		t.Fatalf("%+v: %d lines, want %d", c, n, want)
	}
	if survives.written["e1 log"] != 1 {
		t.Fatalf("%+v: confirmed %d times", c, survives.written["e1 log"])
	}
}

func TestVerdictIsWrittenAlthoughItCannotBeNoted(t *testing.T) {
	out := newMemory()
	out.broken = errors.New("read-only")
	m, d := newLog(t, out)
	m.sync = func(*os.File) error { return errors.New("input/output error") }
	if err := m.Write(context.Background(), event(tracker.Completed, "e1")); err == nil {
		t.Fatal("no error although the line isn't safe")
	}
	m.sync = (*os.File).Sync
	write(t, m, event(tracker.Completed, "e1"), event(tracker.Ended, "e2"))
	wantFile(t, filepath.Join(m.dir, ocrLog), lineDone+"[10:01:15 PM] [INFO] Download ended: 0B in 0 files\n")
	if d.count("WARN") != 1 {
		t.Errorf("said %q", d.text.String())
	}
	if out.written["e1 log"] != 1 || out.written["e2 log"] != 1 {
		t.Errorf("confirmed: %v", out.written)
	}
}

// Several verdicts make one note in the state directory, and one that can't be
// written holds up no other.
func TestVerdictsOfSeveralLogsAreNotedAtOnce(t *testing.T) {
	out := newMemory()
	m, _ := newLog(t, out)
	var events []tracker.Event
	for _, name := range []string{"a", "b", "c"} {
		e := event(tracker.Completed, name)
		e.Log = name + ".log"
		events = append(events, e)
	}
	if err := errors.Join(os.MkdirAll(filepath.Join(m.dir, "b.log"), 0o755), os.WriteFile(filepath.Join(m.dir, "c.log"), []byte(line350), 0o644)); err != nil {
		t.Fatal(err)
	}
	errs := m.WriteAll(context.Background(), append(events, progressOf(550e6), tracker.Event{Kind: tracker.RootGone}))
	if errs[0] != nil || !refused(errs[1]) || errs[2] != nil || errs[3] != nil || errs[4] != nil {
		t.Errorf("got %v", errs)
	}
	if out.syncs != 1 || out.written["a log"] != 1 || out.written["b log"] != 0 || out.written["c log"] != 1 {
		t.Errorf("noted %d times, confirmed %v", out.syncs, out.written)
	}
	wantFile(t, filepath.Join(m.dir, "a.log"), lineDone)
	wantFile(t, filepath.Join(m.dir, "c.log"), line350+lineDone)
	wantFile(t, filepath.Join(m.dir, ocrLog), line550)
}

func TestVerdictKeepsItsFirstTextOverALife(t *testing.T) {
	out := newMemory()
	m, _ := newLog(t, out)
	m.write = func(*os.File, []byte) (int, error) { return 0, errors.New("disk full") }
	if err := m.Write(context.Background(), event(tracker.Completed, "e1")); err == nil {
		t.Fatal("no error")
	}
	later := NewModelLog(m.dir, Form{Text: Detailed, Stamp: RFC3339}, out, m.log)
	write(t, later, event(tracker.Completed, "e1"))
	wantFile(t, filepath.Join(m.dir, ocrLog), lineDone)
}

func TestVerdictIsFoundWhereTheLogWasTruncatedUnderIt(t *testing.T) {
	survives := newMemory()
	m, _ := newLog(t, survives)
	write(t, m, progressOf(350e6))
	path := filepath.Join(m.dir, ocrLog)
	m.write = func(f *os.File, b []byte) (int, error) {
		copyTruncate(t, path)
		return f.Write(b)
	}
	m.sync = func(*os.File) error { return errors.New("killed") }
	if err := m.Write(context.Background(), event(tracker.Completed, "e1")); err == nil {
		t.Fatal("no error")
	}
	live(t, m.dir, &killer{memory: survives, torn: -1}, event(tracker.Completed, "e1"))
	wantFile(t, path, lineDone)
}
