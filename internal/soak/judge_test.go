package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"progressd/internal/client"
	"progressd/internal/hub"
)

// noon is when every test begins.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// two are the files of the revision that the tests download: 5 MB.
var two = revision{"c1", []hub.Entry{
	{File: hub.File{Path: "a", Size: 3_000_000}, Etag: "ea"},
	{File: hub.File{Path: "b", Size: 2_000_000}, Etag: "eb"},
}}

// lived is a client that brought something, from and to some seconds.
func lived(from, to float64, t truth) *life {
	t.content = fmt.Sprint(to)
	return &life{revision: two, begin: at(from), end: at(to), truth: t, moved: true, done: t.whole}
}

var (
	everything = truth{whole: true, wanted: true, listing: true, linked: 2, blobs: 2}
	nothing    = truth{listing: true, partials: 1}
)

// log makes lines of "seconds LEVEL text".
func log(t *testing.T, text string) []line {
	t.Helper()
	var lines []line
	for raw := range strings.Lines(strings.TrimSpace(text)) {
		if raw = strings.TrimSpace(raw); raw == "" {
			continue
		}
		var second int
		var level string
		if _, err := fmt.Sscan(raw, &second, &level); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		message := strings.SplitN(raw, " ", 3)[2]
		lines = append(lines, parseLine(len(lines)+1, fmt.Sprintf("[%s] [%s] %s", at(float64(second)).Format(time.RFC3339), level, message)))
	}
	return lines
}

const opened = `
0 INFO Preparing to download model: o/m
0 INFO Downloading model: 5.0MB in 2 files
`

const unlisted = opened + `
4 INFO No listing to check against: 5.0MB in 2 files on disk
4 SUCCESS Model downloaded successfully
`

const finished = opened + `
1 INFO Download progress: 2.5MB/5.0MB ~ 50.0%
2 SUCCESS Model downloaded successfully
`

func TestJudge(t *testing.T) {
	done := lived(0, 2.1, everything)
	died := lived(0, 2, nothing)
	held := lived(0, 30, everything)
	held.hold, held.holdAfter, held.held = 20*time.Second, 2*time.Second, uptime{at(2), at(22)}
	half := lived(0, 2, truth{wanted: true, listing: true, linked: 1, blobs: 1})
	half.include, half.done = []string{"a"}, true
	byScript := *half
	byScript.library, byScript.seen = true, true
	unlocked := lived(0, 2, truth{blobs: 1, partials: 1})
	unlocked.writer.kind = client.JS
	stopped := lived(0, 30, truth{})
	stopped.writer.kind, stopped.held = client.JS, uptime{from: at(1), to: at(29)}
	before := lived(0, 2, truth{whole: true, wanted: true, linked: 2, blobs: 2})
	before.writer.kind = client.JS
	idle := lived(0, 9, everything)
	idle.truth.content = done.truth.content
	cut := lived(0, 2, truth{listing: true, short: true})
	cutUnlisted := lived(0, 2, truth{short: true, linked: 1, blobs: 2})
	paused := lived(0, 30, truth{whole: true, wanted: true, linked: 2, blobs: 2})
	paused.held, paused.heldAt.whole = uptime{at(2), at(22)}, true
	newer := lived(3, 9, everything)
	newer.revision.commit = "c2"

	for _, c := range []struct {
		name    string
		lives   []*life
		removed []removal
		kills   []float64
		log     string
		want    string // the rule that is broken, and in which line
	}{
		{name: "a life and its lines", lives: []*life{done}, log: finished},
		{name: "completed twice", lives: []*life{done}, log: finished + "3 SUCCESS Model downloaded successfully", want: "line 5: cause, line 5: opening, line 5: completed"},
		{name: "one that began sooner goes on behind the end", lives: []*life{lived(0, 9, everything), done}, log: finished + strings.ReplaceAll(strings.TrimSpace(opened), "0 INFO", "3 INFO")},
		{name: "one that began sooner brings nothing behind it", lives: []*life{idle, done}, log: finished + strings.ReplaceAll(strings.TrimSpace(opened), "0 INFO", "3 INFO"), want: "line 5: cause"},
		{name: "told again from the beginning", lives: []*life{done}, log: finished + strings.TrimSpace(finished), want: "line 5: order, line 5: cause, line 8: completed"},
		{name: "completed and a client was killed", lives: []*life{died}, log: finished, want: "line 4: completed"},
		{name: "completed and part was wanted", lives: []*life{half}, log: strings.ReplaceAll(finished, "5.0MB ~ 50.0%", "3.0MB ~ 83.3%")},
		{name: "completed and a script wanted part of what is listed", lives: []*life{&byScript}, log: strings.ReplaceAll(finished, "5.0MB ~ 50.0%", "3.0MB ~ 83.3%"), want: "line 4: completed"},
		{name: "interrupted too early for a client without a lock", lives: []*life{unlocked}, log: opened + "8 WARNING Download interrupted at 1.0MB: no new data for 6s, and no downloader to be seen", want: "line 3: interrupted"},
		{name: "interrupted in time for a client without a lock", lives: []*life{unlocked}, log: opened + "12 WARNING Download interrupted at 1.0MB: no new data for 10s, and no downloader to be seen"},
		{name: "a client without a lock that stands still is as good as dead", lives: []*life{stopped}, log: opened + "12 WARNING Download interrupted at 1.0MB: no new data for 10s, and no downloader to be seen"},
		{name: "interrupted soon behind a client without a lock that was told of", lives: []*life{before, lived(5, 6, nothing)}, log: unlisted + "5 INFO Preparing to download model: o/m\n5 INFO Downloading model (this may take 10-60 minutes)\n10 WARNING Download interrupted at 1.0MB: downloader (pid 1, hf) is gone"},
		{name: "interrupted soon behind one that was not", lives: []*life{before, lived(5, 6, nothing)}, log: opened + "10 WARNING Download interrupted at 1.0MB: downloader (pid 1, hf) is gone", want: "line 3: interrupted"},
		{name: "backwards to another revision", lives: []*life{died, newer}, log: opened + "1 INFO Downloaded 3.5MB...\n4 INFO Still downloading: 2.0MB, no new data for 3s"},
		{name: "a text of nobody's", lives: []*life{done}, log: opened + "1 INFO Downloaded much", want: "line 3: known"},
		{name: "a level that doesn't fit", lives: []*life{done}, log: opened + "1 ERROR Downloaded 1.0MB...", want: "line 3: known"},
		{name: "a size that doesn't differ", lives: []*life{done}, log: opened + "1 WARNING Size of a differs from the listing: 0 bytes on disk, 3000000 listed", want: "line 3: differs"},
		{name: "a copy that was cut short", lives: []*life{cut}, log: opened + "1 WARNING Size of a differs from the listing: 0 bytes on disk, 3000000 listed"},
		{name: "completed and a copy was cut short", lives: []*life{cutUnlisted}, log: unlisted, want: "line 4: completed"},
		{name: "unlisted and whole when the client was stopped", lives: []*life{paused}, log: opened + "5 INFO No listing to check against: 5.0MB in 2 files on disk\n5 SUCCESS Model downloaded successfully"},
		{name: "a step twice", lives: []*life{done}, log: opened + "1 INFO Download progress: 2.5MB/5.0MB ~ 50.0%\n1 INFO Download progress: 2.75MB/5.0MB ~ 55.0%", want: "line 4: step"},
		{name: "a step twice over a loss", lives: []*life{done}, log: opened + "1 INFO Downloaded 2.5MB...\n1 WARNING Download began again: 0B of 2.5MB kept\n1 INFO Downloaded 1.5MB...", want: "line 5: step"},
		{name: "more than there is", lives: []*life{done}, log: opened + "1 INFO Downloaded 5.51MB...", want: "line 3: truth"},
		{name: "a total that isn't", lives: []*life{done}, log: opened + "1 INFO Download progress: 2.5MB/4.0MB ~ 62.5%", want: "line 3: truth"},
		{name: "backwards", lives: []*life{done}, log: opened + "0 INFO Downloaded 3.5MB...\n1 INFO Still downloading: 2.0MB, no new data for 3s", want: "line 4: monotone"},
		{name: "backwards over a kill", lives: []*life{done}, kills: []float64{1}, log: opened + "0 INFO Downloaded 3.5MB...\n1 INFO Still downloading: 2.0MB, no new data for 3s"},
		{name: "preparing twice", lives: []*life{done}, log: opened + strings.TrimSpace(opened), want: "line 3: opening, line 4: opening"},
		{name: "preparing lost", lives: []*life{done}, log: "1 INFO Downloaded 2.5MB...", want: "line 1: opening"},
		{name: "preparing lost by a kill", lives: []*life{done}, kills: []float64{0.5}, log: "1 INFO Downloaded 2.5MB..."},
		{name: "interrupted in time", lives: []*life{died}, log: opened + "6 WARNING Download interrupted at 1.0MB/5.0MB ~ 20.0%: downloader (pid 1, hf) is gone"},
		{name: "interrupted too early", lives: []*life{died}, log: opened + "4 WARNING Download interrupted at 1.0MB/5.0MB ~ 20.0%: downloader (pid 1, hf) is gone", want: "line 3: interrupted"},
		{name: "interrupted and another one lives", lives: []*life{died, lived(3, 9, everything)}, log: opened + "6 WARNING Download interrupted at 1.0MB/5.0MB ~ 20.0%: downloader (pid 1, hf) is gone", want: "line 3: interrupted"},
		{name: "interrupted and all is there", lives: []*life{done}, log: opened + "9 WARNING Download interrupted at 1.0MB/5.0MB ~ 20.0%: downloader (pid 1, hf) is gone", want: "line 3: interrupted"},
		{name: "ended too early", lives: []*life{lived(0, 2, truth{listing: true, blobs: 1})}, log: opened + "2 INFO Download ended: 3.0MB in 1 of 2 files", want: "line 3: ended"},
		{name: "stalled and stopped", lives: []*life{held}, log: opened + "12 WARNING Download stalled at 1.0MB: no new data for 10s, downloader still running (pid 1, hf)\n22 INFO Download moving again: 1.0MB"},
		{name: "stalled and not stopped", lives: []*life{lived(0, 30, everything)}, log: opened + "12 WARNING Download stalled at 1.0MB: no new data for 10s, downloader still running (pid 1, hf)", want: "line 3: stalled"},
		{name: "moving from nothing", lives: []*life{done}, log: opened + "1 INFO Download moving again: 1.0MB", want: "line 3: moving"},
		{name: "removed", lives: []*life{died}, removed: []removal{{at(3), 2}}, log: opened + "3 WARNING Download removed at 1.0MB: the model was deleted from disk"},
		{name: "removed and it was not", lives: []*life{died}, log: opened + "3 WARNING Download removed at 1.0MB: the model was deleted from disk", want: "line 3: removed"},
		{name: "a dead download kept alive", lives: []*life{died}, log: opened + "9 INFO Still downloading: 1.0MB, no new data for 7s", want: "line 3: keepalive"},
		{name: "no listing, and no completed behind that", lives: []*life{done}, log: opened + "2 INFO No listing to check against: 5.0MB in 2 files on disk", want: "line 3: unlisted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &daemon{uptimes: []uptime{{from: at(-10)}}}
			for _, k := range c.kills {
				d.strikes = append(d.strikes, strike{at(k), syscall.SIGKILL})
			}
			m := &model{world: &world{daemon: d, pace: quick()}, revisions: []revision{two}, lives: c.lives, removals: c.removed}
			var got []string
			j := judge{model: m, killed: d.killedBetween}
			for _, fault := range j.run(log(t, c.log)) {
				got = append(got, strings.Join(strings.SplitN(fault, ":", 3)[:2], ":"))
			}
			if got := strings.Join(got, ", "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
