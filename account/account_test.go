package account

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// passTime lets the time of a synctest bubble pass.
func passTime(d time.Duration) { <-time.After(d) }

func newTestBook(said *bytes.Buffer) *Book {
	return NewBook(nil, slog.New(slog.NewTextHandler(said, nil)))
}

// However much the users before have taken, there is something left for the next
// one, and what is given back can be taken again.
func TestHeldIsShared(t *testing.T) {
	b := newTestBook(&bytes.Buffer{})
	all := Downloads.Limit().All
	take := func(u User) (n int64) {
		for b.Take(u, Downloads, 1) {
			n++
		}
		return n
	}
	if got := take(1); got != all/2 {
		t.Errorf("the first user got %d of %d", got, all)
	}
	if got := take(2); got != all/4 {
		t.Errorf("the second got %d of %d", got, all)
	}
	for u := User(3); u < 9; u++ {
		if take(u) == 0 {
			t.Errorf("user %d got nothing", u)
		}
	}
	if b.Take(1, Downloads, 1) {
		t.Error("the first got more than its share")
	}
	b.Give(1, Downloads, all/2)
	if got := take(1); got < all/4 {
		t.Errorf("after all was given back the first got %d", got)
	}
}

// Of some things users who work together need more of them to have all.
func TestPartsOfWhatTheOthersLeave(t *testing.T) {
	b := newTestBook(&bytes.Buffer{})
	b.Has(Watches, 800)
	take := func(u User, what Resource) (n int64) {
		for b.Take(u, what, 1) {
			n++
		}
		return n
	}
	for _, c := range []struct {
		what Resource
		want []int64
	}{{Connections, []int64{64, 48, 36, 27}}, {Watches, []int64{700, 87, 11}}} {
		for u, want := range c.want {
			if got := take(User(u), c.what); got != want {
				t.Errorf("%v: user %d got %d, want %d", c.what, u, got, want)
			}
		}
	}
}

// What is kept of numbers that are lent to a user is that user's.
func TestMostOfCountsWhoPays(t *testing.T) {
	o := &Owners{ranges: []idRange{{100_000, 65_536, 1000}}, read: time.Now()}
	b := NewBook(o, slog.New(slog.DiscardHandler))
	kept := []User{7, 7, 100_001, 100_002, 100_003}
	if got := MostOf(b, slices.Values(kept), func(u User) User { return u }); got != 1000 {
		t.Errorf("%v has the most", got)
	}
	if got := MostOf(nil, slices.Values(kept), func(u User) User { return u }); got != 7 {
		t.Errorf("without accounts %v has the most", got)
	}
}

func TestWhatIsTooMuchIsRefused(t *testing.T) {
	b := newTestBook(&bytes.Buffer{})
	for _, n := range []int64{-1, Listings.Limit().All, Listings.Limit().All/2 + 1, 1 << 62} {
		if b.Take(1, Listings, n) {
			t.Errorf("%d bytes were given", n)
		}
	}
	b.Give(1, Listings, 100) // never taken
	if got := b.Held(1, Listings); got != 0 {
		t.Errorf("a user holds %d", got)
	}
	if !b.Take(1, Listings, Listings.Limit().All/2) {
		t.Error("half of all is refused to the only one")
	}
}

func TestABucketIsEachUsersOwnAndFills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestBook(&bytes.Buffer{})
		limit := Reports.Limit()
		spend := func(u User) (n int64) {
			for b.Wait(u, Reports) == 0 {
				b.Spend(u, Reports, 1)
				n++
			}
			return n
		}
		if got := spend(1); got != limit.Burst {
			t.Errorf("at once: %d, want %d", got, limit.Burst)
		}
		if got := spend(2); got != limit.Burst {
			t.Errorf("another user: %d, want %d", got, limit.Burst)
		}
		for range 10 { // a little at a time comes to as much
			passTime(100 * time.Millisecond)
			b.Wait(1, Reports)
		}
		if got := spend(1); got != limit.Rate {
			t.Errorf("in a second: %d, want %d", got, limit.Rate)
		}
		wait := b.Wait(1, Reports)
		if want := time.Second / time.Duration(limit.Rate); wait <= 0 || wait > want {
			t.Errorf("to wait: %v, want at most %v", wait, want)
		}
		passTime(wait)
		if b.Wait(1, Reports) > 0 {
			t.Error("after the wait there is nothing")
		}
		passTime(time.Hour)
		if got := spend(1); got != limit.Burst {
			t.Errorf("after an hour: %d, want %d", got, limit.Burst)
		}
	})
}

func TestWhoOwesWaitsForAsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestBook(&bytes.Buffer{})
		limit := Looks.Limit()
		b.Spend(1, Looks, limit.Burst+limit.Rate)
		if wait := b.Wait(1, Looks); wait < 990*time.Millisecond || wait > 1010*time.Millisecond {
			t.Errorf("a second's worth is owed, to wait: %v", wait)
		}
	})
}

func TestARefusalIsSaidOnceAndShownForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		b := newTestBook(&said)
		for range 5 {
			b.Take(1001, Listings, 1<<40)
			b.Refused(1002, Names)
		}
		if n := strings.Count(said.String(), "level=WARN"); n != 2 || !strings.Contains(said.String(), "uid=1001") {
			t.Errorf("said %d times:\n%s", n, said.String())
		}
		if got, want := b.Over(), []string{"uid 1001: memory for listings", "uid 1002: remembered repositories"}; !slices.Equal(got, want) {
			t.Errorf("over: %q", got)
		}
		passTime(lately)
		if got := b.Over(); len(got) > 0 {
			t.Errorf("a minute later: %q", got)
		}
		b.Take(1001, Listings, 1<<40)
		passTime(Told)
		b.Take(1001, Listings, 1<<40)
		if n := strings.Count(said.String(), "uid=1001"); n != 2 {
			t.Errorf("an hour later: said %d times", n)
		}
	})
}

func TestWhatIsRememberedOfUsersIsBounded(t *testing.T) {
	b := newTestBook(&bytes.Buffer{})
	for u := range User(3 * maxBuckets) {
		b.Wait(u, Hellos)
		b.Take(u, Listings, 1<<40)
	}
	if n := len(b.flows[Hellos]); n > maxBuckets {
		t.Errorf("%d buckets", n)
	}
	if n := len(b.over); n > maxOver {
		t.Errorf("%d refusals", n)
	}
}

// A user that runs as many others, as newuidmap(1) lets it, has one account.
func TestLentNumbersAreTheLenders(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	o := &Owners{
		open:   os.Open,
		passwd: write("passwd", "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\nbroken\n"),
		subIDs: write("subuid", "alice:100000:65536\n1007:165536:65536\nnobody-knows:300000:10\nalice:1000:5\nx:y\n"),
	}
	for u, want := range map[User]User{
		0: 0, 1000: 1000, Unknown: Unknown, 99999: 99999, 100000: 1000, 165535: 1000, 165536: 1007, 231071: 1007, 231072: 231072, 300000: 300000,
	} {
		if got := o.Of(u); got != want {
			t.Errorf("%d is %d's, want %d", u, got, want)
		}
	}
	b := NewBook(o, slog.New(slog.DiscardHandler))
	n := 0
	for u := range User(65536) {
		if b.Take(100_000+u, Downloads, 1) {
			n++
		}
	}
	if want := int(Downloads.Limit().All / 2); n != want {
		t.Errorf("as many others a user got %d, want %d", n, want)
	}
}

func TestWithoutABookNothingIsBounded(t *testing.T) {
	var b *Book
	b.Spend(1, Lines, 1<<40)
	b.Give(1, Listings, 1)
	b.Refused(1, Names)
	if !b.Take(1, Listings, 1<<40) || b.Wait(1, Lines) != 0 || b.Over() != nil || b.Held(1, Listings) != 0 {
		t.Error("something is bounded")
	}
}

func TestMostIsTheOneWhoHasMost(t *testing.T) {
	for _, c := range []struct {
		by   map[User]int
		want User
	}{
		{nil, Unknown}, {map[User]int{5: 0}, Unknown}, {map[User]int{1: 3, 2: 9, 3: 8}, 2}, {map[User]int{Unknown: 3, 2: 1}, Unknown},
	} {
		if got := Most(c.by); got != c.want {
			t.Errorf("%v: %d, want %d", c.by, got, c.want)
		}
	}
}

// The table of the documentation is that of the program.
func TestTheFiguresAreDocumented(t *testing.T) {
	manual, err := os.ReadFile("../docs/man/progressd.8")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Resources() {
		if row := "| " + r.String() + " | " + r.Limit().String() + " | " + r.effect() + " |\n"; !strings.Contains(string(text), row) {
			t.Errorf("docs/reliability.md lacks %q", row)
		}
		if item := ".B " + r.String() + ": " + r.Limit().String() + "\n" + strings.ToUpper(r.effect()[:1]) + r.effect()[1:] + ".\n"; !strings.Contains(string(manual), item) {
			t.Errorf("progressd(8) lacks %q, to which a warning points", item)
		}
	}
}
