package tracker

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
	"progressd/sizer"
)

var hf = downloader.Process{PID: 77, Command: "hf"}

// runs plays a history that begins with the start of a downloader.
func runs(t reporter, process downloader.Process, only bool) *player {
	p := play(t, defaults)
	p.look = sizer.Look{Root: "/hub", Repo: model}
	p.d = newRun(p.set, Report{Root: "/hub", Repo: model, At: p.now, Process: process})
	p.d.run = &run{process: process, only: only, told: map[string]bool{}}
	p.events = append(p.events, p.d.event(Preparing))
	return p
}

// says is told what the downloader has printed.
func (p *player) says(level Level, cause string) {
	p.events = append(p.events, p.d.said(Report{At: p.now, Words: Words{Level: level, Cause: cause, Text: "a line", Remedy: "do this"}})...)
}

// exits is told how the downloader has ended; the look comes a moment later.
func (p *player) exits(exit Exit, change func(*sizer.Look)) {
	p.d.run.exit, p.d.run.exitAt = &exit, p.now
	p.jump(10 * time.Millisecond)
	p.see(change)
}

// rests says what there is when the downloader ends.
func (p *player) rests(change func(*sizer.Look)) {
	rest := sizer.Look{Root: "/hub", Repo: model, InPlay: true}
	change(&rest)
	p.d.run.rest = &rest
}

// plays makes the looks those of a download.
func plays(l *sizer.Look) { l.InPlay, l.Play, l.Gone = true, "p1", false }

func gone(l *sizer.Look) { l.Gone = true }

func whole(l *sizer.Look) { l.Proof = sizer.ProvenByListing }

func TestRuns(t *testing.T) {
	exit1 := Exit{Status: 1, Last: "Aborted!"}
	tests := []struct {
		name    string
		process downloader.Process
		other   bool // the program does other things as well
		play    func(p *player)
		want    []string
	}{
		{"preparing at once, started at the first byte, completed by its files", hf, false, func(p *player) {
			p.see(gone)
			p.until(30 * time.Second)
			p.see(also(plays, by(cli), bytes(10*mb)))
			p.until(40 * time.Second)
			p.see(bytes(150 * mb))
			p.exits(Exit{}, also(tidy, bytes(190*mb), whole))
		}, []string{"0s preparing 0", "30s started 10", "40s progress 150", "40s completed 190"}},
		{"what was there before is resumed", hf, false, func(p *player) {
			p.see(also(plays, by(cli), func(l *sizer.Look) { l.Base, l.Bytes, l.Arrived = 350*mb, 360*mb, 10*mb }))
			p.exits(exit1, killed)
		}, []string{"0s preparing 0", "0s resumed 350", "0s failed 360"}},
		{"a cached model: success, and nothing in between", hf, false, func(p *player) {
			p.see(nil)
			p.until(2 * time.Second)
			p.rests(func(l *sizer.Look) { l.FilesDone = 2 })
			p.exits(Exit{}, nil)
		}, []string{"0s preparing 0", "2s completed 0"}},
		{"a cached model of which the files prove it", vllm, true, func(p *player) {
			p.see(nil)
			p.rests(func(l *sizer.Look) { l.FilesDone, l.Proof = 2, sizer.ProvenByListing })
			p.exits(Exit{}, nil)
		}, []string{"0s preparing 0", "0s completed 0"}},
		{"a server fails of a model that it has whole", vllm, true, func(p *player) {
			p.see(also(plays, by(cli), bytes(150*mb)))
			p.exits(exit1, also(tidy, bytes(190*mb), func(l *sizer.Look) { l.Settled = sizer.ProvenByLoader }))
		}, []string{"0s preparing 0", "0s started 150", "0s progress 150", "0s output 190", "0s completed 190"}},
		{"a server fails of a model that others still fetch", vllm, true, func(p *player) {
			p.see(also(plays, by(cli), bytes(150*mb)))
			p.exits(exit1, also(tidy, bytes(190*mb), func(l *sizer.Look) { l.Settled, l.Locked = sizer.ProvenByLoader, true }))
		}, []string{"0s preparing 0", "0s started 150", "0s progress 150", "0s failed 190"}},
		{"a folder without a file", hf, false, func(p *player) {
			p.see(nil)
			p.rests(func(*sizer.Look) {})
			p.exits(Exit{}, nil)
		}, []string{"0s preparing 0", "0s failed 0"}},
		{"files are missing that a program may not have asked for", vllm, true, func(p *player) {
			p.see(nil)
			p.rests(also(listing(200*mb, 9, 3), bytes(50*mb)))
			p.exits(Exit{}, nil)
		}, []string{"0s preparing 0", "0s ended 50"}},
		{"files are missing that hf was not asked for", hf, false, func(p *player) {
			p.see(nil)
			p.rests(also(listing(200*mb, 9, 3), bytes(50*mb)))
			p.exits(Exit{}, nil)
		}, []string{"0s preparing 0", "0s completed 0"}},
		{"something unfinished lies there, and there is no listing", vllm, true, func(p *player) {
			p.see(nil)
			p.rests(func(l *sizer.Look) { l.FilesDone, l.Unfinished = 2, 1 })
			p.exits(Exit{}, nil)
		}, []string{"0s preparing 0", "0s ended 0"}},
		{"without a listing, and nothing speaks against it", vllm, true, func(p *player) {
			p.see(nil)
			p.rests(func(l *sizer.Look) { l.FilesDone = 2 })
			p.exits(Exit{}, nil)
		}, []string{"0s preparing 0", "0s unlisted 0", "0s completed 0"}},
		{"a cached file of the wrong size", hf, false, func(p *player) {
			p.see(nil)
			p.rests(func(l *sizer.Look) { l.FilesDone, l.Mismatched = 2, &sizer.Mismatch{Path: "a"} })
			p.exits(Exit{}, nil)
		}, []string{"0s preparing 0", "0s failed 0"}},
		{"cached, and nobody can tell", hf, false, func(p *player) {
			p.see(nil)
			p.exits(Exit{}, nil)
		}, []string{"0s preparing 0"}},
		{"success, and nothing is there", hf, false, func(p *player) {
			p.see(gone)
			p.exits(Exit{}, gone)
		}, []string{"0s preparing 0", "0s failed 0"}},
		{"failed before the first byte", hf, false, func(p *player) {
			p.see(gone)
			p.says(Error, "gated")
			p.says(Error, "gated")
			p.exits(exit1, gone)
			p.until(time.Hour)
		}, []string{"0s preparing 0", "0s failed 0"}},
		{"failed before the look that sees the first byte", hf, false, func(p *player) {
			p.see(gone)
			p.says(Error, "rate-limited")
			p.exits(exit1, also(plays, tidy, bytes(10*mb)))
		}, []string{"0s preparing 0", "0s failed 0"}},
		{"failed by exit status alone", hf, false, func(p *player) {
			p.see(also(plays, by(cli), bytes(10*mb)))
			p.exits(exit1, killed)
			p.until(time.Hour)
		}, []string{"0s preparing 0", "0s started 10", "0s failed 10"}},
		{"failed, and it is complete: the files count", hf, false, func(p *player) {
			p.see(also(plays, by(cli), bytes(10*mb)))
			p.exits(exit1, also(tidy, bytes(20*mb), whole))
		}, []string{"0s preparing 0", "0s started 10", "0s completed 20"}},
		{"stragglers of a failed attempt revive nothing, a new one does", hf, false, func(p *player) {
			p.see(also(plays, by(cli), bytes(10*mb)))
			p.says(Error, "connection")
			p.jump(time.Second)
			p.see(bytes(150 * mb))
			p.jump(10 * time.Second)
			p.see(bytes(160 * mb))
			p.see(bytes(200 * mb))
		}, []string{"0s preparing 0", "0s started 10", "0s failed 10", "11s moving 160", "11s progress 200"}},
		{"success, and files are missing that were asked for", hf, false, func(p *player) {
			p.see(also(plays, by(cli), bytes(10*mb)))
			p.exits(Exit{}, also(tidy, bytes(100*mb), listing(200*mb, 9, 3), func(l *sizer.Look) { l.WantedKnown = true }))
		}, []string{"0s preparing 0", "0s started 10", "0s failed 100"}},
		{"success, and files are missing of which nobody knows whether they were wanted", hf, false, func(p *player) {
			p.see(also(plays, by(cli), bytes(10*mb)))
			p.exits(Exit{}, also(tidy, bytes(50*mb), listing(200*mb, 9, 3)))
		}, []string{"0s preparing 0", "0s started 10", "0s ended 50"}},
		{"success, and a file has the wrong size", hf, false, func(p *player) {
			p.see(also(plays, by(cli), bytes(10*mb)))
			p.exits(Exit{}, also(tidy, bytes(50*mb), func(l *sizer.Look) { l.Mismatched = &sizer.Mismatch{Path: "a", Got: 1, Want: 2} }))
		}, []string{"0s preparing 0", "0s started 10", "0s failed 50"}},
		{"success without any listing: the exit status is the proof, and says so", hf, false, func(p *player) {
			p.see(also(plays, by(cli), bytes(10*mb)))
			p.exits(Exit{}, also(tidy, bytes(50*mb), func(l *sizer.Look) { l.FilesDone = 2 }))
		}, []string{"0s preparing 0", "0s started 10", "0s unlisted 50", "0s completed 50"}},
		{"success without any listing, and a partial is left", hf, false, func(p *player) {
			p.see(also(plays, by(cli), bytes(10*mb)))
			p.exits(Exit{}, also(killed, bytes(50*mb)))
		}, []string{"0s preparing 0", "0s started 10", "0s ended 50"}},
		{"success, and the proof comes with a later look", hf, false, func(p *player) {
			p.see(also(plays, by(cli), bytes(10*mb)))
			p.exits(Exit{}, also(tidy, bytes(50*mb), listing(50*mb, 2, 0)))
			p.jump(200 * time.Millisecond)
			p.see(whole)
		}, []string{"0s preparing 0", "0s started 10", "0s completed 50"}},
		{"success, and the proof never comes", hf, false, func(p *player) {
			p.see(also(plays, by(cli), bytes(10*mb)))
			p.exits(Exit{}, also(tidy, bytes(50*mb), listing(50*mb, 2, 0)))
			p.jump(5 * time.Second)
			p.see(nil)
		}, []string{"0s preparing 0", "0s started 10", "5s ended 50"}},
		{"success, while another one is at the same files", hf, false, func(p *player) {
			p.see(also(plays, by(vllm), bytes(10*mb)))
			p.exits(Exit{}, nil)
			p.until(20 * time.Second)
		}, []string{"0s preparing 0", "0s started 10"}},
		{"success, and nobody can look: nothing is claimed", hf, false, func(p *player) {
			p.see(also(plays, by(cli), bytes(10*mb)))
			p.d.run.exit, p.d.run.exitAt = &Exit{}, p.now
			p.blind(20 * time.Second)
		}, []string{"0s preparing 0", "0s started 10"}},
		{"an error, and nobody can look", hf, false, func(p *player) {
			p.see(also(plays, by(cli), bytes(10*mb)))
			p.jump(time.Second)
			p.d.run.exit, p.d.run.exitAt = &exit1, p.now
			p.blind(20 * time.Second)
		}, []string{"0s preparing 0", "0s started 10", "6s failed 10"}},
		{"silent while it is known to run: neither interrupted nor ended", hf, false, func(p *player) {
			p.see(also(plays, by(vllm), bytes(10*mb)))
			p.see(also(tidy, func(l *sizer.Look) { l.FilesDone = 1 }))
			p.until(9 * time.Minute)
			p.see(bytes(20 * mb))
			p.until(20 * time.Minute)
		}, []string{"0s preparing 0", "0s started 10", "19m0s stalled 20"}},
		{"a server whose model was cached and that fails of something else", vllm, true, func(p *player) {
			p.see(nil)
			p.until(time.Hour)
			p.exits(exit1, nil)
		}, []string{"0s preparing 0", "1h0m0s output 0"}},
		{"a server that says what it failed of", vllm, true, func(p *player) {
			p.see(nil)
			p.exits(Exit{Status: 1, Cause: "dns", Remedy: "check DNS"}, nil)
		}, []string{"0s preparing 0", "0s failed 0"}},
		{"a server without a listing is complete when all is quiet", vllm, true, func(p *player) {
			p.see(also(plays, by(vllm), bytes(10*mb)))
			p.see(also(func(l *sizer.Look) { l.Locked, l.Partials, l.FilesDone, l.Whole = false, 0, 1, true }))
			p.until(time.Minute)
		}, []string{"0s preparing 0", "0s started 10", "30s unlisted 10", "30s completed 10"}},
		{"what it prints is told", hf, false, func(p *player) {
			p.see(nil)
			p.says(Info, "progress")
			p.says(Warning, "little-space")
		}, []string{"0s preparing 0", "0s output 0", "0s output 0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := runs(t, tt.process, !tt.other)
			tt.play(p)
			p.want(tt.want...)
		})
	}
}

func TestKeepaliveBeforeTheFirstByteOfAProgramThatOnlyDownloads(t *testing.T) {
	for _, only := range []bool{true, false} {
		p := runs(t, hf, only)
		p.see(gone)
		p.until(3*time.Minute + time.Second)
		want := 0
		if only {
			want = 3
		}
		if got := p.count(Keepalive); got != want {
			t.Errorf("only a downloader: %v, %d keepalives, want %d", only, got, want)
		}
	}
}

func TestCausesOfAnExit(t *testing.T) {
	for _, tt := range []struct {
		exit Exit
		want string
	}{
		{Exit{Status: 1}, CauseExit},
		{Exit{Status: 1, Cause: "dns"}, "dns"},
		{Exit{Status: 1, Cause: "connection", Asked: "SIGTERM"}, CauseStopped},
		{Exit{Status: 130}, CauseStopped},
		{Exit{Status: 143, Signal: "SIGTERM"}, CauseKilled},
		{Exit{Status: 137, Signal: "SIGKILL"}, CauseKilled},
		{Exit{Status: 137, Signal: "SIGKILL", OutOfMemory: true}, CauseMemory},
		{Exit{Status: 1, OutOfMemory: true}, CauseExit},
	} {
		if got := tt.exit.cause(); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.exit, got, tt.want)
		}
	}
}

func TestFailedIsAVerdictWithItsCauseAndRemedy(t *testing.T) {
	p := runs(t, hf, true)
	p.says(Error, "gated")
	e := p.last(Failed)
	if !e.Verdict() || e.Level() != Error || e.Cause != "gated" || e.Reason != "do this" || e.Program != "hf" || e.Downloader.PID != 77 {
		t.Errorf("%+v", e)
	}
	p.says(Warning, "little-space")
	if e := p.last(Output); e.Verdict() || e.Level() != Warning || e.Output != "a line" {
		t.Errorf("%+v", e)
	}
}

// TestReportsReachTheirDownload: over the tracker's own loop, with looks and
// reports as they come.
func TestReportsReachTheirDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		over := 0
		rec := recorderFunc(func(events []Event) {
			for _, e := range events {
				told = append(told, string(e.Kind))
			}
		})
		tr := New(defaults, rec, Hooks{RunOver: func(root string, repo hfcache.Repo) {
			if root == "/hub" && repo == model {
				over++
			}
		}}, slog.New(slog.DiscardHandler))
		reports, looks := make(chan Report), make(chan sizer.Look)
		tr.Hear(reports)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = tr.Run(ctx, looks, nil) }()
		report := func(kind ReportKind) Report {
			return Report{Root: "/hub", Repo: model, At: time.Now(), Kind: kind, Process: hf, Only: true}
		}
		look := sizer.Look{Root: "/hub", Repo: model}
		for range 2 { // the second finds it cached
			reports <- report(RunBegan)
			look.At, look.Gone = time.Now(), true
			looks <- look
			said := report(RunSaid)
			said.Words = Words{Level: Info, Text: "x"}
			reports <- said
			ended := report(RunEnded)
			ended.Rest = &sizer.Look{FilesDone: 1}
			reports <- ended
			look.At, look.Gone = time.Now(), false
			looks <- look
		}
		reports <- report(RunEnded) // of none
		stop()
		<-done
		want := strings.Fields("preparing output completed preparing output completed")
		if !slices.Equal(told, want) || over != 3 {
			t.Errorf("told %v, %d times over", told, over)
		}
	})
}

type recorderFunc func([]Event)

func (f recorderFunc) Commit(_ *Episode, events []Event) { f(events) }
