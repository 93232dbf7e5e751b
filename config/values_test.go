package config

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestSizesParseAndPrint(t *testing.T) {
	for text, want := range map[string]Size{
		"0B": 0, "1B": 1, "999B": 999, "1KB": 1000, "100MB": 100_000_000, "1.5GB": 1_500_000_000,
		"1.234567MB": 1_234_567, "1500GB": 1_500_000_000_000, "9223372036.854775807GB": math.MaxInt64,
	} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("%d prints as %q, want %q", got, got, text)
		}
	}
	for _, text := range []string{
		"", "1", "MB", "1 MB", "1mb", "1M", "1MiB", "1TB", "-1MB", "+1MB", "1.MB", ".5MB", "1e3MB", "1MB ", "\n1MB", "1MB\n",
		"0.5B", "1.0005KB", "9223372036.854775808GB", "9999999999999999999GB", "10000000000000000000B", "0x1MB", "１MB",
	} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestSizesReadBackAsPrinted(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 5_000 {
		want := Size(random.Int64() >> random.IntN(63))
		if got, err := ParseSize(want.String()); err != nil || got != want {
			t.Fatalf("%d prints as %q, which gives %d, %v", want, want, got, err)
		}
		step := Step(want)
		if got, err := ParseStep(step.String()); err != nil || got != step {
			t.Fatalf("step %d prints as %q, which gives %d, %v", step, step, got, err)
		}
	}
}

func TestDurationsPrintWithoutZeroParts(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                               "0s",
		100 * time.Millisecond:          "100ms",
		5 * time.Second:                 "5s",
		10 * time.Second:                "10s",
		60 * time.Second:                "1m",
		10 * time.Minute:                "10m",
		10*time.Minute + 10*time.Second: "10m10s",
		time.Hour:                       "1h",
		20 * time.Hour:                  "20h",
		time.Hour + 10*time.Minute:      "1h10m",
		time.Hour + time.Second:         "1h0m1s",
	} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%d prints as %q, want %q", d, got, want)
		}
		if back, err := ParseDuration(want); err != nil || back != Duration(d) {
			t.Errorf("ParseDuration(%q) = %d, %v, want %d", want, back, err, d)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("1.5GB")
	f.Add("9223372036854775807B")
	f.Fuzz(func(t *testing.T, text string) {
		size, err := ParseSize(text)
		if err != nil {
			return
		}
		if back, err := ParseSize(size.String()); size < 0 || err != nil || back != size {
			t.Errorf("%q gives %d, printed %q, read back %d, %v", text, size, size, back, err)
		}
	})
}
