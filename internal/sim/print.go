package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// plainLines are the lines with the moments at which they were said, those of
// one repository after the other: between repositories there is no order.
func (l *life) plainLines() []string {
	var all []string
	for _, line := range l.daemon.said.all() {
		all = append(all, fmt.Sprintf("%s %s: %s", line.event.Repo.ID, l.world.clock(line.at), line.text))
	}
	slices.SortStableFunc(all, func(a, b string) int {
		x, _, _ := strings.Cut(a, " ")
		y, _, _ := strings.Cut(b, " ")
		return strings.Compare(x, y)
	})
	return all
}

// print shows what happened beside what was said, and what is wrong with it.
func (l *life) print(faults []fault) string {
	s := l.story
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d life %d: %s; disk: %s; %s; root %s\n", s.Seed, s.Number, s.Setup, s.Disk, s.Events, l.root)
	for _, r := range l.repos {
		for _, rev := range r.revisions {
			fmt.Fprintf(&b, "%s (%s) %.7s: %d bytes in %d files:", r.key().ID, r.shape, rev.commit, rev.size(all), len(rev.files))
			for _, f := range rev.files[:min(len(rev.files), 12)] {
				fmt.Fprintf(&b, " %s=%.6s:%d", f.path, f.etag, f.size)
			}
			b.WriteString("\n")
		}
	}
	type row struct {
		at   time.Time
		text string
	}
	var rows []row
	for _, n := range l.world.notes() {
		rows = append(rows, row{n.at, "  # " + n.text})
	}
	for _, line := range l.daemon.said.all() {
		rows = append(rows, row{line.at, fmt.Sprintf("%s: [%s] %s", line.event.Repo.ID, line.event.Kind, line.text)})
	}
	shown := map[string]int{}
	for _, f := range faults {
		if shown[f.rule]++; shown[f.rule] > 3 {
			continue // the rest follows from these, as a rule
		}
		rows = append(rows, row{f.at, "  !!! " + f.rule + ": " + f.text})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return a.at.Compare(b.at) })
	for _, r := range rows {
		fmt.Fprintf(&b, "%s %s\n", l.world.clock(r.at), r.text)
	}
	return b.String()
}
