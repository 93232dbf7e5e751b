package main

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// A plot is a picture of panels, two in a row.
type plot struct {
	name   string
	panels []panel
}

// A panel shows how something grows with a count, both by powers of ten. Beside
// the dots is what a constant and an equal share for each one would come to: a
// straight line by other scales. Where dots leave it there is a knee.
type panel struct {
	title, across string
	unit          unit
	dots          curve
}

// A curve is dots in the order of their counts.
type curve []dot

type dot struct{ n, value float64 }

// each is what one more costs, over the whole of the curve.
func (c curve) each() float64 {
	if len(c) < 2 {
		return math.NaN()
	}
	first, last := c[0], c[len(c)-1]
	return (last.value - first.value) / (last.n - first.n)
}

// fixed is what none at all would cost.
func (c curve) fixed() float64 { return c[0].value - c.each()*c[0].n }

// The sizes of a panel in pixels, and its colours.
const (
	panelWidth, panelHeight = 430, 270
	left, right, top, below = 76, 34, 46, 46
	ink, faint, stroke      = "#24292f", "#d8dee4", "#0969da"
)

// draw writes the picture into a directory.
func (p plot) draw(dir string) error {
	return os.WriteFile(filepath.Join(dir, p.name), []byte(p.svg()), 0o644)
}

func (p plot) svg() string {
	var b strings.Builder
	width, height := 2*panelWidth, (len(p.panels)+1)/2*panelHeight
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12" fill="%s">`+"\n",
		width, height, width, height, ink)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	for i, one := range p.panels {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", i%2*panelWidth, i/2*panelHeight)
		one.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p panel) draw(b *strings.Builder) {
	if len(p.dots) < 2 {
		return
	}
	x := axisOf(p.dots, func(d dot) float64 { return d.n }, left, panelWidth-right)
	y := axisOf(p.dots, func(d dot) float64 { return d.value }, panelHeight-below, top)
	text := func(x, y float64, anchor, s string) {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(s))
	}
	fmt.Fprintf(b, `<text x="%d" y="18" font-size="14" font-weight="bold">%s</text>`+"\n", left, html.EscapeString(p.title))
	text(left, 35, "start", fmt.Sprintf("dashed: %s + %s for each", p.unit(max(p.dots.fixed(), 0)), p.unit(p.dots.each())))
	for _, v := range x.decades() {
		fmt.Fprintf(b, `<path d="M%.1f %dV%d" stroke="%s"/>`+"\n", x.at(v), top, panelHeight-below, faint)
		text(x.at(v), panelHeight-below+16, "middle", grouped(v))
	}
	for _, v := range y.decades() {
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="%s"/>`+"\n", left, y.at(v), panelWidth-right, faint)
		text(left-6, y.at(v)+4, "end", p.unit(v))
	}
	text(float64(left+panelWidth-right)/2, panelHeight-below+34, "middle", p.across)
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-dasharray="4 4"/>`+"\n", p.line(x, y), ink)
	for _, d := range p.dots {
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="4.5" fill="%s"/>`+"\n", x.at(d.n), y.at(d.value), stroke)
	}
}

// line is a constant and an equal share for each.
func (p panel) line(x, y axis) string {
	var path strings.Builder
	const steps = 60
	first, last := math.Log10(p.dots[0].n), math.Log10(p.dots[len(p.dots)-1].n)
	command := "M"
	for i := range steps + 1 {
		n := math.Pow(10, first+(last-first)*float64(i)/steps)
		if v := p.dots.fixed() + p.dots.each()*n; v > 0 {
			fmt.Fprintf(&path, "%s%.1f %.1f", command, x.at(n), y.at(v))
			command = "L"
		}
	}
	return path.String()
}

// An axis leads from whole powers of ten to pixels.
type axis struct {
	low, high int // exponents
	from, to  float64
}

func axisOf(dots curve, of func(dot) float64, from, to float64) axis {
	least, most := math.Inf(1), math.Inf(-1)
	for _, d := range dots {
		if v := of(d); v > 0 {
			least, most = min(least, v), max(most, v)
		}
	}
	a := axis{from: from, to: to, low: int(math.Floor(math.Log10(least))), high: int(math.Ceil(math.Log10(most)))}
	if a.high <= a.low {
		a.high = a.low + 1
	}
	return a
}

func (a axis) at(v float64) float64 {
	part := (math.Log10(v) - float64(a.low)) / float64(a.high-a.low)
	return a.from + part*(a.to-a.from)
}

func (a axis) decades() []float64 {
	var all []float64
	for e := a.low; e <= a.high; e++ {
		all = append(all, math.Pow(10, float64(e)))
	}
	return all
}

// grouped is a count with its thousands apart.
func grouped(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// octetsShort is bytes in the unit that fits.
func octetsShort(v float64) string {
	switch {
	case v < 1e3:
		return digits(v) + " B"
	case v < 1e6:
		return digits(v/1e3) + " KB"
	default:
		return digits(v/1e6) + " MB"
	}
}
