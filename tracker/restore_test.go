package tracker

import (
	"testing"
	"time"

	"progressd/sizer"
)

func TestRestart(t *testing.T) {
	tests := []struct {
		name string
		play func(p *player)
		want []string
	}{
		{"repeats nothing and counts on", func(p *player) {
			p.see(also(by(vllm), bytes(350*mb)))
			p.restart(5 * time.Second)
			p.see(nil)
			p.see(bytes(399 * mb))
			p.see(bytes(400 * mb))
		}, []string{"0s preparing 350", "0s started 350", "0s progress 350", "5s progress 400"}},
		{"steps that came meanwhile count as told", func(p *player) {
			p.see(also(by(vllm), bytes(350*mb)))
			p.restart(5 * time.Second)
			p.see(bytes(850 * mb))
			p.see(bytes(900 * mb))
		}, []string{"0s preparing 350", "0s started 350", "0s progress 350", "5s progress 900"}},
		{"completes what was finished meanwhile", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.restart(time.Hour)
			p.see(also(tidy, bytes(60*mb), func(l *sizer.Look) { l.Proof = sizer.ProvenByListing }))
		}, []string{"0s preparing 50", "0s started 50", "1h0m0s completed 60"}},
		{"silence of a former life counts", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(9*time.Minute + 30*time.Second)
			p.restart(5 * time.Second)
			p.see(nil)
			p.until(20 * time.Minute)
		}, []string{"0s preparing 50", "0s started 50", "10m35s stalled 50"}},
		{"a stranger is remembered", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.see(killed)
			p.see(bytes(60 * mb))
			p.restart(5 * time.Second)
			p.see(nil)
			p.until(9 * time.Minute)
		}, []string{"0s preparing 50", "0s started 50"}},
		{"a downloader that came before has its own time, too", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(9 * time.Minute)
			p.see(by(cli))
			p.until(9*time.Minute + 30*time.Second)
			p.restart(5 * time.Second)
			p.see(nil)
			p.until(30 * time.Minute)
		}, []string{"0s preparing 50", "0s started 50", "19m0s stalled 50"}},
		{"also where what it wrote at first couldn't be counted", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(9 * time.Minute)
			p.see(also(by(cli), func(l *sizer.Look) { l.Unseen = true }))
			p.see(func(l *sizer.Look) { l.Unseen = false })
			p.until(9*time.Minute + 30*time.Second)
			p.restart(5 * time.Second)
			p.see(nil)
			p.until(30 * time.Minute)
		}, []string{"0s preparing 50", "0s started 50", "19m0s stalled 50"}},
		{"a downloader that came meanwhile has its own time", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(9*time.Minute + 30*time.Second)
			p.restart(5 * time.Second)
			p.see(by(cli))
			p.until(20 * time.Minute)
		}, []string{"0s preparing 50", "0s started 50", "19m35s stalled 50"}},
		{"stalled is said once over a restart", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(10 * time.Minute)
			p.restart(time.Hour)
			p.see(nil)
			p.until(3 * time.Hour)
			p.see(bytes(60 * mb))
		}, []string{"0s preparing 50", "0s started 50", "10m0s stalled 50", "3h0m0s moving 60"}},
		{"interrupted is said once over a restart", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.see(killed)
			p.until(time.Minute)
			p.restart(time.Hour)
			p.see(nil)
			p.until(3 * time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "1m0s interrupted 50"}},
		{"a clock set a year forth gives no verdict by itself", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.restart(365 * 24 * time.Hour)
			p.see(nil)
			p.until(365*24*time.Hour + 59*time.Second)
			p.see(bytes(51 * mb))
			p.until(365*24*time.Hour + 5*time.Minute)
		}, []string{"0s preparing 50", "0s started 50"}},
		{"bytes lost meanwhile are told with the next attempt", func(p *player) {
			p.see(also(by(vllm), bytes(150*mb)))
			p.see(also(tidy, bytes(20*mb)))
			p.restart(time.Second)
			p.see(also(by(vllm), bytes(25*mb)))
		}, []string{"0s preparing 150", "0s started 150", "0s progress 150", "1s restarted 20"}},
		{"nothing is known before the first look", func(p *player) {
			p.see(also(tidy, bytes(50*mb)))
			p.restart(time.Minute)
			p.blind(time.Hour)
		}, []string{"0s preparing 50", "0s started 50"}},
		{"a repository that came to rest meanwhile is never completed unseen", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.restart(time.Minute)
			p.see(func(l *sizer.Look) { *l = sizer.Look{Root: l.Root, Repo: l.Repo} })
			p.until(time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "10m0s interrupted 50"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := play(t, defaults)
			tt.play(p)
			p.want(tt.want...)
		})
	}
}

func TestClockSetBackOverARestart(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	p.until(5 * time.Minute)
	p.restart(-24 * time.Hour)
	p.see(nil)
	if s := p.d.silence(); s != 0 {
		t.Errorf("silence %v", s)
	}
	if p.d.now.Sub(p.d.lastLine) != 0 {
		t.Errorf("the last line lies in the future")
	}
	p.see(also(tidy, func(l *sizer.Look) { l.Proof = sizer.ProvenByListing }))
	if e := p.last(Completed); e.Took < 0 || e.Rate < 0 {
		t.Errorf("took %v at %d", e.Took, e.Rate)
	}
}

func TestAVerdictJudgedAgainHasTheSameID(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	record := p.d.episode()
	done := also(tidy, func(l *sizer.Look) { l.Proof = sizer.ProvenByListing })
	p.see(done)
	first := p.last(Completed)
	p.d = restoreDownload(defaults, record, p.now.Add(time.Minute))
	p.see(done)
	if second := p.last(Completed); second.ID != first.ID {
		t.Errorf("%s became %s", first.ID, second.ID)
	}
}

func TestEpisodeIDs(t *testing.T) {
	now := time.Now()
	ids := map[string]bool{}
	other := model
	other.Type = "dataset"
	for _, root := range []string{"/a", "/b"} {
		for _, at := range []time.Time{now, now.Add(1)} {
			ids[episodeID(root, model, at)] = true
			ids[episodeID(root, other, at)] = true
		}
	}
	if len(ids) != 8 {
		t.Errorf("%d ids of 8 episodes", len(ids))
	}
	if episodeID("/a", model, now) != episodeID("/a", model, now.Round(0)) {
		t.Error("the id depends on more than the wall time")
	}
}
