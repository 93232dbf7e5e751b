package main

import (
	"fmt"
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The measures of a character, and the colours of a terminal.
const (
	cellWidth, cellHeight, margin = 8.4, 19.0, 16.0
	background, foreground        = "#14181c", "#e4e8ec"
)

var colours = map[int]string{31: "#ff7b70", 32: "#52c382", 33: "#e5ab4c", 34: "#6ea3ff", 39: foreground, 90: "#7d8994"}

// pen is how a terminal writes now.
type pen struct {
	colour string
	bold   bool
}

// svg draws what a terminal of so many columns shows, with the colours and bold
// letters that progressctl top uses.
func svg(text string, columns int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	var b strings.Builder
	width, height := float64(columns)*cellWidth+2*margin, float64(len(lines))*cellHeight+2*margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14" fill="%s" xml:space="preserve">`+"\n", width, height, foreground)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n", background)
	p := pen{colour: foreground}
	for row, line := range lines {
		column := 0
		for line != "" {
			run, rest, escape := strings.Cut(line, "\x1b[")
			if run != "" {
				p.write(&b, run, row, column)
				column += utf8.RuneCountInString(run)
			}
			if line = rest; escape {
				codes, after, _ := strings.Cut(rest, "m")
				p, line = p.told(codes), after
			}
		}
	}
	return b.String() + "</svg>\n"
}

// told is the pen after an escape sequence.
func (p pen) told(codes string) pen {
	for code := range strings.SplitSeq(codes, ";") {
		n, _ := strconv.Atoi(code)
		switch {
		case n == 0:
			p = pen{colour: foreground}
		case n == 1:
			p.bold = true
		case n == 22:
			p.bold = false
		case colours[n] != "":
			p.colour = colours[n]
		}
	}
	return p
}

// write draws a run of characters; the parts of a bar are rectangles, since fonts
// differ in them.
func (p pen) write(b *strings.Builder, run string, row, column int) {
	x, y := margin+float64(column)*cellWidth, margin+float64(row)*cellHeight
	n := float64(utf8.RuneCountInString(run))
	switch first, _ := utf8.DecodeRuneInString(run); {
	case strings.TrimSpace(run) == "":
	case first == '\u2588' || first == '\u2591' || first == '\u2500':
		top, high, opacity := y+4, 10.0, 1.0
		if first == '\u2591' {
			opacity = 0.35
		}
		if first == '\u2500' {
			top, high, opacity = y+9, 1, 0.6
		}
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.0f" fill="%s" opacity="%.2g"/>`+"\n", x, top, n*cellWidth, high, p.colour, opacity)
	default:
		weight := ""
		if p.bold {
			weight = ` font-weight="bold"`
		}
		// Spaces at the ends, and several of them, would be squeezed.
		lead := len(run) - len(strings.TrimLeft(run, " "))
		run = strings.TrimSpace(run)
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" textLength="%.1f" fill="%s"%s>%s</text>`+"\n",
			x+float64(lead)*cellWidth, y+14, float64(utf8.RuneCountInString(run))*cellWidth, p.colour, weight, html.EscapeString(strings.ReplaceAll(run, " ", "\u00a0")))
	}
}
