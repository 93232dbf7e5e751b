package tracker

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"progressd/sizer"
)

// free is a change to what the file system of number 1 has left.
func free(n int64) func(*sizer.Look) { return freeOn(1, n) }

func freeOn(dev uint64, n int64) func(*sizer.Look) {
	return func(l *sizer.Look) { l.Room = sizer.Room{Dev: dev, Size: 1000 * gb, Free: n} }
}

// sized is a change to a total that is known to be wanted, and its bytes.
func sized(total, at int64) func(*sizer.Look) {
	return also(listing(total, 9, 5), bytes(at), func(l *sizer.Look) { l.TotalSource = sizer.FromListing })
}

// upTo is sized for a total that is an upper bound.
func upTo(total, at int64) func(*sizer.Look) {
	return also(sized(total, at), func(l *sizer.Look) { l.TotalSource = sizer.FromListingAtMost })
}

// said are the lines about the disk, as "repo kind disk needed/free count".
func (c *commits) said() []string {
	var lines []string
	for _, e := range c.events {
		if e.Kind == LowSpace || e.Kind == SpaceBack {
			lines = append(lines, fmt.Sprintf("%s %s %s %d/%d %d", e.Repo.ID, e.Kind, e.Disk, e.Needed/mb, e.Free/mb, e.Count))
		}
	}
	return lines
}

// record is the newest committed record of each download, without those over.
func (c *commits) record() []Episode {
	newest := map[string]Episode{}
	for _, ep := range c.episodes {
		if ep != nil {
			newest[ep.ID] = *ep
		}
	}
	var open []Episode
	for _, ep := range newest {
		if !ep.Over() {
			open = append(open, ep)
		}
	}
	return open
}

// during shows the same looks each second.
func (e *engine) during(d time.Duration, looks ...func()) {
	for range int(d / time.Second) {
		for _, look := range looks {
			look()
		}
		pass(time.Second)
	}
}

func (e *engine) shows(id string, changes ...func(*sizer.Look)) func() {
	return func() { e.see("/hub", id, append([]func(*sizer.Look){by(cli)}, changes...)...) }
}

func TestRoomOnDisk(t *testing.T) {
	tests := []struct {
		name string
		play func(e *engine)
		want []string
	}{
		{"what fits is no matter", func(e *engine) {
			e.during(time.Hour, e.shows("a/b", sized(80*gb, gb), free(80*gb)))
		}, nil},
		{"what doesn't fit is said once, ahead", func(e *engine) {
			e.during(time.Hour, e.shows("a/b", sized(83*gb, gb), free(61*gb)))
		}, []string{"a/b low-space short 82000/61000 1"}},
		{"downloads of one file system are added up", func(e *engine) {
			e.during(time.Minute, e.shows("a/b", sized(40*gb, gb), free(61*gb)), e.shows("c/d", sized(40*gb, gb), free(61*gb)))
		}, []string{"a/b low-space short 78000/61000 2"}},
		{"downloads of two aren't", func(e *engine) {
			e.during(time.Minute, e.shows("a/b", sized(40*gb, gb), free(61*gb)), e.shows("c/d", sized(40*gb, gb), freeOn(2, 61*gb)))
		}, nil},
		{"an upper bound may not fit", func(e *engine) {
			e.during(time.Minute, e.shows("a/b", upTo(83*gb, gb), free(61*gb)))
		}, []string{"a/b low-space maybe-short 82000/61000 1"}},
		{"what may have been is, with another that is sure", func(e *engine) {
			e.during(time.Minute, e.shows("a/b", upTo(83*gb, gb), free(61*gb)))
			e.during(time.Minute, e.shows("a/b", upTo(83*gb, gb), free(61*gb)), e.shows("c/d", sized(90*gb, gb), free(61*gb)))
		}, []string{"a/b low-space maybe-short 82000/61000 1", "a/b low-space short 89000/61000 1"}},
		{"a first look that doesn't know the command line yet says nothing", func(e *engine) {
			e.during(time.Second, e.shows("a/b", upTo(83*gb, gb), free(61*gb)))
			e.during(time.Minute, e.shows("a/b", sized(40*gb, gb), free(61*gb)))
		}, nil},
		{"room again is said once, when it has stayed", func(e *engine) {
			e.during(time.Minute, e.shows("a/b", sized(83*gb, gb), free(61*gb)))
			e.during(30*time.Second, e.shows("a/b", sized(83*gb, gb), free(100*gb)))
			e.during(30*time.Second, e.shows("a/b", sized(83*gb, gb), free(61*gb)))
			e.during(time.Hour, e.shows("a/b", sized(83*gb, gb), free(100*gb)))
		}, []string{"a/b low-space short 82000/61000 1", "a/b enough-space enough 82000/100000 1"}},
		{"a little more than needed is not enough yet", func(e *engine) {
			e.during(time.Minute, e.shows("a/b", sized(83*gb, gb), free(61*gb)))
			e.during(time.Hour, e.shows("a/b", sized(83*gb, gb), free(83*gb)))
		}, []string{"a/b low-space short 82000/61000 1"}},
		{"one that joins doesn't say it again, nor after the first is done", func(e *engine) {
			e.during(time.Minute, e.shows("a/b", sized(83*gb, gb), free(61*gb)))
			e.during(time.Minute, e.shows("a/b", sized(83*gb, gb), free(61*gb)), e.shows("c/d", sized(90*gb, gb), free(61*gb)))
			e.see("/hub", "a/b", proof)
			e.during(time.Hour, e.shows("c/d", sized(90*gb, gb), free(61*gb)))
		}, []string{"a/b low-space short 82000/61000 1"}},
		{"who is gone needs no room", func(e *engine) {
			e.during(time.Minute, e.shows("a/b", sized(83*gb, gb), free(61*gb), killed), e.shows("c/d", sized(40*gb, gb), free(61*gb)))
		}, nil},
		{"preallocated room is taken already", func(e *engine) {
			ahead := func(l *sizer.Look) { l.Ahead = 30 * gb }
			e.during(time.Minute, e.shows("a/b", sized(83*gb, gb), free(61*gb), ahead))
		}, nil},
		{"where the file system doesn't say, nothing is said", func(e *engine) {
			unknown := func(l *sizer.Look) { l.Room = sizer.Room{} }
			e.during(time.Minute, e.shows("a/b", sized(83*gb, gb), unknown))
		}, nil},
		{"without a total nothing is said ahead", func(e *engine) {
			e.during(time.Minute, e.shows("a/b", bytes(gb), free(0)))
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := runEngine(t, nil, nil)
				tt.play(e)
				e.stop()
				if !slices.Equal(e.said(), tt.want) {
					t.Errorf("said %q, want %q", e.said(), tt.want)
				}
			})
		})
	}
}

func TestLowSpaceIsSaidOnceOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runEngine(t, nil, nil)
		one, two := sized(83*gb, gb), sized(90*gb, gb)
		e.during(time.Minute, e.shows("a/b", one, free(61*gb)), e.shows("c/d", two, free(61*gb)))
		e.see("/hub", "a/b", proof)
		e.stop()
		// Also in the log of another than that which is restored.
		next := runEngine(t, e.record(), nil)
		next.during(time.Hour, next.shows("c/d", two, free(61*gb)))
		next.during(time.Hour, next.shows("c/d", two, free(100*gb)))
		next.stop()
		if len(e.said()) != 1 || !slices.Equal(next.said(), []string{"c/d enough-space enough 89000/100000 1"}) {
			t.Errorf("said %q, then %q", e.said(), next.said())
		}
	})
}

func TestAFullDiskIsNotedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runEngine(t, nil, nil)
		e.see("/hub", "a/b", by(cli), sized(gb, 50*mb), free(gb))
		e.see("/hub", "a/b", by(cli), sized(gb, 60*mb), free(0))
		noted := e.record() // a kill leaves this
		e.stop()
		if len(noted) != 1 || !noted[0].DiskFull {
			t.Errorf("noted %+v", noted)
		}
	})
}

func TestSkewBetweenLooksIsNoShortage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runEngine(t, nil, nil)
		// Two write 1 GB a second each and just fit; one is looked at
		// seldom, so what it has written shows as room that is gone.
		room := int64(200 * gb)
		for s := range int64(90) {
			e.shows("a/b", sized(100*gb, s*gb), free(room-2*s*gb))()
			if s%5 == 0 {
				e.shows("c/d", sized(100*gb, s*gb), free(room-2*s*gb))()
			}
			pass(time.Second)
		}
		e.stop()
		if len(e.said()) != 0 {
			t.Errorf("said %q", e.said())
		}
	})
}

func TestSizeAndRoomWarningsAreNotLost(t *testing.T) {
	for _, kind := range []Kind{SizeDiffers, LowSpace} {
		if e := (Event{Kind: kind}); !e.Verdict() || e.Level() != Warning {
			t.Errorf("%s would be lost over a kill", kind)
		}
	}
}

func TestATotalIsExactUnlessPerhapsNotAllIsWanted(t *testing.T) {
	for source, want := range map[sizer.Source]bool{
		sizer.NoTotal: false, sizer.FromListing: true, sizer.FromListingAtMost: false, sizer.FromHub: true, sizer.FromHubAtMost: false,
	} {
		if got := (&download{look: sizer.Look{TotalSource: source}}).exact(); got != want {
			t.Errorf("%q is exact: %v", source, got)
		}
	}
}
