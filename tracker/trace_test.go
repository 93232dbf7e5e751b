package tracker

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
	"progressd/sizer"
)

// tracing is a tracker without a loop that is shown looks, and what it says of
// itself.
type tracing struct {
	t    *testing.T
	tr   *Tracker
	said strings.Builder
	look sizer.Look
}

func newTracing(t *testing.T, level slog.Level) *tracing {
	now := time.Now()
	g := &tracing{t: t, look: sizer.Look{Root: "/hub", Repo: model, At: now, InPlay: true, Play: "p1"}}
	log := slog.New(slog.NewTextHandler(&g.said, &slog.HandlerOptions{Level: level}))
	g.tr = New(defaults, &commits{}, Hooks{}, log)
	return g
}

// see shows a look so long after the one before, and gives the lines about it.
func (g *tracing) see(after time.Duration, changes ...func(*sizer.Look)) []string {
	g.t.Helper()
	also(changes...)(&g.look)
	g.look.At = g.look.At.Add(after)
	g.said.Reset()
	g.tr.observe(g.look)
	g.tr.trace(g.t.Context(), g.look)
	g.look.Arrived = 0
	var lines []string
	for line := range strings.Lines(g.said.String()) {
		if strings.Contains(line, "msg=look") {
			lines = append(lines, line)
		}
	}
	return lines
}

// says shows a look and wants one line with all of these in it, in their order.
func (g *tracing) says(after time.Duration, change func(*sizer.Look), want ...string) {
	g.t.Helper()
	lines := g.see(after, change)
	if len(lines) != 1 {
		g.t.Errorf("%d lines, want one:\n%s", len(lines), strings.Join(lines, ""))
		return
	}
	rest := lines[0]
	for _, text := range want {
		_, behind, found := strings.Cut(rest, " "+text)
		if !found {
			g.t.Errorf("%q does not stand there in:\n%s", text, lines[0])
			return
		}
		rest = behind
	}
}

func TestTheTraceTellsWhatALookFoundAndWhatIsWaitedFor(t *testing.T) {
	g := newTracing(t, slog.LevelDebug)
	g.says(0, also(by(vllm), bytes(50*mb), listing(gb, 9, 5), func(l *sizer.Look) { l.Revisions = []string{strings.Repeat("ab", 20)} }),
		"root=/hub", "repo=org/name", "phase=active", "locked=true", fmt.Sprintf("alive=\"%d vllm\"", vllm.PID), "proof=none", "unseen=false",
		"unclaimed=0", "unfinished=0", "failed=0", "total_from=listing-upper-bound", "revisions=abababa", "against_an_end=lock,partials,missing",
		"waits_for=stalled", "clock=silent", "of=10m0s", "elapsed=0s", "bytes=50000000", "total=1000000000", "files=4/9", "partials=1", "missing=5")
	g.says(time.Second, func(l *sizer.Look) { l.Stopped = []int{vllm.PID} }, fmt.Sprintf("alive=\"%d vllm (stopped)\"", vllm.PID), "elapsed=1s")
	g.says(time.Second, killed, "locked=false", `alive=""`, "waits_for=interrupted", "clock=gone", "of=1m0s")
	g.says(time.Second, func(l *sizer.Look) { l.Unreadable = fmt.Errorf("open /hub/a: %w", syscall.EIO) }, `unreadable="input/output error"`)
	g.says(time.Second, also(tidy, func(l *sizer.Look) { l.Unreadable = nil }), "against_an_end=missing", "waits_for=ended", "clock=quiet", "of=30s")
	g.says(time.Second, func(l *sizer.Look) { l.Settled = sizer.ProvenByLoader }, `proof="loader if it stays quiet"`, "waits_for=completed")
	g.says(time.Second, proof, "phase=told")
	g.says(time.Second, rest, "phase=over")
	if lines := g.see(time.Second); len(lines) > 0 {
		t.Errorf("of a repository at rest it says\n%s", strings.Join(lines, ""))
	}
}

func TestTheTraceIsBoundedWhileOnlyNumbersMove(t *testing.T) {
	g := newTracing(t, slog.LevelDebug)
	lines := 0
	for i := range 120 { // a minute of looks
		lines += len(g.see(500*time.Millisecond, by(vllm), bytes(int64(i)*mb)))
	}
	if lines != 6 {
		t.Errorf("%d lines in a minute, want one every 10 s", lines)
	}
	g.see(5*time.Second, killed)
	var interrupted []string
	for range 12 * 20 { // twenty minutes of looks
		for _, line := range g.see(5 * time.Second) {
			if strings.Contains(line, "phase=interrupted") {
				interrupted = append(interrupted, line)
			}
		}
	}
	if len(interrupted) != 1 {
		t.Errorf("%d lines, want one, for a download that is interrupted:\n%s", len(interrupted), strings.Join(interrupted, ""))
	}
}

func TestTheTraceShowsNothingRaw(t *testing.T) {
	g := newTracing(t, slog.LevelDebug)
	for _, name := range []string{"a\nb", "\x1b[31m", "a\u202eb", "\xff", "caf\u00e9", strings.Repeat("x", 5000), ""} {
		g.look.Root, g.look.Repo = "/"+name, hfcache.Repo{Type: hfcache.Model, ID: name}
		g.look.Revisions = []string{name, "b", "c", "d", "e"}
		many := make([]downloader.Process, 1000)
		for i := range many {
			many[i] = downloader.Process{PID: i, Command: name}
		}
		g.look.Downloaders, g.look.Alive, g.look.Unreadable = many, make([]bool, len(many)), nil
		for i := range g.look.Alive {
			g.look.Alive[i] = true
		}
		g.see(time.Second)
		g.see(time.Second, func(l *sizer.Look) { l.Unreadable = errors.New(name) })
		for line := range strings.Lines(g.said.String()) {
			line = strings.TrimSuffix(line, "\n")
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) || len(line) > 4000 {
				t.Errorf("%d bytes: %.300q", len(line), line)
			}
		}
	}
}

func TestTheTraceCostsNothingWhereItIsOff(t *testing.T) {
	g := newTracing(t, slog.LevelInfo)
	if lines := g.see(0, by(vllm), bytes(50*mb)); len(lines) > 0 {
		t.Errorf("it says\n%s", strings.Join(lines, ""))
	}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { g.tr.trace(ctx, g.look) }); n != 0 {
		t.Errorf("%v allocations a look", n)
	}
}
