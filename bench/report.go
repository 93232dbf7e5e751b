package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A report is the result of a run.
type report struct {
	command  string
	facts    []string
	sections []*section
	plots    []plot
}

// A section is one workload's table.
type section struct {
	title string
	notes []string
	rows  []row
	// tail is the quantile shown beside the median.
	tail float64
}

type row struct {
	what, who string
	unit      unit
	values    series
	reach     string // what is aimed at, for progressd
	// ratio: the values are bounds and a median, not measurements.
	ratio bool
	// each: the values are the median and the tail themselves.
	each bool
}

func (r *report) section(title string) *section {
	s := &section{title: title, tail: 0.99}
	r.sections = append(r.sections, s)
	return s
}

// add adds a row; one without values is left out.
func (s *section) add(what, who string, u unit, values series, reach string) {
	if len(values) > 0 {
		s.rows = append(s.rows, row{what: what, who: who, unit: u, values: values, reach: reach})
	}
}

// compare adds how many times as much the one took as the other, if both were
// measured.
func (s *section) compare(what string, one, other series, reach string) {
	if len(one) > 0 && len(other) > 0 {
		s.rows = append(s.rows, row{what: what, unit: times, values: one.over(other), reach: reach, ratio: true})
	}
}

// times adds how many times as much as the other the one is, in the middle and
// in its tail.
func (s *section) times(what string, one, other series) {
	if len(one) == 0 || len(other) == 0 {
		return
	}
	cells := series{one.median() / other.median(), one.quantile(s.tail) / other.quantile(s.tail)}
	s.rows = append(s.rows, row{what: what, unit: times, values: cells, each: true})
}

func (s *section) explain(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// markdown is the report as text. It holds no date: two runs on one machine
// differ in what was measured only.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Measured\n\n    %s\n\n", r.command)
	for _, fact := range r.facts {
		fmt.Fprintf(&b, "* %s\n", fact)
	}
	for _, s := range r.sections {
		fmt.Fprintf(&b, "\n## %s\n\n", s.title)
		for _, note := range s.notes {
			fmt.Fprintf(&b, "%s\n\n", note)
		}
		if len(s.rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "| what | who | n | min | median | p%.0f | max | reach |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |\n", 100*s.tail)
		for _, row := range s.rows {
			b.WriteString(row.markdown(s.tail))
		}
	}
	return b.String()
}

func (r row) markdown(tail float64) string {
	n, least, median, high, most := strconv.Itoa(len(r.values)), r.values.min(), r.values.median(), math.NaN(), r.values.max()
	if len(r.values) >= 100 {
		high = r.values.quantile(tail)
	}
	if r.each {
		least, median, high, most = math.NaN(), r.values[0], r.values[1], math.NaN()
	}
	if r.ratio || r.each {
		n = ""
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.what, r.who, n,
		r.cell(least), r.cell(median), r.cell(high), r.cell(most), r.reach)
}

// cell is empty for what was not measured, or can't be compared.
func (r row) cell(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return r.unit(v)
}

// facts are what the figures depend on.
func (b *bench) facts(ctx context.Context) []string {
	var name unix.Utsname
	_ = unix.Uname(&name)
	version := "progressd: " + oneLine(ctx, b.progressd, "--version")
	if st, err := os.Stat(b.progressd); err == nil {
		version += fmt.Sprintf(", %s on disk", megabytes(float64(st.Size())))
	}
	facts := []string{
		fmt.Sprintf("machine: %d cores, %s, %s of memory", runtime.NumCPU(), processor(), memoryOfMachine()),
		"kernel: " + unix.ByteSliceToString(name.Release[:]),
		"trees on " + fileSystem(b.work) + ", busy and latency on " + fileSystem(b.fastDir()),
		version,
	}
	if b.python != "" {
		facts = append(facts, oneLine(ctx, b.python, "--version"))
	}
	return append(facts, oneLine(ctx, "du", "--version"))
}

func oneLine(ctx context.Context, program string, args ...string) string {
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimPrefix(line, "progressd ")
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func memoryOfMachine() string {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return "unknown size"
	}
	return fmt.Sprintf("%.0f GB", float64(info.Totalram)*float64(info.Unit)/1e9)
}

func fileSystem(path string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return "unknown"
	}
	names := map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
		unix.TMPFS_MAGIC: "tmpfs", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
	}
	if name := names[st.Type]; name != "" {
		return name
	}
	return fmt.Sprintf("file system %#x", st.Type)
}

// slope adds what one more repository costs, if two numbers of them were
// measured.
func (b *bench) slope() {
	if len(b.perRepo) < 2 {
		return
	}
	first, last := b.perRepo[0], b.perRepo[len(b.perRepo)-1]
	each := (last.bytes - first.bytes) / (last.repos - first.repos)
	if math.IsNaN(each) || math.IsInf(each, 0) {
		return
	}
	s := b.report.section("Memory of one more repository at rest")
	s.add("resident memory a repository", "progressd", octets, series{each}, "below 1 KB")
}
