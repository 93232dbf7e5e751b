package sizer

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// memory is a budget for listings, as package account keeps it.
type memory struct {
	mu          sync.Mutex
	left, taken int64
	granted, no int
}

func (m *memory) reserve(n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n > m.left-m.taken {
		m.no++
		return false
	}
	if n > 0 {
		m.granted++
	}
	m.taken += n
	return true
}

func (m *memory) now() (taken int64, granted, refused int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken, m.granted, m.no
}

// given gives the cache's root such a budget.
func (c *cache) given(left int64) *memory {
	m := &memory{left: left}
	c.opts.Reserve = m.reserve
	c.root = NewRoot(c.opts)
	return m
}

// commits are as many as a root may know.
func commits() (all []string) {
	for i := range maxRevisions {
		all = append(all, fmt.Sprintf("%040x", 0xabc+i))
	}
	return all
}

// bigListing is the text of a listing of so many files, as short as it can be.
func bigListing(files int) string {
	var text strings.Builder
	text.WriteString(`{"format_version":1,"files":{"a.bin":{"size":1000,"blob_id":"` + etag("a") + `"}`)
	for i := range files - 1 {
		fmt.Fprintf(&text, `,"%x":{"size":1,"blob_id":"%040x"}`, i, i)
	}
	text.WriteString("}}")
	return text.String()
}

// One listing under the names of 16 commits took 500 MB: each was parsed, for a
// partial that none of them has.
func TestAListingOfSeveralCommitsIsReadOnce(t *testing.T) {
	c := newCache(t)
	m := c.given(1 << 40)
	c.look()
	c.list(commits()[0], map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}})
	for _, commit := range commits()[1:] {
		c.must(os.Link(c.in(demo, "trees", commits()[0]+".json"), c.in(demo, "trees", commit+".json")))
	}
	c.partial("x", ".01234567.incomplete", 1000)
	c.lock(42, "x")
	c.look()
	if _, granted, _ := m.now(); granted != 1 {
		t.Errorf("read %d times", granted)
	}
}

// Of many revisions only those are read that something is done for.
func TestOnlyListingsInPlayAreRead(t *testing.T) {
	c := newCache(t)
	m := c.given(1 << 40)
	c.look()
	for i, commit := range commits() {
		c.list(commit, map[string]listedFile{"a.bin": {fmt.Sprint("a", i), mib}, "b.bin": {"b", mib}})
		at := time.Now().Add(time.Duration(i-100) * time.Minute)
		c.must(os.Chtimes(c.in(demo, "trees", commit+".json"), at, at))
	}
	if _, granted, _ := m.now(); granted != 0 {
		t.Errorf("at rest: read %d", granted)
	}
	c.partial(fmt.Sprint("a", maxRevisions-1), ".01234567.incomplete", 1000)
	c.lock(42, fmt.Sprint("a", maxRevisions-1))
	if l := c.look(); l.Total != 2*mib {
		t.Errorf("total %d", l.Total)
	}
	if _, granted, _ := m.now(); granted != 1 {
		t.Errorf("for a file of the newest: read %d", granted)
	}
	c.partial("a3", ".01234567.incomplete", 1000)
	c.lock(42, "a3")
	if l := c.look(); len(l.Revisions) != 2 || l.Revisions[1] != commits()[3] {
		t.Errorf("revisions %v", l.Revisions)
	}
}

// Where there is no memory for a listing there is no total, and no success
// either: what it lists may be missing.
func TestAListingBeyondTheBudgetIsNotRead(t *testing.T) {
	c := newCache(t)
	m := c.given(1 << 20)
	c.look()
	c.must(os.MkdirAll(c.in(demo, "trees"), 0o755))
	c.must(os.WriteFile(c.in(demo, "trees", commitA+".json"), []byte(bigListing(10_000)), 0o644))
	c.partial("a", ".01234567.incomplete", 1000)
	c.lock(42, "a")
	for range 5 {
		c.look()
	}
	if taken, granted, refused := m.now(); taken != 0 || granted != 0 || refused != 1 {
		t.Errorf("taken %d, granted %d, refused %d times", taken, granted, refused)
	}
	c.unlock("a")
	c.finish("a", ".01234567.incomplete", commitA, "a.bin")
	if l := c.look(); l.Total != 0 || l.Missing == 0 || l.Proof != NoProof {
		t.Errorf("look %+v", l)
	}
	m.mu.Lock()
	m.left = 1 << 30
	m.mu.Unlock()
	c.now = c.now.Add(refusedAgain)
	if l := c.look(); l.Total == 0 {
		t.Errorf("with memory again: look %+v", l)
	}
}

// The budget is what is really in use: measured, and given back when that is.
func TestWhatAListingTakesIsChargedAndGivenBack(t *testing.T) {
	c := newCache(t)
	m := c.given(1 << 40)
	c.look()
	const files = 20_000
	c.must(os.MkdirAll(c.in(demo, "trees"), 0o755))
	c.must(os.WriteFile(c.in(demo, "trees", commitA+".json"), []byte(bigListing(files)), 0o644))
	before := heap()
	c.write(c.in(demo, "blobs", fmt.Sprintf("%040x.01234567.incomplete", 7)), 1)
	c.look()
	used := heap() - before
	taken, _, _ := m.now()
	if l := c.look(); l.Files != files {
		t.Errorf("%d files", l.Files)
	}
	if used > taken || used < taken/2 {
		t.Errorf("%d bytes were charged, %d are used", taken, used)
	}
	t.Logf("%d bytes were charged, %d are used", taken, used)
	c.must(os.RemoveAll(c.in(demo, "")))
	c.look()
	for deadline := time.Now().Add(10 * time.Second); taken != 0 && time.Now().Before(deadline); {
		runtime.GC()
		runtime.Gosched()
		taken, _, _ = m.now()
	}
	if taken != 0 {
		t.Errorf("%d bytes are charged after all is gone", taken)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// Where the root's numbers don't tell it from others, no link on the way to it is
// followed either.
func TestARootOnANetworkIsReachedThroughNoLink(t *testing.T) {
	c := newCache(t)
	c.opts.Vague, c.opts.Unlinked = true, true
	c.root = NewRoot(c.opts)
	c.partial("a", ".01234567.incomplete", 1000)
	if l := c.look(); l.Unreadable != nil {
		t.Fatalf("look %+v", l)
	}
	c.must(os.Rename(c.path, c.path+".elsewhere"))
	c.must(os.Symlink(c.path+".elsewhere", c.path))
	if l := c.look(); l.Unreadable == nil {
		t.Errorf("a link was followed: look %+v", l)
	}
}

// A root that is unmounted, or read in by a new configuration, in the middle of a download
// gives back what its listings, and the files that are kept as numbers, have taken.
func TestARootThatIsGivenUpGivesBackWhatItHasTaken(t *testing.T) {
	inMemory(t)
	c := newCache(t)
	m := c.given(1 << 40)
	c.list(commitB, map[string]listedFile{"x.bin": {"x", mib}})
	c.followMany(kinds["cache"], many)
	c.partial("x", ".01234567.incomplete", 1000)
	c.lock(42, "x")
	c.look()
	if _, granted, _ := m.now(); granted < 2 {
		t.Fatalf("%d times something was taken, for a listing and for numbers", granted)
	}
	c.root = nil
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		runtime.GC()
		taken, _, _ := m.now()
		if taken == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d bytes are taken for nobody", taken)
		}
	}
}
