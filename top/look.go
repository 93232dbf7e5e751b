package top

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"progressd/record"
)

// A look is with what a frame is drawn.
type look struct{ glyphs glyphs }

// glyphs are the characters beyond names and numbers.
type glyphs struct {
	cursor, full, empty, line, more, arrows       string
	preparing, downloading, stalled, bad, ok, end string
}

// unicodeGlyphs are a cell wide each.
func unicodeGlyphs() glyphs {
	return glyphs{
		cursor: "\u258c", full: "\u2588", empty: "\u2591", line: "\u2500", more: "\u2026", arrows: "\u2191\u2193",
		preparing: "\u25cb", downloading: "\u2193", stalled: "!", bad: "\u2717", ok: "\u2713", end: "\u00b7",
	}
}

// asciiGlyphs are for terminals that may know nothing else.
func asciiGlyphs() glyphs {
	return glyphs{
		cursor: ">", full: "#", empty: ".", line: "-", more: "..", arrows: "up/down",
		preparing: "o", downloading: "v", stalled: "!", bad: "x", ok: "+", end: "-",
	}
}

func (l look) mark(s record.State) string {
	switch s {
	case record.Preparing:
		return l.glyphs.preparing
	case record.Downloading:
		return l.glyphs.downloading
	case record.Stalled:
		return l.glyphs.stalled
	case record.Completed:
		return l.glyphs.ok
	case record.Ended:
		return l.glyphs.end
	default:
		return l.glyphs.bad
	}
}

// styled is a text with its style; a terminal without colours gets those never,
// bubbletea sees to it.
func (l look) styled(style ansi.Style, text string) string {
	if text == "" {
		return text
	}
	return style.Styled(text)
}

func (l look) strong(text string) string { return l.styled(ansi.Style{}.Bold(), text) }
func (l look) soft(text string) string {
	return l.styled(ansi.Style{}.ForegroundColor(ansi.BrightBlack), text)
}
func (l look) alarm(text string) string {
	return l.styled(ansi.Style{}.Bold().ForegroundColor(ansi.Yellow), text)
}

// state is a text in the colour of a state.
func (l look) state(s record.State, text string) string {
	colour := ansi.Red
	switch s {
	case record.Preparing, record.Downloading:
		colour = ansi.Blue
	case record.Stalled, record.Interrupted, record.Ended:
		colour = ansi.Yellow
	case record.Completed:
		colour = ansi.Green
	case record.Failed, record.Removed, record.Partial:
	}
	return l.styled(ansi.Style{}.ForegroundColor(colour), text)
}

const labelWidth = 9

// label leads a line of the pane.
func (l look) label(name string) string { return l.soft(pad(name, labelWidth)) }

// unseen is how many characters of a label aren't seen.
func (l look) unseen(name string) int { return len(l.label(name)) - max(labelWidth, len(name)) }

// glyphsFor are those that a terminal can show, by its locale.
func glyphsFor(getenv func(string) string) glyphs {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToLower(getenv(name)); value != "" {
			if strings.Contains(value, "utf-8") || strings.Contains(value, "utf8") {
				return unicodeGlyphs()
			}
			break
		}
	}
	return asciiGlyphs()
}
