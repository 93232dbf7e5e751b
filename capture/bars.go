package capture

import (
	"regexp"
	"strings"
	"time"
)

// bar is a progress bar of tqdm, whatever its description:
// "Fetching 9 files:  33%|###   | 3/9 [00:12<00:24,  4.01s/it]".
var bar = regexp.MustCompile(`^(.*?):?\s*(\d{1,3})%\|[^|]*\|\s*(\S+)`)

// openBar is a bar of unknown length: "Downloading bytes: 12.3MB [00:01, 9.8MB/s]".
var openBar = regexp.MustCompile(`^([^:\[\]]+):\s*(\d[\d.]*\s?[kMGT]?i?B?)\s*\[\d+:\d\d`)

// A Bar is the state of a progress bar: "Fetching 9 files", "3/9".
type Bar struct {
	Name, State string
}

// ParseBar knows the bars that tqdm draws.
func ParseBar(text string) (Bar, bool) {
	// Most lines are none, and the expressions are slow to say so.
	if strings.Contains(text, "%|") {
		if m := bar.FindStringSubmatch(text); m != nil {
			return Bar{Name: named(m[1]), State: m[3] + " (" + m[2] + "%)"}, true
		}
	}
	if strings.Contains(text, "[") {
		if m := openBar.FindStringSubmatch(text); m != nil {
			return Bar{Name: named(m[1]), State: m[2]}, true
		}
	}
	return Bar{}, false
}

func named(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return "Progress"
	}
	return s
}

// barEvery is how often a bar makes a line.
const barEvery = time.Minute

// maxBars bounds how many bars are told apart: one for each file.
const maxBars = 64

// bars keeps the last state of each bar, and when one was told.
type bars struct {
	last map[string]Bar
	told time.Time
	// tell is the name of the newest that wasn't told.
	tell string
}

// draw notes a state and returns the bar if it is due: the first at once, then
// one a minute, whichever is drawn just then.
func (b *bars) draw(drawn Bar, now time.Time) (Bar, bool) {
	if b.last == nil {
		b.last = make(map[string]Bar)
	}
	if _, known := b.last[drawn.Name]; known || len(b.last) < maxBars {
		if b.last[drawn.Name] == drawn {
			return Bar{}, false
		}
		b.last[drawn.Name] = drawn
		b.tell = drawn.Name
	}
	if !b.told.IsZero() && now.Sub(b.told) < barEvery {
		return Bar{}, false
	}
	b.told, b.tell = now, ""
	return drawn, true
}

// rest is the last state that wasn't told, when the output ends.
func (b *bars) rest() (Bar, bool) {
	last, ok := b.last[b.tell]
	b.tell = ""
	return last, ok
}
