package sizer

import (
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// scales are the units above bytes, smallest first: one unit is 10^exp bytes.
var scales = [...]struct {
	exp  int32
	unit string
}{{3, "KB"}, {6, "MB"}, {9, "GB"}}

// rows say how many decimals a value below a limit has once it is rounded to
// them. A value that reaches the limit by being rounded is shown by the next
// row, and beyond the last row by the next unit.
var rows = [...]struct {
	limit  decimal.Decimal
	places int32
}{
	{decimal.NewFromInt(10), 2},
	{decimal.NewFromInt(100), 1},
	{decimal.NewFromInt(1000), 0},
}

var hundred = decimal.NewFromInt(100)

// FormatBytes renders n bytes in SI units (1000-based): "999B", "1.25GB",
// "99.5MB", "150MB". GB is the largest unit. A negative n is shown as "0B".
func FormatBytes(n int64) string {
	n = max(n, 0)
	if n < 1000 {
		return strconv.FormatInt(n, 10) + "B"
	}
	for _, scale := range scales {
		if text, ok := formatScaled(decimal.New(n, -scale.exp)); ok {
			return text + scale.unit
		}
	}
	largest := scales[len(scales)-1]
	return decimal.New(n, -largest.exp).StringFixed(0) + largest.unit
}

// formatScaled renders a value in its unit; false if it is 1000 or more.
func formatScaled(value decimal.Decimal) (string, bool) {
	for _, row := range rows {
		// Round is half up here, since no value is negative.
		rounded := value.Round(row.places)
		if rounded.GreaterThanOrEqual(row.limit) {
			continue
		}
		text := rounded.StringFixed(row.places)
		if row.places == 2 {
			text = strings.TrimSuffix(text, "0")
		}
		return text, true
	}
	return "", false
}

// FormatPercent renders how much bytes is of total with one decimal, rounded
// half up: "81.3%". It is false if that says nothing: there is no total, or
// bytes are beyond it, so that it was wrong. Negative bytes count as none.
func FormatPercent(bytes, total int64) (string, bool) {
	bytes = max(bytes, 0)
	if total <= 0 || bytes > total {
		return "", false
	}
	percent := decimal.NewFromInt(bytes).Mul(hundred).DivRound(decimal.NewFromInt(total), 1)
	return percent.StringFixed(1) + "%", true
}

// FormatProgress renders bytes of total, each in its own unit:
// "975MB/1.2GB ~ 81.3%", or bytes alone ("975MB") where FormatPercent is
// false.
func FormatProgress(bytes, total int64) string {
	percent, ok := FormatPercent(bytes, total)
	if !ok {
		return FormatBytes(bytes)
	}
	return FormatBytes(bytes) + "/" + FormatBytes(total) + " ~ " + percent
}

// FormatRate renders a speed: "12.1MB/s".
func FormatRate(bytesPerSecond int64) string {
	return FormatBytes(bytesPerSecond) + "/s"
}

// FormatDuration renders how long something took or lasted: "45s", "1m05s",
// "10m00s", "2h05m". It cuts off and never rounds up, so that no silence is
// said to be longer than it was. A negative d is shown as "0s".
func FormatDuration(d time.Duration) string {
	d = max(d, 0)
	hours, minutes, seconds := int64(d/time.Hour), int64(d/time.Minute)%60, int64(d/time.Second)%60
	switch {
	case hours > 0:
		return strconv.FormatInt(hours, 10) + "h" + twoDigits(minutes) + "m"
	case minutes > 0:
		return strconv.FormatInt(minutes, 10) + "m" + twoDigits(seconds) + "s"
	default:
		return strconv.FormatInt(seconds, 10) + "s"
	}
}

func twoDigits(n int64) string {
	if n < 10 {
		return "0" + strconv.FormatInt(n, 10)
	}
	return strconv.FormatInt(n, 10)
}

// FormatLeft renders an estimate of the time left, as coarse as it is:
// "~45s" (in steps of 5 s, rounded up, never below "~5s"), from a minute on
// "~12m", from 90 minutes on "~3h", beyond a day ">24h". Whether there is an
// estimate at all is for the caller to know.
func FormatLeft(d time.Duration) string {
	const step, hours = 5 * time.Second, 90 * time.Minute
	switch {
	case d > 24*time.Hour:
		return ">24h"
	case d >= hours:
		return "~" + strconv.FormatInt(int64(d.Round(time.Hour)/time.Hour), 10) + "h"
	case d > time.Minute-step:
		return "~" + strconv.FormatInt(int64(d.Round(time.Minute)/time.Minute), 10) + "m"
	default:
		up := d + step - 1
		up -= up % step
		return "~" + strconv.FormatInt(int64(max(up, step)/time.Second), 10) + "s"
	}
}
