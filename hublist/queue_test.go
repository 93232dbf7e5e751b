package hublist

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A bench is a desk with a clock of its own.
type bench struct {
	fetchQueue
	t   *testing.T
	now time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return &bench{t: t, now: time.Now()}
}

func (b *bench) wish(r request) bool {
	_, ok, _ := b.ask(b.now, r)
	return ok
}

func (b *bench) expect(do step, r request, pause time.Duration) {
	b.t.Helper()
	gotDo, gotR, gotPause := b.next(b.now)
	if gotDo != do || gotR != r || gotPause != pause {
		b.t.Fatalf("next is %d %v %v, want %d %v %v", gotDo, gotR, gotPause, do, r, pause)
	}
}

// fetches lets the hub answer what is next.
func (b *bench) fetches(r request, err error) {
	b.t.Helper()
	b.expect(toFetch, r, 0)
	b.fetched(b.now, r, err)
	if err == nil {
		b.answered(b.now, r, listingOf("a"))
	}
}

func (b *bench) after(d time.Duration) { b.now = b.now.Add(d) }

var errDown = errors.New("down")

func TestAWishIsLookedUpThenFetchedAndHandedOutOnce(t *testing.T) {
	b := newBench(t)
	b.expect(toRest, request{}, 0)
	b.wish(demoA)
	b.wish(demoA)
	b.expect(toLook, demoA, 0)
	b.notShelved(demoA)
	b.fetches(demoA, nil)
	if !b.wish(demoA) {
		t.Fatal("the answer isn't handed out")
	}
	b.expect(toRest, request{}, 0)
	if b.wish(demoA) {
		t.Fatal("the answer is kept in memory")
	}
	b.expect(toLook, demoA, 0)
}

func TestWhatIsOnDiskNeedsNoHub(t *testing.T) {
	b := newBench(t)
	b.wish(demoA)
	b.notShelved(demoA)
	b.fetches(demoA, errDown)
	b.wish(demoB)
	b.expect(toLook, demoB, 0)
	b.answered(b.now, demoB, listingOf("b"))
	if !b.wish(demoB) {
		t.Fatal("an answer on disk waited for a hub that is down")
	}
}

func TestTroubleIsForAllAndItsPauseDoubles(t *testing.T) {
	b := newBench(t)
	b.wish(demoA)
	b.notShelved(demoA)
	for _, seconds := range []int{5, 10, 20, 40, 80, 160, 320, 600, 600} {
		pause := time.Duration(seconds) * time.Second
		b.wish(demoA)
		b.fetches(demoA, errDown)
		b.expect(toWait, request{}, pause)
		b.after(pause)
	}
	b.wish(demoA)
	b.fetches(demoA, nil)
	if b.down {
		t.Error("still down after an answer")
	}
	b.wish(demoB)
	b.notShelved(demoB)
	b.expect(toWait, request{}, spacing)
	b.after(spacing)
	b.fetches(demoB, errDown)
	b.expect(toWait, request{}, firstPause)
}

func TestAListingThatFailsAgainAndAgainGivesWay(t *testing.T) {
	b := newBench(t)
	b.wish(demoA)
	b.wish(demoB)
	b.notShelved(demoA)
	b.notShelved(demoB)
	for i := range 2*maxTries - 1 {
		b.fetches([]request{demoA, demoB}[i%2], errDown)
		b.wish(demoA)
		b.wish(demoB)
		b.after(lastPause)
	}
	b.fetches(demoB, nil)
	b.wish(demoA)
	if !b.wish(demoB) {
		t.Fatal("the other is not answered")
	}
	b.expect(toRest, request{}, 0)
}

func TestANoIsRememberedForAnHourAndForThatCommitOnly(t *testing.T) {
	for _, err := range []error{&refusedError{status: 404}, errUnusable} {
		b := newBench(t)
		b.wish(demoA)
		b.notShelved(demoA)
		b.fetches(demoA, fmt.Errorf("wrapped: %w", err))
		b.wish(demoA)
		b.expect(toRest, request{}, 0)
		b.wish(demoB)
		b.expect(toLook, demoB, 0)
		b.answered(b.now, demoB, listingOf("b"))
		b.wish(demoB)
		b.after(refusal - 1)
		b.wish(demoA)
		b.expect(toRest, request{}, 0)
		b.after(1)
		b.wish(demoA)
		b.expect(toLook, demoA, 0)
	}
}

func TestTheHubsOwnWaitIsObeyedWithinReason(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		0: firstPause, time.Minute: time.Minute, 24 * time.Hour: longestWait,
	} {
		b := newBench(t)
		b.wish(demoA)
		b.notShelved(demoA)
		b.fetches(demoA, &busyError{429, asked})
		b.expect(toWait, request{}, want)
	}
}

func TestWhatNobodyWantsAnyMoreIsForgotten(t *testing.T) {
	b := newBench(t)
	b.wish(demoA)
	b.notShelved(demoA)
	b.fetches(demoA, nil)
	b.wish(demoB)
	b.after(unwanted + 1)
	b.expect(toRest, request{}, 0)
	if len(b.ready)+len(b.wishes) != 0 {
		t.Errorf("kept: %+v", b.fetchQueue)
	}
}

func TestADeskIsBounded(t *testing.T) {
	b := newBench(t)
	many := func(i int) request { return request{demo, strings.Repeat("0", 30) + fmt.Sprintf("%010d", i)} }
	for i := range 2 * maxRefused {
		b.wish(many(i))
		b.refuse(b.now, many(20_000+i))
	}
	if len(b.wishes) != maxWishes || len(b.refused) != maxRefused {
		t.Errorf("%d wishes, %d refused", len(b.wishes), len(b.refused))
	}
	large := listingOf(make([]string, maxReady/2)...)
	for i := range 3 {
		b.answered(b.now, many(i), large)
	}
	if len(b.ready) != 2 || b.ready[1].request != many(2) {
		t.Errorf("%d answers wait", len(b.ready))
	}
}
