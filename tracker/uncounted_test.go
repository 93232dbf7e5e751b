package tracker

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"progressd/sizer"
)

// While bytes may come that can't be counted no line says how long none has come,
// nor for how long none came before.
func TestNoLineSaysHowLongNothingCameWhereThatIsNotKnown(t *testing.T) {
	p := play(t, defaults)
	p.see(also(bytes(50*mb), func(l *sizer.Look) { l.Partials, l.Unseen = 1, true }))
	p.until(5 * time.Minute)
	if e := p.last(Keepalive); p.count(Keepalive) < 4 || e.Silence != 0 || e.LastMinute != 0 {
		t.Errorf("%d keepalives, the last says %v, %d", p.count(Keepalive), e.Silence, e.LastMinute)
	}
	p.see(func(l *sizer.Look) { l.Unseen = false })
	p.until(7 * time.Minute)
	if e := p.last(Keepalive); e.Silence < time.Minute || e.Silence > 2*time.Minute {
		t.Errorf("it says %v", e.Silence)
	}
}

// Who held a lock and can't be found may live on, and wait for the hub.
func TestWhoHeldALockAndCannotBeFoundMayGoOn(t *testing.T) {
	for what, tt := range map[string]struct {
		locks, whole bool
		end          string
	}{
		"locks were seen":              {locks: true, end: "10m0s completed 50"},
		"and all is there by its kind": {locks: true, whole: true, end: "30s completed 50"},
		"no lock was seen":             {end: "30s completed 50"},
		"and all is there":             {whole: true, end: "30s completed 50"},
	} {
		t.Run(what, func(t *testing.T) {
			p := play(t, defaults)
			p.see(also(tidy, bytes(50*mb), func(l *sizer.Look) { l.Checkpoint.LockSeen, l.Whole = tt.locks, tt.whole }))
			p.until(time.Hour)
			if told := p.told(); told[len(told)-1] != tt.end {
				t.Errorf("told %q, want %s", told, tt.end)
			}
		})
	}
}

// What grew in the root unclaimed is no reason to end a download sooner than quiet
// does, if it is waited for a stall for less.
func TestAnUnclaimedFileEndsNothingBeforeQuietDoes(t *testing.T) {
	set := defaults
	set.StallAfter = 15 * time.Second
	p := play(t, set)
	p.see(also(tidy, bytes(50*mb), func(l *sizer.Look) { l.Unclaimed = 1 }))
	p.until(time.Minute)
	p.want("0s preparing 50", "0s started 50", "30s ended 50")
}

// Who left a file in the root is gone: nothing more comes of him.
func TestAnUnclaimedFileOfOneWhoIsGoneEndsADownloadSoon(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	p.see(also(tidy, func(l *sizer.Look) { l.Unclaimed = 1 }))
	p.until(time.Hour)
	p.want("0s preparing 50", "0s started 50", "30s ended 50")
}

// After a restart there are fewer bytes, since a client without locks has begun again
// meanwhile, which shows as soon as it writes: no line tells of fewer before that.
func TestFewerBytesAreToldByTheLineThatSaysWhy(t *testing.T) {
	p := play(t, defaults)
	p.see(also(bytes(500*mb), func(l *sizer.Look) { l.Partials = 1 }))
	p.until(50 * time.Second)
	p.restart(2 * time.Minute)
	p.see(func(l *sizer.Look) { l.Bytes, l.Partials = 300*mb, 0 })
	p.until(p.now.Sub(p.start) + 4*time.Minute)
	p.see(also(bytes(310*mb), func(l *sizer.Look) { l.Partials = 1 }))
	told := p.told()
	if last := told[len(told)-1]; p.count(Keepalive) > 0 || p.count(Restarted) != 1 {
		t.Errorf("the last is %s of %q", last, told)
	}
}

// Nor while the disk can't be read.
func TestNoLineSaysHowLongNothingCameWhileNothingCanBeRead(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	p.look.Unreadable = errors.New("permission denied")
	p.until(5 * time.Minute)
	if e := p.last(Keepalive); e.Reason == "" || e.LastMinute != 0 {
		t.Errorf("it says %+v", e)
	}
	p.look.Unreadable = nil
	p.until(8 * time.Minute)
	if e := p.last(Keepalive); e.Silence < time.Minute || e.Silence > 3*time.Minute {
		t.Errorf("then it says %v", e.Silence)
	}
}

// Who has stood still for long, and then lets go of his lock, may be about to go on:
// what grew in the root unclaimed doesn't end his download at once.
func TestAnUnclaimedFileEndsNothingAtOnceBehindAStall(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb), func(l *sizer.Look) { l.Unclaimed = 1 }))
	p.until(20 * time.Minute)
	p.see(idle)
	p.until(30 * time.Minute)
	p.want("0s preparing 50", "0s started 50", "10m0s stalled 50", "20m30s ended 50")
}

// Who gives up after a stall takes a partial with him, and may have finished another
// file: that is no moving again.
func TestWhoGivesUpAfterAStallIsNotMovingAgain(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(80*mb)))
	p.until(20 * time.Minute)
	p.see(also(tidy, func(l *sizer.Look) { l.Bytes, l.Arrived, l.Failed = 60*mb, 5*mb, 1 }))
	p.until(time.Hour)
	p.want("0s preparing 80", "0s started 80", "10m0s stalled 80", "21m0s interrupted 60")
}

// A client that fetches again what is there (Rust's hf-hub up to 0.3) is counted
// twice while it writes to the root: what no longer counts then is not missing.
func TestBytesThatWereCountedTwiceAreNotMissing(t *testing.T) {
	p := play(t, defaults)
	p.see(bytes(407 * mb))
	p.until(10 * time.Second)
	p.see(also(bytes(525*mb), func(l *sizer.Look) { l.Partials = 1 }))
	p.until(20 * time.Second)
	p.see(func(l *sizer.Look) { l.Bytes, l.Partials, l.Doubled = 407*mb, 0, true })
	p.see(func(l *sizer.Look) { l.Doubled = false })
	p.until(time.Hour)
	p.want("0s preparing 407", "0s started 407", "0s progress 407", "10s progress 525", "20s restarted 407", "50s unlisted 407", "50s completed 407")
}

// What came while no daemon ran, or while nothing could be seen, did not come in the
// last minute.
func TestTheLastMinuteHasNothingOfWhatCameUnseen(t *testing.T) {
	for name, away := range map[string]func(p *player){
		"a restart": func(p *player) { p.restart(5 * time.Minute) },
		"a disk that can't be read": func(p *player) {
			p.look.Unreadable = errors.New("input/output error")
			p.until(p.now.Sub(p.start) + 5*time.Minute)
			p.look.Unreadable = nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t, defaults)
			p.see(also(by(vllm), bytes(mb)))
			p.until(30 * time.Second)
			away(p)
			back := p.now.Sub(p.start)
			for i := range int64(20) {
				p.see(also(by(vllm), bytes((30+i)*mb)))
				p.until(back + time.Duration(i+1)*5*time.Second)
			}
			alive := 0
			for _, e := range p.events {
				if e.Kind == Keepalive && e.At.Sub(p.start) > back {
					alive++
					if e.LastMinute > 12*mb || e.Silence != 0 || e.Uncounted {
						t.Errorf("%v after that it says %d, %v", e.At.Sub(p.start)-back, e.LastMinute, e.Silence)
					}
				}
			}
			if alive == 0 {
				t.Errorf("it says nothing: %v", p.events)
			}
		})
	}
}

// Whoever deletes a model takes finished files before the rest: nobody begins again.
func TestADownloadThatIsBeingDeletedDoesNotBeginAgain(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb), func(l *sizer.Look) { l.Partials = 1 }))
	p.see(func(l *sizer.Look) { l.Bytes, l.Vanished = 20*mb, true })
	p.see(func(l *sizer.Look) { l.Gone = true })
	if p.count(Restarted) != 0 || p.count(Removed) != 1 {
		t.Errorf("told %q", p.told())
	}
}

// A file that is left in the root may be one that the download lacks.
func TestAFileThatIsLeftInTheRootIsAgainstSuccess(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	p.see(also(tidy, func(l *sizer.Look) { l.Doubtful = 1 }))
	p.until(time.Hour)
	p.want("0s preparing 50", "0s started 50", "30s ended 50")
}

// Who takes a lock after a long silence has brought nothing yet, and is not stalled
// before he has had his time.
func TestWhoHasJustComeIsNotStalled(t *testing.T) {
	p := play(t, defaults)
	p.see(also(bytes(50*mb), func(l *sizer.Look) { l.Partials = 1 }))
	p.until(9 * time.Minute)
	p.see(also(bytes(50*mb), func(l *sizer.Look) { l.Partials, l.Locked = 1, true }))
	p.until(18 * time.Minute)
	if told := p.told(); slices.ContainsFunc(told, func(line string) bool { return strings.Contains(line, "stalled") }) {
		t.Fatalf("told %q", told)
	}
	p.until(20 * time.Minute)
	if told := p.told(); !slices.ContainsFunc(told, func(line string) bool { return strings.Contains(line, "19m0s stalled") }) {
		t.Errorf("told %q", told)
	}
}

// Of very many files only numbers are kept: no end rests on them before they were
// counted anew.
func TestNothingEndsWhileItsFilesAreCountedAnew(t *testing.T) {
	set := defaults
	set.QuietAfter = 3 * time.Second
	p := play(t, set)
	p.see(also(bytes(50*mb), by(vllm)))
	p.see(also(tidy, bytes(50*mb), func(l *sizer.Look) { l.Recounting = true }))
	p.until(14 * time.Second)
	p.want("0s preparing 50", "0s started 50")
	p.see(also(tidy, bytes(50*mb), func(l *sizer.Look) { l.Recounting = false }))
	p.until(time.Minute)
	p.want("0s preparing 50", "0s started 50", "14s unlisted 50", "14s completed 50")
}

// What is found when they are was brought by those who are gone, and no stranger.
func TestWhatIsFoundWhenFilesAreCountedAnewIsNoStrangers(t *testing.T) {
	p := play(t, defaults)
	p.see(also(bytes(50*mb), by(vllm), func(l *sizer.Look) { l.Partials = 1 }))
	p.see(also(killed, func(l *sizer.Look) { l.Partials, l.Unfinished, l.Recounting = 0, 1, true }))
	p.until(15 * time.Second)
	p.see(also(bytes(54*mb), func(l *sizer.Look) { l.Recounting = false }))
	p.see(bytes(54 * mb))
	p.until(2 * time.Minute)
	p.want("0s preparing 50", "0s started 50", "1m15s interrupted 54")
}

// A link that is made is a sign of life, though no byte comes with it.
func TestAFileMoreInItsPlaceIsASignOfLife(t *testing.T) {
	p := play(t, defaults)
	p.see(also(bytes(50*mb), by(vllm), func(l *sizer.Look) { l.FilesDone = 9 }))
	p.see(also(tidy, bytes(50*mb), func(l *sizer.Look) { l.FilesDone = 9 }))
	p.until(20 * time.Second)
	p.see(also(tidy, bytes(50*mb), func(l *sizer.Look) { l.FilesDone = 10 }))
	p.until(time.Minute)
	p.want("0s preparing 50", "0s started 50", "50s unlisted 50", "50s completed 50")
}

// Each other look sees bytes that can't be counted. The ticks in between say so, too.
func TestKeepalivesGoOnWhereEachOtherLookSeesWhatCantBeCounted(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	for range 4 * 60 {
		p.jump(600 * time.Millisecond)
		p.see(func(l *sizer.Look) { l.Unseen, l.Arrived = true, 0 })
		p.jump(400 * time.Millisecond)
		p.see(func(l *sizer.Look) { l.Unseen = false })
		p.follow(func() []Event { return p.d.tick(p.now) })
	}
	if n := p.count(Keepalive); n != 4 || !p.last(Keepalive).Uncounted {
		t.Errorf("%d keepalives: %q", n, p.told())
	}
}

// While finished files vanish nothing moves again with fewer bytes than were told.
func TestNothingMovesAgainWhileFilesVanish(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(500*mb)))
	p.see(also(tidy, bytes(500*mb), func(l *sizer.Look) { l.Failed = 1 }))
	p.until(2 * time.Minute)
	p.see(also(by(vllm), bytes(10*mb), func(l *sizer.Look) { l.Vanished, l.Partials, l.Locked = true, 1, true }))
	p.see(func(l *sizer.Look) { l.Vanished = false })
	told := p.told()
	if slices.ContainsFunc(told, func(line string) bool { return strings.Contains(line, "moving 10") }) || p.count(Restarted) != 1 {
		t.Errorf("told %q", told)
	}
}

// A retry may be over between two looks: what it has brought was counted as what the
// attempt before had left, and only the number of files tells of it.
func TestARetryThatFinishesWhatWasLeftMovesAgain(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(500*mb), func(l *sizer.Look) { l.FilesDone = 4 }))
	p.see(also(tidy, bytes(500*mb), func(l *sizer.Look) { l.Failed, l.FilesDone = 1, 4 }))
	p.until(2 * time.Minute)
	if p.count(Interrupted) != 1 {
		t.Fatalf("told %q", p.told())
	}
	p.see(also(tidy, bytes(500*mb), func(l *sizer.Look) { l.Failed, l.FilesDone, l.Arrived = 0, 5, 0 }))
	p.until(5 * time.Minute)
	if p.count(Moving) != 1 || p.count(Completed) != 1 {
		t.Errorf("told %q", p.told())
	}
}

// Who begins again and is gone at the next look has not moved with fewer bytes than
// were told.
func TestWhoBeganAgainAfterAnInterruptionAndIsGoneHasNotMoved(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(500*mb)))
	p.see(also(tidy, bytes(500*mb), func(l *sizer.Look) { l.Failed = 1 }))
	p.until(2 * time.Minute)
	p.see(also(by(hf), tidy, bytes(10*mb), func(l *sizer.Look) { l.Alive, l.Failed, l.Arrived = []bool{false}, 1, 10*mb }))
	if p.count(Interrupted) != 1 || p.count(Moving) != 0 || p.count(Restarted) != 1 {
		t.Errorf("told %q", p.told())
	}
}

// Who looks at very many files rests long after it. That is known, so it is no disk that
// hangs, nothing is said of bytes that nobody could see, and all of it counts.
func TestARestThatWasPlannedIsNeitherBlindnessNorSilence(t *testing.T) {
	p := play(t, defaults)
	rests := func(l *sizer.Look) { l.Rest = 100 * time.Second }
	p.see(also(by(vllm), bytes(50*mb), rests))
	p.blind(100 * time.Second)
	if e := p.last(Keepalive); p.count(Keepalive) != 1 || e.Reason != "" || !e.Uncounted {
		t.Errorf("told %q, %+v", p.told(), e)
	}
	p.see(also(tidy, bytes(60*mb)))
	p.blind(200 * time.Second)
	p.see(nil)
	if p.count(Completed) != 1 {
		t.Errorf("told %q", p.told())
	}
}

func TestAPauseThatWasNotPlannedIsBlindness(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb), func(l *sizer.Look) { l.Rest = 10 * time.Second }))
	p.blind(100 * time.Second)
	if e := p.last(Keepalive); e.Reason == "" {
		t.Errorf("told %q, %+v", p.told(), e)
	}
}

// Nobody has finished anything where a loader has taken a lock, or a listing has come: more
// files count then.
func TestFilesThatCountInAnotherWayMoveNothing(t *testing.T) {
	for what, change := range map[string]func(*sizer.Look){
		"a lock":          func(l *sizer.Look) { l.Locked = true },
		"a listing comes": func(l *sizer.Look) { l.TotalSource, l.Total, l.Files, l.Missing = sizer.FromHub, 90*mb, 3, 1 },
	} {
		t.Run(what, func(t *testing.T) {
			p := play(t, defaults)
			p.see(also(by(hf), bytes(50*mb), func(l *sizer.Look) { l.FilesDone = 1 }))
			p.see(also(tidy, func(l *sizer.Look) { l.Failed = 1 }))
			p.until(2 * time.Minute)
			p.see(also(change, func(l *sizer.Look) { l.FilesDone = 2 }))
			if p.count(Interrupted) != 1 || p.count(Moving) != 0 {
				t.Errorf("told %q", p.told())
			}
		})
	}
}
