package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"progressd/sizer"
)

// want is what has to be told of one repository in one cache.
type want struct {
	of source
	// lines is a regular expression over the kinds of the lines, a blank
	// between two; completed has its proof behind a colon. Empty: silence.
	lines string
	// wholes are the complete downloads, in the order in which they are told.
	wholes []whole
	// listed: the total is known.
	listed bool
	// texts are regular expressions, each for one line at least.
	texts []string
}

// whole is how much a complete download is: each content counts once, each
// path by itself.
type whole struct {
	bytes int64
	paths int
}

// check compares what was told of a repository, in the log and the journal,
// with what is wanted.
func (a *act) check(w want, told []entry) error {
	lines := readLog(a.logPath(w.of.root, w.of.repo))
	c := &checker{act: a, want: w, pids: a.pids()}
	c.compare(lines, told)
	if c.errs == nil {
		c.sequence(told)
		c.texts(lines)
		c.steps(told)
		for _, e := range told {
			c.values(e)
		}
	}
	if c.errs == nil {
		return nil
	}
	for _, l := range lines {
		c.fail("| %s", l.raw)
	}
	return errors.Join(c.errs...)
}

type checker struct {
	*act
	want want
	pids map[int]bool
	most int64 // bytes told
	errs []error
}

func (c *checker) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// compare holds the log against the journal, line by line.
func (c *checker) compare(lines []line, told []entry) {
	if len(lines) != len(told) {
		c.fail("%d lines in the log, %d in the journal", len(lines), len(told))
		return
	}
	ids := map[string]bool{}
	for i, l := range lines {
		e := told[i]
		if l.kind == "?" {
			c.fail("not the form of a line: %q", l.raw)
		}
		if want := c.want.of.repo.ID + ": " + l.text; e["MESSAGE"] != want {
			c.fail("journal has %q, the log %q", e["MESSAGE"], l.text)
		}
		if e["PRIORITY"] != priorities[l.level] || e["PROGRESSD_EVENT"] != l.kind {
			c.fail("journal has priority %s and event %s for %q", e["PRIORITY"], e["PROGRESSD_EVENT"], l.raw)
		}
		if id := e["PROGRESSD_EVENT_ID"]; id == "" || ids[id] {
			c.fail("event id %q is missing or comes twice", id)
		}
		ids[e["PROGRESSD_EVENT_ID"]] = true
		if !c.messageIDs.fits(l.kind, e["MESSAGE_ID"]) {
			c.fail("MESSAGE_ID %q is not that of %s alone", e["MESSAGE_ID"], l.kind)
		}
	}
}

// sequence holds the kinds of the lines against what is wanted.
func (c *checker) sequence(told []entry) {
	var kinds []string
	for _, e := range told {
		kind := e["PROGRESSD_EVENT"]
		if proof := e["PROGRESSD_PROOF"]; proof != "" {
			kind += ":" + proof
		}
		kinds = append(kinds, kind)
	}
	got := strings.Join(kinds, " ")
	if !regexp.MustCompile("^(?:" + c.want.lines + ")$").MatchString(got) {
		c.fail("told:   %s\nwanted: %s", got, c.want.lines)
	}
}

func (c *checker) texts(lines []line) {
	for _, text := range c.want.texts {
		form, found := regexp.MustCompile("^(?:"+text+")$"), false
		for _, l := range lines {
			found = found || form.MatchString(l.text)
		}
		if !found {
			c.fail("no line %q", text)
		}
	}
}

// steps: each is told once in an episode.
func (c *checker) steps(told []entry) {
	last := int64(0)
	for _, e := range told {
		reached := e.number("PROGRESSD_BYTES") / step
		switch e["PROGRESSD_EVENT"] {
		case "preparing":
			last = 0
		case "resumed":
			last = max(last, reached)
		case "progress":
			if reached <= last {
				c.fail("a step is told twice: %q after %dMB", e["MESSAGE"], last*step/mb)
			}
			last = reached
		}
	}
}

// values: no number says more than is true.
func (c *checker) values(e entry) {
	bytes, total := e.number("PROGRESSD_BYTES"), e.number("PROGRESSD_TOTAL")
	kind := e["PROGRESSD_EVENT"]
	if sent := c.sentBy(c.want.of.repo, e.time()); bytes < 0 || bytes > sent {
		c.fail("%q: %d bytes told, %d sent", e["MESSAGE"], bytes, sent)
	}
	percent, hasPercent := e["PROGRESSD_PERCENT"]
	if shown, ok := sizer.FormatPercent(bytes, total); ok != hasPercent || ok && shown != percent+"%" || total > 0 && bytes > total {
		c.fail("%q: %d of %d bytes are told as %q percent", e["MESSAGE"], bytes, total, percent)
	}
	// Where bytes were lost there is no percentage until they are made up for,
	// and what ended by itself proves no estimate.
	if c.want.listed && total == 0 && bytes >= c.most && kind != "ended" {
		c.fail("%q: a listing, but no total", e["MESSAGE"])
	}
	c.most = max(c.most, bytes)
	if kind == "progress" && !strings.Contains(e["MESSAGE"], sizer.FormatProgress(bytes, total)) {
		c.fail("%q: the fields say %d of %d", e["MESSAGE"], bytes, total)
	}
	pid, ok := e["PROGRESSD_PID"]
	if n, err := strconv.Atoi(pid); ok && (err != nil || !c.pids[n]) {
		c.fail("%q: pid %q is not one of those started", e["MESSAGE"], pid)
	}
	if kind == "interrupted" && ok == c.lockless {
		c.fail("%q: whose?", e["MESSAGE"])
	}
	if kind == "completed" && len(c.want.wholes) > 0 {
		c.whole(e, c.want.wholes[0])
		c.want.wholes = c.want.wholes[1:]
	}
}

// whole: the last line of a download is about all of it.
func (c *checker) whole(e entry, all whole) {
	bytes, total := e.number("PROGRESSD_BYTES"), e.number("PROGRESSD_TOTAL")
	if bytes != all.bytes && all.paths > 0 {
		c.fail("%q: complete with %d bytes, it has %d", e["MESSAGE"], bytes, all.bytes)
	}
	if !c.want.listed {
		return
	}
	files := strconv.Itoa(all.paths)
	if total != bytes || e["PROGRESSD_PERCENT"] != "100.0" || e["PROGRESSD_FILES"] != files || e["PROGRESSD_FILES_DONE"] != files {
		c.fail("%q: complete with %d of %d bytes, %s percent, %s of %s files; it has %s", e["MESSAGE"],
			bytes, total, e["PROGRESSD_PERCENT"], e["PROGRESSD_FILES_DONE"], e["PROGRESSD_FILES"], files)
	}
}

// number is a field's value, -1 if it is there and no plain number.
func (e entry) number(name string) int64 {
	text, ok := e[name]
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// time is when the journal got the message.
func (e entry) time() time.Time { return time.UnixMicro(e.number("__REALTIME_TIMESTAMP")) }

// idsByKind learns which MESSAGE_ID belongs to which kind.
type idsByKind map[string]string

var messageIDForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// fits reports whether an id is the only one of its kind, and of no other.
func (ids idsByKind) fits(kind, id string) bool {
	for k, known := range ids {
		if (k == kind) != (known == id) {
			return false
		}
	}
	ids[kind] = id
	return messageIDForm.MatchString(id)
}
