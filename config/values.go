package config

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Timestamps is how the lines of a model's log tell the time.
type Timestamps string

// The forms of timestamps.
const (
	// Clock is the local time of day: [10:01:15 PM].
	Clock Timestamps = "clock"
	// RFC3339 has the date and the zone, for logs that live for days.
	RFC3339 Timestamps = "rfc3339"
)

// Style is how much a line says.
type Style string

// The styles of lines.
const (
	// Plain is the message alone.
	Plain Style = "plain"
	// Detailed adds speed, time left and files in parentheses.
	Detailed Style = "detailed"
)

// Level is the least that a diagnostic message must matter to be written.
type Level string

// The levels of diagnostics.
const (
	// Info leaves out what only serves the search for a fault.
	Info Level = "info"
	// Debug adds what each look has found, and why a verdict is due or not.
	Debug Level = "debug"
)

// Format is what the lines on standard output are.
type Format string

// The formats of standard output.
const (
	// Text is for people: [10:01:15 PM] [INFO] org/name: message.
	Text Format = "text"
	// JSON is for programs: a record of the package record on each line.
	JSON Format = "json"
)

// Duration is a span of time that is written as in Go: "90s", "1h30m".
type Duration time.Duration

// ParseDuration reads a duration. The error says what was expected.
func ParseDuration(text string) (Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New(`not a duration, expected one such as "5s", "10m" or "1h30m"`)
	}
	return Duration(d), nil
}

// String renders d so that ParseDuration reads it back, without parts that
// are zero: "10m", not "10m0s".
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Size is a number of bytes, written in SI units (1000-based): "100MB".
type Size int64

var (
	sizeForm  = regexp.MustCompile(`^([0-9]{1,19}(?:\.[0-9]{1,9})?)(B|KB|MB|GB)$`)
	sizeUnits = []struct {
		name string
		exp  int32
	}{{"GB", 9}, {"MB", 6}, {"KB", 3}, {"B", 0}}
)

// ParseSize reads a size in whole bytes. The error says what was expected.
func ParseSize(text string) (Size, error) {
	parts := sizeForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, errors.New(`not a size, expected one such as "100MB" or "1.5GB", in B, KB, MB or GB of 1000`)
	}
	number, err := decimal.NewFromString(parts[1])
	if err != nil {
		return 0, errors.New(`not a size, expected one such as "100MB"`)
	}
	for _, unit := range sizeUnits {
		if unit.name == parts[2] {
			number = number.Shift(unit.exp)
		}
	}
	if !number.IsInteger() || !number.BigInt().IsInt64() {
		return 0, errors.New("not a size that a file can have, expected whole bytes below 9.2 billion GB")
	}
	return Size(number.IntPart()), nil
}

// String renders s exactly, in the largest unit of which it has at least
// one: "100MB", "1.234567MB". ParseSize reads it back if it is not negative.
func (s Size) String() string {
	for _, unit := range sizeUnits {
		value := decimal.New(int64(s), -unit.exp)
		if value.Abs().GreaterThanOrEqual(decimal.NewFromInt(1)) {
			return value.String() + unit.name
		}
	}
	return "0B"
}

// Step is how many bytes lie between two lines of progress.
type Step Size

// AutoStep means that the step follows from the download's total.
const AutoStep Step = 0

// ParseStep reads a size above zero, or "auto". The error says what was
// expected.
func ParseStep(text string) (Step, error) {
	if text == "auto" {
		return AutoStep, nil
	}
	size, err := ParseSize(text)
	if err != nil {
		return 0, errors.New(err.Error() + `, or "auto"`)
	}
	if size == 0 {
		return 0, errors.New(`zero, so that no step would ever end, expected at least "1B", or "auto"`)
	}
	return Step(size), nil
}

// String renders s so that ParseStep reads it back.
func (s Step) String() string {
	if s == AutoStep {
		return "auto"
	}
	return Size(s).String()
}
