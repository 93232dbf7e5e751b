package sizer

import (
	"fmt"
	"testing"
)

func TestFilesInFlightAreNamedInOrderAndCountedAll(t *testing.T) {
	c := newCache(t)
	list := map[string]listedFile{}
	for i := range 12 {
		word := string(rune('l' - i)) // the names' order is not that of the etags
		list[fmt.Sprintf("file-%02d", i)] = listedFile{word, 2 * kib}
		c.partial(word, ".01234567.incomplete", 4*kib)
	}
	list["later"] = listedFile{"z", kib}
	c.list(commitA, list)
	l := c.look()
	if l.Partials != 12 || len(l.InFlight) != maxInFlight {
		t.Fatalf("%d named of %d: %+v", len(l.InFlight), l.Partials, l.InFlight)
	}
	for i, in := range l.InFlight {
		want := InFlight{Etag: etag(string(rune('l' - i))), Name: fmt.Sprintf("file-%02d", i), Bytes: 2 * kib, Size: 2 * kib}
		if in != want {
			t.Errorf("number %d is %+v, want %+v", i, in, want)
		}
	}
}

func TestAFileInFlightThatNothingListsHasItsEtagForAName(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".01234567.incomplete", 4*kib)
	l := c.look()
	if len(l.InFlight) != 1 || l.InFlight[0] != (InFlight{Etag: etag("a"), Name: etag("a"), Bytes: 4 * kib}) {
		t.Errorf("in flight is %+v", l.InFlight)
	}
}

func TestAFileInFlightIsNamedByTheCommandThatAsksForItAlone(t *testing.T) {
	for name, test := range map[string]struct {
		asked []string
		want  string
	}{
		"one file":                {[]string{"model.gguf"}, "model.gguf"},
		"two, one of them linked": {[]string{"config.json", "model.gguf"}, "model.gguf"},
		"two that are not there":  {[]string{"other.gguf", "model.gguf"}, etag("a")},
		"all":                     {nil, etag("a")},
		"a pattern":               {[]string{"--include", "*.gguf"}, etag("a")},
		"all beneath a directory": {[]string{"--include", "gguf/"}, etag("a")},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			c.whole("c", kib, commitA, "config.json")
			c.run(42, append([]string{"hf", "download", "org/demo"}, test.asked...)...)
			c.partial("a", ".01234567.incomplete", 4*kib)
			c.lock(42, "a")
			c.look()
			l := c.look()
			if len(l.InFlight) != 1 || l.InFlight[0].Name != test.want {
				t.Errorf("in flight is %+v, want %q", l.InFlight, test.want)
			}
		})
	}
}
