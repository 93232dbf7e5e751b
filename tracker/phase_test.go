package tracker

import (
	"encoding/json"
	"testing"
	"time"

	"progressd/sizer"
)

// Each step of the table is one that a download takes.
func TestEachPhaseFollowsAsTheTableSays(t *testing.T) {
	proven := also(tidy, func(l *sizer.Look) { l.Proof = sizer.ProvenByListing })
	began := func(p *player) { p.see(also(by(cli), bytes(50*mb))) }
	stalled := func(p *player) { began(p); p.until(11 * time.Minute) }
	interrupted := func(p *player) { began(p); p.see(killed); p.until(2 * time.Minute) }
	more := func(p *player) { p.see(also(by(cli), bytes(90*mb))) }
	for _, tt := range []struct {
		from, to Phase
		before   func(p *player)
		then     func(p *player)
	}{
		{PhaseHeld, PhaseActive, func(p *player) { p.see(hubAsked); p.until(time.Second) }, began},
		{PhaseHeld, PhaseOver, func(p *player) { p.see(hubAsked) }, func(p *player) { p.see(proven) }},
		{PhaseActive, PhaseStalled, began, func(p *player) { p.until(11 * time.Minute) }},
		{PhaseActive, PhaseInterrupted, began, func(p *player) { p.see(killed); p.until(2 * time.Minute) }},
		{PhaseActive, PhaseOver, began, func(p *player) { p.see(proven) }},
		{PhaseStalled, PhaseActive, stalled, more},
		{PhaseStalled, PhaseInterrupted, stalled, func(p *player) { p.see(killed); p.until(13 * time.Minute) }},
		{PhaseStalled, PhaseOver, stalled, func(p *player) { p.see(proven) }},
		{PhaseInterrupted, PhaseActive, interrupted, more},
		{PhaseInterrupted, PhaseOver, interrupted, func(p *player) { p.see(proven) }},
	} {
		p := play(t, defaults)
		tt.before(p)
		if got := p.d.ep.Phase; got != tt.from {
			t.Errorf("%s, not %s", got, tt.from)
		}
		tt.then(p)
		if got := p.d.ep.Phase; got != tt.to || !tt.to.mayFollow(tt.from) {
			t.Errorf("from %s: %s, not %s", tt.from, got, tt.to)
		}
	}
}

func hubAsked(l *sizer.Look) { l.Asked, l.Partials, l.Locked = true, 1, true }

// State files of before have flags.
func TestARecordWithFlagsIsRead(t *testing.T) {
	for text, want := range map[string]Phase{
		`{"id":"e","play":"p"}`:                                  PhaseActive,
		`{"id":"e","play":"p","stalled":true}`:                   PhaseStalled,
		`{"id":"e","play":"p","interrupted":true}`:               PhaseInterrupted,
		`{"id":"e","play":"p","interrupted":true,"failed":true}`: PhaseFailed,
		`{"id":"e","play":"","failed":true}`:                     PhaseFailed,
		`{"id":"e","play":"p","interrupted":true,"over":true}`:   PhaseOver,
		`{"id":"e","play":""}`:                                   PhaseAnnounced,
		`{"id":"e","play":"p","phase":"stalled","announced":7}`:  PhaseStalled,
	} {
		var ep Episode
		if err := json.Unmarshal([]byte(text), &ep); err != nil || ep.Phase != want || ep.ID != "e" {
			t.Errorf("%s: %q, %v", text, ep.Phase, err)
		}
		again, err := json.Marshal(&ep)
		if err != nil {
			t.Fatal(err)
		}
		var copied Episode
		if err := json.Unmarshal(again, &copied); err != nil || copied.Phase != want {
			t.Errorf("%s: %s, %v", text, again, err)
		}
	}
}
