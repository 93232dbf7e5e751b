package main

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestACurveIsAConstantAndAShareForEach(t *testing.T) {
	c := curve{{10, 1020}, {100, 9999}, {1000, 3000}}
	if c.each() != 2 || c.fixed() != 1000 {
		t.Errorf("%v for each, %v for none; want 2 and 1000", c.each(), c.fixed())
	}
	if one := (curve{{10, 1020}}); !math.IsNaN(one.each()) {
		t.Errorf("one dot gives %v for each", one.each())
	}
}

func TestAnAxisLeadsFromPowersOfTenToPixels(t *testing.T) {
	a := axisOf(curve{{1, 0.004}, {2, 0.9}, {3, 0}}, func(d dot) float64 { return d.value }, 300, 0)
	if got := a.decades(); len(got) != 4 || math.Abs(a.at(0.001)-300) > 1e-9 || math.Abs(a.at(0.01)-200) > 1e-9 || math.Abs(a.at(1)) > 1e-9 {
		t.Errorf("decades %v, 0.01 at %v", got, a.at(0.01))
	}
	flat := axisOf(curve{{1, 10}, {2, 10}}, func(d dot) float64 { return d.value }, 0, 100)
	if at := flat.at(10); math.IsNaN(at) || math.IsInf(at, 0) {
		t.Errorf("a value alone is at %v", at)
	}
}

func TestAPlotIsWellFormedAndShowsEachDot(t *testing.T) {
	p := plot{name: "x.svg", panels: []panel{
		{title: "a < b", across: "things", unit: seconds, dots: curve{{10, 0.001}, {100, 0.002}, {1000, 0.02}}},
		{title: "one dot", across: "things", unit: octetsShort, dots: curve{{10, 5e6}}},
	}}
	dir := t.TempDir()
	if err := p.draw(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "x.svg"))
	if err != nil {
		t.Fatal(err)
	}
	circles := 0
	for d := xml.NewDecoder(strings.NewReader(string(text))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "circle" {
			circles++
		}
	}
	if circles != 3 || !strings.Contains(string(text), "a &lt; b") || strings.Contains(string(text), "NaN") {
		t.Errorf("%d dots in\n%s", circles, text)
	}
}

func TestCountsAndSizesBesideAnAxis(t *testing.T) {
	for want, got := range map[string]string{
		"10": grouped(10), "1 000": grouped(1000), "100 000": grouped(100_000), "1 000 000": grouped(1e6),
		"512 B": octetsShort(512), "1 KB": octetsShort(1000), "100 MB": octetsShort(1e8),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAWorkloadThatFailsDoesNotLoseTheOthers(t *testing.T) {
	b := &bench{report: &report{}, note: io.Discard}
	fine := func(title string) func(*bench) func(context.Context) error {
		return func(b *bench) func(context.Context) error {
			return func(context.Context) error {
				b.report.section(title).add("x", us, seconds, series{1}, "")
				return nil
			}
		}
	}
	broken := func(*bench) func(context.Context) error {
		return func(context.Context) error { return errors.New("no room") }
	}
	err := b.measure(t.Context(), []workload{{name: "a", of: fine("First")}, {name: "b", of: broken}, {name: "c", of: fine("Last")}})
	if err == nil || !strings.Contains(err.Error(), "cannot measure b: no room") {
		t.Errorf("the error is %v", err)
	}
	text := b.report.markdown()
	for _, want := range []string{"## First", "## Not measured: b", "no room", "## Last"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if err := b.measure(ended, []workload{{name: "b", of: broken}, {name: "b", of: broken}}); strings.Count(err.Error(), "cannot") != 1 {
		t.Errorf("after the end it went on: %v", err)
	}
}
