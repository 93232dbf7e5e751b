package top

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"progressd/display"
	"progressd/record"
)

// A frame is all that a picture of the screen is made from.
type frame struct {
	downloads     []record.Download // in the order in which they are shown
	chosen        int               // of them
	width, height int
	now           time.Time
	order         order
	lost          string // why no daemon answers
	notice
	look look
}

// notice is what the frame says of itself.
type notice struct {
	// open: all is shown that is known of the chosen one.
	open, paused bool
}

// String draws the frame: height lines of at most width cells. All texts of
// downloads are printable ASCII, a byte a cell.
func (f frame) String() string {
	pane, foot := f.pane(), f.foot()
	const head = 1
	room := max(f.height-head-len(foot), 0)
	if most := max(room-max(min(len(f.downloads), room/2), 1), 0); len(pane) > most {
		pane = pane[:most]
	}
	lines := f.table(room - len(pane))
	for len(lines) < f.height-len(pane)-len(foot) {
		lines = append(lines, "")
	}
	lines = append(append(lines, pane...), foot...)
	return strings.Join(lines[:min(len(lines), max(f.height, 0))], "\n")
}

// table is the head and so many rows, among them the chosen one.
func (f frame) table(rows int) []string {
	if len(f.downloads) == 0 {
		return []string{f.look.soft(cut("Nothing is being downloaded.", f.width))}
	}
	l := f.layout()
	lines := []string{f.look.soft(l.head())}
	first := min(max(f.chosen-rows+1, 0), max(len(f.downloads)-rows, 0))
	for i := first; i < min(first+rows, len(f.downloads)); i++ {
		lines = append(lines, f.row(l, i))
	}
	return lines
}

func (f frame) row(l layout, i int) string {
	d := f.downloads[i]
	cursor := " "
	if i == f.chosen {
		cursor = f.look.glyphs.cursor
	}
	text := f.look.strong(cursor) + f.look.state(d.State, f.look.mark(d.State)) + " "
	name := pad(short(display.Name(d.Record), l.name, f.look.glyphs.more), l.name)
	if i == f.chosen {
		name = f.look.strong(name)
	} else if d.State.Over() {
		name = f.look.soft(name)
	}
	text += name
	for _, c := range l.columns {
		text += gap + c.draw(f.look, d, c.width)
	}
	return text
}

// pane is what is shown of the chosen one: the files in flight, and if it is
// open all that is known.
func (f frame) pane() []string {
	if f.chosen >= len(f.downloads) {
		return nil
	}
	d := f.downloads[f.chosen]
	text := display.Name(d.Record) + " - " + string(d.State)
	if silence := display.Silence(d, f.now); silence != "" {
		text += ", " + silence
	}
	lines := []string{f.look.soft(strings.Repeat(f.look.glyphs.line, f.width)), cut(text, f.width)}
	add := func(name, text string) {
		if text != "" && text != display.Unknown {
			lines = append(lines, cut(f.look.label(name)+text, f.width+f.look.unseen(name)))
		}
	}
	if f.open {
		add("cache", d.Root)
		add("by", f.whose(d))
		add("files", display.Files(d))
		if !d.Started.IsZero() {
			add("begun", display.Ago(d.Started, f.now))
		}
	}
	if d.Message != "" && (f.open || !d.State.Running()) {
		add("said", display.Clock(d.Time)+" "+d.Message)
	}
	for _, file := range d.InFlight {
		amount := strings.TrimPrefix(display.InFlight(file), file.Name)
		if _, share, ok := strings.Cut(amount, " ~ "); ok && labelWidth+minName+len(amount) > f.width {
			amount = " " + share // what doesn't fit would be the end, which tells the most
		}
		add("writing", short(file.Name, max(f.width-labelWidth-len(amount), minName), f.look.glyphs.more)+amount)
	}
	if more := int(d.FilesInFlight) - len(d.InFlight); more > 0 && len(d.InFlight) > 0 {
		add("", "and "+display.Count(more, "other file"))
	}
	return lines
}

func (f frame) whose(d record.Download) string {
	return strings.Join(append([]string{display.By(d)}, display.Where(d.Record)...), ", ")
}

// foot is the summary, and what keys there are.
func (f frame) foot() []string {
	summary := f.look.strong(cut(display.Summary(f.downloads), f.width))
	if f.lost != "" {
		summary = f.look.alarm(cut(f.lost+": waiting for it to come back", f.width))
	}
	keys := "q quit" + gap + f.look.glyphs.arrows + " choose" + gap + "enter details" + gap + "s by " + f.order.next().String() + gap + "p pause"
	if f.paused {
		keys = "PAUSED, p goes on" + gap + keys[:strings.LastIndex(keys, gap)]
	}
	if n := len(f.downloads); n > 0 {
		keys += gap + strconv.Itoa(f.chosen+1) + "/" + strconv.Itoa(n)
	}
	if utf8.RuneCountInString(keys) > f.width {
		keys = "q s p " + f.look.glyphs.arrows + " enter"
		if f.paused {
			keys = "PAUSED, p goes on"
		}
	}
	return []string{summary, f.look.soft(cut(keys, f.width))}
}

const gap = "  "

// cut is the first cells of a text of our own or of printable ASCII.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(width, 0)])
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-utf8.RuneCountInString(text), 0))
}

// short is a name in so many cells: its end says most.
func short(name string, width int, more string) string {
	if len(name) <= width {
		return name
	}
	cells := utf8.RuneCountInString(more)
	if slash := strings.LastIndexByte(name, '/'); slash >= 0 {
		if rest := name[slash:]; len(rest)+cells <= width {
			return more + name[len(name)-(width-cells):]
		}
		name = name[slash+1:]
	}
	if len(name) <= width {
		return name
	}
	return name[:max(width-cells, 0)] + cut(more, width)
}
