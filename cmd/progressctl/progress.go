package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"progressd/child"
	"progressd/display"
	"progressd/live"
	"progressd/record"
)

// progress shows on standard error what wait waits for: a bar on a terminal,
// elsewhere the lines as they come.
type progress struct {
	out   *os.File
	bar   bool
	width func() int
	// drawn is how long what stands on the terminal's line is.
	drawn int
	last  string
}

func newProgress(out *os.File, getenv func(string) string) *progress {
	return &progress{out: out, bar: child.IsTerminal(out) && getenv("TERM") != "dumb", width: func() int {
		if width, _, err := term.GetSize(int(out.Fd())); err == nil && width > 0 {
			return width
		}
		return 80
	}}
}

// hear prints a line that was told of a target, but for the one that ends it:
// that goes to standard output.
func (p *progress) hear(u live.Update, w *waiter) {
	if p.bar || u.Event == nil {
		return
	}
	for _, t := range w.targets {
		if t.is(*u.Event) && !t.over {
			fmt.Fprintln(p.out, display.Line(*u.Event))
		}
	}
}

// show draws the bar anew.
func (p *progress) show(w *waiter, now time.Time) {
	if !p.bar {
		return
	}
	text := barText(w, now, p.width()-1)
	if text == p.last {
		return
	}
	fmt.Fprintf(p.out, "\r%s%s", text, strings.Repeat(" ", max(p.drawn-len(text), 0)))
	p.drawn, p.last = len(text), text
}

// clear takes the bar away.
func (p *progress) clear() {
	if p.drawn > 0 {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.drawn))
		p.drawn, p.last = 0, ""
	}
}

// barText says in a line how far what is waited for has come, of several the
// first that isn't over.
func barText(w *waiter, now time.Time, width int) string {
	waiting := w.waiting()
	if len(waiting) == 0 {
		return ""
	}
	t := waiting[0]
	text := t.repo.String() + "  "
	if len(w.targets) > 1 {
		text = fmt.Sprintf("[%d of %d done] ", len(w.targets)-len(waiting), len(w.targets)) + text
	}
	all := w.of(t)
	switch {
	case w.view.Lost != nil:
		return cut(text+"waiting for progressd", width)
	case len(all) == 0:
		return cut(text+"waiting for it to begin", width)
	}
	return cut(text+amounts(all[0], now, width-len(text)), width)
}

// amounts are a bar where there is a total and room, and what is known besides.
func amounts(d record.Download, now time.Time, room int) string {
	parts := []string{display.Size(d)}
	if s := display.Speed(d); s != display.Unknown {
		parts = append(parts, s)
	}
	if l := display.Left(d); l != display.Unknown {
		parts = append(parts, l+" left")
	}
	if silence := display.Silence(d, now); silence != "" {
		parts = append(parts, silence)
	}
	if d.State != record.Downloading {
		parts = append(parts, string(d.State))
	}
	text := strings.Join(parts, "  ")
	if d.Percent == "" {
		return text
	}
	text = display.Percent(d) + "  " + text
	const least, most = 10, 40
	if cells := min(room-len(text)-len("[]  "), most); cells >= least {
		full, ok := display.Filled(d, cells)
		if !ok {
			return text
		}
		text = "[" + strings.Repeat("#", full) + strings.Repeat(".", cells-full) + "]  " + text
	}
	return text
}

func cut(text string, width int) string { return text[:min(len(text), max(width, 0))] }
