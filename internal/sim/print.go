package sim

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// logs are the models' logs as they stand on disk, by their names.
func (l *life) logs() string {
	var b strings.Builder
	for _, p := range files(filepath.Join(l.daemon.dir, "log")) {
		text, err := os.ReadFile(p)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(&b, "%s:\n%s", filepath.Base(p), text)
	}
	return b.String()
}

// print shows what happened beside what was said, and what is wrong with it.
func (l *life) print(faults []fault) string {
	s := l.story
	var b strings.Builder
	hidden := ""
	if s.Hidden {
		hidden = "; processes hidden"
	}
	fmt.Fprintf(&b, "seed %d life %d: %s; disk: %s; %s; root %s%s\n", s.Seed, s.Number, s.Setup, s.Disk, s.Events, l.root, hidden)
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
		rows = append(rows, row{f.at, "  !!! " + f.name() + ": " + f.text})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return a.at.Compare(b.at) })
	for _, r := range rows {
		fmt.Fprintf(&b, "%s %s\n", l.world.clock(r.at), r.text)
	}
	return b.String()
}

// summary is a story in a line, beside the rule that it has broken.
func (s story) summary(rule string) string {
	text := fmt.Sprintf("@ %-34s life %-5d %s; %s; %s", rule, s.Number, s.Setup, s.Disk, s.Events)
	for _, st := range s.Strikes {
		text += "; " + string(st.Kind)
	}
	for _, i := range s.Ills {
		text += "; " + string(i.Kind)
	}
	for _, r := range s.Repos {
		text += fmt.Sprintf("; %s local=%v:", r.Shape, r.Local)
		for _, a := range r.Acts {
			text += " " + string(a.Kind) + "/" + strings.ReplaceAll(a.Client.Habit, "huggingface_hub", "hh") + "/" + string(a.Client.Fate)
		}
	}
	return text
}
