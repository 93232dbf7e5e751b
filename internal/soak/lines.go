package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"progressd/tracker"
)

// line is one line of a model's log, read back.
type line struct {
	number int
	raw    string
	// at is when it was told, cut to the second.
	at   time.Time
	kind tracker.Kind
	// bytes and total are what it says is there, and of how much.
	bytes, total amount
}

// amount is a number of bytes as a line shows it: rounded, so between two.
type amount struct{ least, most int64 }

const (
	size   = `(\d+(?:\.\d+)?[KMG]?B)`
	sizeOf = size + `(?:/` + size + ` ~ \d+\.\d%)?`
)

// texts are the lines as the contract has them. The first group is the bytes,
// the second the total.
var texts = []struct {
	kind  tracker.Kind
	level string
	text  *regexp.Regexp
}{
	{tracker.Preparing, "INFO", regexp.MustCompile(`^Preparing to download model: \S+$`)},
	{tracker.Started, "INFO", regexp.MustCompile(`^Downloading model \(this may take 10-60 minutes\)$`)},
	{tracker.Started, "INFO", regexp.MustCompile(`^Downloading model: ()` + size + ` in \d+ files?$`)},
	{tracker.Resumed, "INFO", regexp.MustCompile(`^Resuming download: ` + sizeOf + ` already on disk$`)},
	{tracker.Progress, "INFO", regexp.MustCompile(`^Downloaded ` + size + `\.\.\.$`)},
	{tracker.Progress, "INFO", regexp.MustCompile(`^Download progress: ` + sizeOf + `$`)},
	{tracker.Keepalive, "INFO", regexp.MustCompile(`^(?:Still downloading: ` + sizeOf + `(?:, (?:no new data for \S+|\S+ in the last minute|and perhaps more that can't be counted yet))?|Download can't be seen for \S+ \([^()]+\): ` + sizeOf + ` before)$`)},
	{tracker.Stalled, "WARNING", regexp.MustCompile(`^Download stalled at ` + sizeOf + `: no new data for \S+, downloader still running.*$`)},
	{tracker.Moving, "INFO", regexp.MustCompile(`^Download moving again: ` + sizeOf + `$`)},
	{tracker.Restarted, "WARNING", regexp.MustCompile(`^(?:Download began again: (?:` + size + ` of \S+|\d+ of \d+ bytes) kept|Partial files were removed, ` + size + ` of \S+ left: downloader .+)$`)},
	{tracker.Interrupted, "WARNING", regexp.MustCompile(`^Download interrupted at ` + sizeOf + `: .*$`)},
	{tracker.Ended, "INFO", regexp.MustCompile(`^Download ended: ` + size + ` in \d+(?: of \d+)? files?(?:, without .+)?$`)},
	{tracker.Unlisted, "INFO", regexp.MustCompile(`^No listing to check against: ` + size + ` in \d+ files? on disk$`)},
	{tracker.Idle, "INFO", regexp.MustCompile(`^Nothing in flight: ` + size + ` in \d+ files? on disk, no listing to check against, downloader still running.*$`)},
	{tracker.Completed, "SUCCESS", regexp.MustCompile(`^Model downloaded successfully$`)},
	{tracker.Removed, "WARNING", regexp.MustCompile(`^Download removed at ` + sizeOf + `: .*$`)},
	{tracker.SizeDiffers, "WARNING", regexp.MustCompile(`^Size of \S+ differs from the listing: .*$`)},
	{tracker.SizeDiffers, "WARNING", regexp.MustCompile(`^File \S+ has holes: .*$`)},
	{tracker.OrphansFound, "WARNING", regexp.MustCompile(`^Leftovers of dead attempts found: .*$`)},
}

var framing = regexp.MustCompile(`^\[([^]]+)\] \[([A-Z]+)\] (.*)$`)

// parseLine reads a line back; its kind is empty if it isn't one that the
// soak could have caused.
func parseLine(number int, raw string) line {
	l := line{number: number, raw: raw}
	frame := framing.FindStringSubmatch(raw)
	if frame == nil {
		return l
	}
	at, err := time.Parse(time.RFC3339, frame[1])
	if err != nil {
		return l
	}
	l.at = at
	for _, t := range texts {
		groups := t.text.FindStringSubmatch(frame[3])
		if groups == nil || t.level != frame[2] {
			continue
		}
		l.kind = t.kind
		if len(groups) > 1 {
			l.bytes = parseAmount(groups[1])
		}
		if len(groups) > 2 {
			l.total = parseAmount(groups[2])
		}
		return l
	}
	return l
}

// parseAmount reads "1.25MB" as all that is rounded to it.
func parseAmount(text string) amount {
	number := strings.TrimRight(text, "KMGB")
	if number == "" {
		return amount{}
	}
	unit := map[string]float64{"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}[text[len(number):]]
	value, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return amount{}
	}
	// Half of the last digit. A dropped zero makes "1.5" a "1.50".
	_, decimals, _ := strings.Cut(number, ".")
	digit := unit
	switch {
	case value < 10 && unit > 1:
		digit = unit / 100
	case decimals != "":
		digit = unit / 10
	}
	if unit == 1 {
		digit = 0
	}
	return amount{int64(value*unit - digit/2), int64(value*unit + digit/2)}
}

func (a amount) known() bool { return a.most > 0 }

// readLog reads a model's log back; none is an empty one. A last line that is
// still being written is left out.
func readLog(path string) ([]line, error) {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read a model's log: %w", err)
	}
	var lines []line
	for raw := range strings.Lines(string(text)) {
		if whole, ok := strings.CutSuffix(raw, "\n"); ok {
			lines = append(lines, parseLine(len(lines)+1, whole))
		}
	}
	return lines, nil
}
