package tracker

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"progressd/hfcache"
	"progressd/sizer"
)

const (
	// traceEvery is how often the debug level tells of a download of which
	// nothing but numbers changes.
	traceEvery = 10 * time.Second
	// maxTraced bounds how many processes and revisions a line names.
	maxTraced = 4
)

// trace tells at the debug level what a look has found and which verdict that
// brings closer: when anything but numbers has changed since the last such line,
// and from time to time while a download goes on. A repository at rest is left
// out. Switched off it costs one comparison a look.
func (t *Tracker) trace(ctx context.Context, look sizer.Look) {
	if !t.log.Enabled(ctx, slog.LevelDebug) {
		clear(t.traces)
		return
	}
	k := hfcache.Place{Root: look.Root, Repo: look.Repo}
	e := t.open[k]
	last, told := t.traces[k]
	if e == nil && !look.InPlay && !told {
		return
	}
	facts := factsOf(e, look)
	due := e != nil && e.active() && look.At.Sub(last.at) >= traceEvery
	if told && !due && slices.EqualFunc(last.facts, facts, slog.Attr.Equal) {
		return
	}
	t.traces[k] = traced{look.At, facts}
	if e == nil && !look.InPlay {
		delete(t.traces, k)
	}
	line := []slog.Attr{slog.String("root", quoted(k.Root)), slog.String("repo", quoted(k.Repo.ID))}
	t.log.LogAttrs(ctx, slog.LevelDebug, "look", slices.Concat(line, facts, numbersOf(e, look))...)
}

// factsOf are what verdicts go by. Of what can't be read the last facts stand.
func factsOf(e *entry, look sizer.Look) []slog.Attr {
	facts := []slog.Attr{slog.String("phase", phase(e, look))}
	if look.Unreadable != nil {
		facts = append(facts, slog.String("unreadable", Why(look.Unreadable)))
	}
	if e != nil {
		look = e.look
	}
	facts = append(facts,
		slog.Bool("locked", look.Locked), slog.String("alive", aliveText(look)), slog.String("proof", proofText(look)),
		slog.Bool("unseen", look.Unseen), slog.Int("unclaimed", look.Unclaimed), slog.Int("doubtful", look.Doubtful), slog.Int("unfinished", look.Unfinished),
		slog.Int("failed", look.Failed), slog.String("total_from", string(look.TotalSource)),
		slog.String("revisions", revisionsText(look.Revisions)),
	)
	if e == nil {
		return facts
	}
	kind, watch, limit := e.awaited()
	facts = append(facts, slog.String("against_an_end", strings.Join(e.against(), ",")), slog.String("waits_for", string(kind)))
	if kind != "" {
		facts = append(facts, slog.String("clock", e.clocks.name(watch)), slog.Duration("of", limit))
	}
	return facts
}

// numbersOf are what may move at each look.
func numbersOf(e *entry, look sizer.Look) []slog.Attr {
	var waiting []slog.Attr
	if e != nil {
		look = e.look
		if kind, watch, _ := e.awaited(); kind != "" {
			waiting = append(waiting, slog.Duration("elapsed", watch.elapsed.Round(time.Millisecond)))
		}
		if by := e.lookBy(); !by.IsZero() {
			waiting = append(waiting, slog.Duration("next_look_within", max(by.Sub(e.now), 0).Round(time.Millisecond)))
		}
	}
	return append(waiting,
		slog.Int64("bytes", look.Bytes), slog.Int64("base", look.Base), slog.Int64("total", look.Total),
		slog.String("files", fmt.Sprintf("%d/%d", look.FilesDone, look.Files)), slog.Int("partials", look.Partials),
		slog.Int("missing", look.Missing), slog.Int("orphans", look.Orphans),
	)
}

// phase is where in its life a download is.
func phase(e *entry, look sizer.Look) string {
	switch {
	case e == nil && look.InPlay:
		return "told" // what moves there is of a download that is over
	case e == nil:
		return string(PhaseOver)
	default:
		return string(e.ep.Phase)
	}
}

// against is what speaks against the end of the download as it is.
func (d *download) against() []string {
	look := d.look
	var words []string
	for _, reason := range []struct {
		word  string
		holds bool
	}{
		{"not-looked-at", !d.seen},
		{"lock", look.Locked},
		{"command", working(look) && !look.Locked},
		{"partials", look.Partials > 0},
		{"unseen-bytes", look.Unseen},
		{"failed-attempt", look.Failed > 0},
		{"unfinished", look.Unfinished > 0},
		{"lost-bytes", d.ep.BytesBeforeLoss > 0},
		{"unclaimed", look.Unclaimed > 0},
		{"doubtful", look.Doubtful > 0},
		{"size", look.Mismatched != nil},
		{"shards", look.ShardGap},
		{"missing", look.Missing > 0},
		{"weights", look.Lacking},
		{"server-starts", look.Awaited},
	} {
		if reason.holds {
			words = append(words, reason.word)
		}
	}
	return words
}

// name is what a clock is called in the trace.
func (c *clocks) name(watch *stopwatch) string {
	switch watch {
	case &c.gone:
		return "gone"
	case &c.quiet:
		return "quiet"
	default:
		return "silent"
	}
}

// aliveText is "4242 vllm, 4243 hf (stopped)"; their names are cleaned where
// they are read.
func aliveText(look sizer.Look) string {
	var names []string
	for i, process := range look.Downloaders {
		if i >= len(look.Alive) || !look.Alive[i] {
			continue
		}
		if len(names) == maxTraced {
			names = append(names, "...")
			break
		}
		name := strings.TrimSpace(strconv.Itoa(process.PID) + " " + quoted(process.Command))
		if slices.Contains(look.Stopped, process.PID) {
			name += " (stopped)"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// proofText is the proof that there is, or what would be one if all stays quiet.
func proofText(look sizer.Look) string {
	switch {
	case look.Proof != sizer.NoProof:
		return string(look.Proof)
	case look.Settled != sizer.NoProof:
		return string(look.Settled) + " if it stays quiet"
	default:
		return "none"
	}
}

// revisionsText are the first digits of each, as git shows them.
func revisionsText(commits []string) string {
	var short []string
	for _, commit := range commits[:min(len(commits), maxTraced)] {
		short = append(short, quoted(commit[:min(len(commit), 7)]))
	}
	if len(commits) > maxTraced {
		short = append(short, "...")
	}
	return strings.Join(short, ",")
}
