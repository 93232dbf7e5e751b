package top

import (
	"slices"
	"strings"

	"progressd/display"
	"progressd/record"
)

// A layout is which columns there is room for, and how wide they are.
type layout struct {
	name    int
	columns []*column
}

// A column is one beside the name.
type column struct {
	title string
	width int
	// left: its cells begin at the left, those of others end at the right.
	left bool
	cell func(record.Download) string
	// bar: it is one, and has no cell.
	bar bool
}

// columns are all of them, in their order.
func columns() []*column {
	return []*column{
		{title: "", width: minBar, bar: true},
		{title: "%", cell: display.Percent},
		{title: "BYTES", cell: display.Size},
		{title: "SPEED", cell: pace},
		{title: "LEFT", cell: display.Left},
		{title: "BY", cell: display.By, left: true},
	}
}

// yields are the columns in the order in which they go where it is narrow.
var yields = []string{"BY", "", "LEFT", "BYTES", "SPEED", "%"}

const (
	minBar, maxBar = 8, 30
	minName        = 14
	maxBy          = 40
	marks          = 3 // cells before the name: cursor, mark, space
)

// pace is the speed, or what there is in its place to be said.
func pace(d record.Download) string {
	if d.State != record.Downloading {
		return string(d.State)
	}
	return display.Speed(d)
}

func (f frame) layout() layout {
	l := layout{columns: columns()}
	longest := 0
	for _, d := range f.downloads {
		longest = max(longest, len(display.Name(d.Record)))
		for _, c := range l.columns {
			if c.cell != nil {
				c.width = max(c.width, len(c.title), len(c.cell(d)))
			}
		}
	}
	for _, c := range l.columns {
		if c.title == "BY" {
			c.width = min(c.width, maxBy)
		}
	}
	for _, title := range yields {
		if l.rest(f.width) >= min(longest, max(minName, f.width/4)) {
			break
		}
		l.columns = slices.DeleteFunc(l.columns, func(c *column) bool { return c.title == title })
	}
	rest := max(l.rest(f.width), 1)
	l.name = min(longest, rest)
	for _, c := range l.columns {
		if c.bar {
			c.width = min(c.width+rest-l.name, maxBar)
		}
	}
	return l
}

// rest is how many cells the columns leave for the name.
func (l layout) rest(width int) int {
	rest := width - marks
	for _, c := range l.columns {
		rest -= len(gap) + c.width
	}
	return rest
}

func (l layout) head() string {
	text := strings.Repeat(" ", marks) + pad(cut("MODEL", l.name), l.name)
	for _, c := range l.columns {
		text += gap + c.aligned(c.title)
	}
	return strings.TrimRight(text, " ")
}

func (c *column) aligned(text string) string {
	text = cut(text, c.width)
	if c.left {
		return pad(text, c.width)
	}
	return strings.Repeat(" ", max(c.width-len(text), 0)) + text
}

// draw is the cell of a download.
func (c *column) draw(look look, d record.Download, width int) string {
	if c.bar {
		full, ok := display.Filled(d, width)
		if !ok {
			return strings.Repeat(" ", width)
		}
		return look.state(d.State, strings.Repeat(look.glyphs.full, full)) + look.soft(strings.Repeat(look.glyphs.empty, width-full))
	}
	text := c.aligned(c.cell(d))
	switch {
	case strings.TrimSpace(text) == display.Unknown, c.left:
		return look.soft(text)
	case c.title == "SPEED" && d.State != record.Downloading:
		return look.state(d.State, text)
	default:
		return text
	}
}
