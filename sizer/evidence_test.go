package sizer

import (
	"slices"
	"testing"
)

// Clients that link behind their blobs (Rust's hf-hub before 1.0, llama.cpp) show
// their revision late: until then only what they write is theirs.
func TestARevisionIsNotGuessedFromWhatItsClientWontFetch(t *testing.T) {
	for what, tt := range map[string]struct {
		partials []string
		revision []string
		bytes    int64
	}{
		"what it lists and lacks is fetched for it": {[]string{"lacking"}, []string{commitA}, 2*mib + 1000},
		"what it has linked is fetched for another": {[]string{"linked"}, nil, 300},
		"and so is what comes with something else":  {[]string{"lacking", "other"}, nil, 600},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}, "linked.json": {"linked", 700}, "config.json": {"lacking", 700}})
			c.whole("a", 2*mib, commitA, "a.bin")
			c.whole("linked", 700, commitA, "linked.json")
			c.age()
			c.watch(c.now, nil)
			c.run(42, "router")
			for _, word := range tt.partials {
				c.lock(42, word)
				c.partial(word, ".downloadInProgress", 300)
			}
			if l := c.look(); l.Bytes != tt.bytes || !slices.Equal(l.Revisions, tt.revision) {
				t.Fatalf("look %+v", l)
			}
		})
	}
}
