package sizer

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestFormatBytes(t *testing.T) {
	for _, test := range []struct {
		n    int64
		want string
	}{
		// As the display format's tables and flows give them.
		{150_000_000, "150MB"},
		{350_000_000, "350MB"},
		{550_000_000, "550MB"},
		{750_000_000, "750MB"},
		{975_000_000, "975MB"},
		{500_000_000, "500MB"},
		{99_500_000, "99.5MB"},
		{200_000_000, "200MB"},
		{1_000_000_000, "1.0GB"},
		{1_100_000_000, "1.1GB"},
		{1_200_000_000, "1.2GB"},
		{5_500_000_000, "5.5GB"},
		{8_000_000_000, "8.0GB"},
		{12_100_000, "12.1MB"},
		// One trailing zero goes, never two.
		{1_250_000_000, "1.25GB"},
		{1_050_000, "1.05MB"},
		{10_000_000, "10.0MB"},
		{1_500_000_000_000, "1500GB"},
		// Neither missing nor negative sizes surprise.
		{0, "0B"},
		{1, "1B"},
		{-1, "0B"},
		{math.MinInt64, "0B"},
		{math.MaxInt64, "9223372037GB"},
		// Where one row or unit gives way to the next.
		{999, "999B"},
		{1_000, "1.0KB"},
		{1_004, "1.0KB"},
		{1_005, "1.01KB"},
		{9_994, "9.99KB"},
		{9_995, "10.0KB"},
		{99_949, "99.9KB"},
		{99_950, "100KB"},
		{999_499, "999KB"},
		{999_500, "1.0MB"},
		{999_999, "1.0MB"},
		{1_000_000, "1.0MB"},
		{9_994_999, "9.99MB"},
		{9_995_000, "10.0MB"},
		{9_996_000, "10.0MB"},
		{99_949_999, "99.9MB"},
		{99_950_000, "100MB"},
		{99_960_000, "100MB"},
		{999_499_999, "999MB"},
		{999_500_000, "1.0GB"},
		{999_600_000, "1.0GB"},
		{9_994_999_999, "9.99GB"},
		{9_995_000_000, "10.0GB"},
		{99_949_999_999, "99.9GB"},
		{99_950_000_000, "100GB"},
		{999_499_999_999, "999GB"},
		{999_500_000_000, "1000GB"},
		{1_000_499_999_999, "1000GB"},
		{1_000_500_000_000, "1001GB"},
	} {
		if got := FormatBytes(test.n); got != test.want {
			t.Errorf("FormatBytes(%d) = %q, want %q", test.n, got, test.want)
		}
	}
}

func TestFormatProgress(t *testing.T) {
	for _, test := range []struct {
		bytes, total int64
		want         string
	}{
		{975_000_000, 1_200_000_000, "975MB/1.2GB ~ 81.3%"},
		{150_000_000, 500_000_000, "150MB/500MB ~ 30.0%"},
		{5_500_000_000, 8_000_000_000, "5.5GB/8.0GB ~ 68.8%"},
		{99_500_000, 200_000_000, "99.5MB/200MB ~ 49.8%"},
		{1_100_000_000, 1_200_000_000, "1.1GB/1.2GB ~ 91.7%"},
		{150_000_000, 1_200_000_000, "150MB/1.2GB ~ 12.5%"},
		{350_000_000, 1_200_000_000, "350MB/1.2GB ~ 29.2%"},
		{550_000_000, 1_200_000_000, "550MB/1.2GB ~ 45.8%"},
		{750_000_000, 1_200_000_000, "750MB/1.2GB ~ 62.5%"},
		{350_000_000, 0, "350MB"},
		{350_000_000, -1, "350MB"},
		{350_000_001, 350_000_000, "350MB"},
		{-5, 1_000, "0B/1.0KB ~ 0.0%"},
		{math.MaxInt64, math.MaxInt64, "9223372037GB/9223372037GB ~ 100.0%"},
	} {
		if got := FormatProgress(test.bytes, test.total); got != test.want {
			t.Errorf("FormatProgress(%d, %d) = %q, want %q", test.bytes, test.total, got, test.want)
		}
	}
}

func TestFormatPercent(t *testing.T) {
	for _, test := range []struct {
		bytes, total int64
		want         string
	}{
		{8125, 10_000, "81.3%"},
		{8124, 10_000, "81.2%"},
		{4975, 10_000, "49.8%"},
		{4, 10_000, "0.0%"},
		{5, 10_000, "0.1%"},
		{9994, 10_000, "99.9%"},
		{9995, 10_000, "100.0%"},
		{1, 1, "100.0%"},
		{0, 1, "0.0%"},
		{math.MinInt64, 1, "0.0%"},
		{1, math.MaxInt64, "0.0%"},
		{math.MaxInt64 - 1, math.MaxInt64, "100.0%"},
		// Beyond 2^53, where a float would have lost the last bytes.
		{1_624_999_999_999_999_999, 2_000_000_000_000_000_000, "81.2%"},
		{1_625_000_000_000_000_000, 2_000_000_000_000_000_000, "81.3%"},
		{1, 0, ""},
		{1, -1, ""},
		{0, 0, ""},
		{2, 1, ""},
		{math.MaxInt64, 1, ""},
		{math.MaxInt64, math.MinInt64, ""},
	} {
		got, ok := FormatPercent(test.bytes, test.total)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("FormatPercent(%d, %d) = %q, %t, want %q", test.bytes, test.total, got, ok, test.want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                   "0s",
		-time.Hour:                          "0s",
		time.Second - 1:                     "0s",
		time.Second:                         "1s",
		45 * time.Second:                    "45s",
		time.Minute - 1:                     "59s",
		time.Minute:                         "1m00s",
		65 * time.Second:                    "1m05s",
		10 * time.Minute:                    "10m00s",
		time.Hour - 1:                       "59m59s",
		time.Hour:                           "1h00m",
		2*time.Hour + 5*time.Minute:         "2h05m",
		2*time.Hour + 6*time.Minute - 1:     "2h05m",
		24*time.Hour + 10*time.Minute:       "24h10m",
		math.MaxInt64:                       "2562047h47m",
		math.MinInt64:                       "0s",
		12*time.Minute + 59*time.Second + 1: "12m59s",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestFormatLeft(t *testing.T) {
	for d, want := range map[time.Duration]string{
		math.MinInt64:                "~5s",
		0:                            "~5s",
		1:                            "~5s",
		5 * time.Second:              "~5s",
		5*time.Second + 1:            "~10s",
		45 * time.Second:             "~45s",
		55 * time.Second:             "~55s",
		55*time.Second + 1:           "~1m",
		time.Minute:                  "~1m",
		90*time.Second - 1:           "~1m",
		90 * time.Second:             "~2m",
		12 * time.Minute:             "~12m",
		90*time.Minute - 1:           "~90m",
		90 * time.Minute:             "~2h",
		3*time.Hour + 29*time.Minute: "~3h",
		24 * time.Hour:               "~24h",
		24*time.Hour + 1:             ">24h",
		math.MaxInt64:                ">24h",
	} {
		if got := FormatLeft(d); got != want {
			t.Errorf("FormatLeft(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestFormatRateIsBytesASecond(t *testing.T) {
	for rate, want := range map[int64]string{12_100_000: "12.1MB/s", 0: "0B/s", -1: "0B/s"} {
		if got := FormatRate(rate); got != want {
			t.Errorf("FormatRate(%d) = %q, want %q", rate, got, want)
		}
	}
}

// oracle states the sizes' rule another way: the rows by the first byte count
// that belongs to the next one, and exact fractions.
var oracle = []struct {
	below  int64 // byte counts below this are in the row
	unit   int64
	name   string
	places int
}{
	{1_000, 1, "B", 0},
	{9_995, 1e3, "KB", 2}, {99_950, 1e3, "KB", 1}, {999_500, 1e3, "KB", 0},
	{9_995_000, 1e6, "MB", 2}, {99_950_000, 1e6, "MB", 1}, {999_500_000, 1e6, "MB", 0},
	{9_995_000_000, 1e9, "GB", 2}, {99_950_000_000, 1e9, "GB", 1}, {math.MaxInt64, 1e9, "GB", 0},
}

func oracleBytes(n int64) string {
	n = max(n, 0)
	for _, row := range oracle {
		if n >= row.below && row.below != math.MaxInt64 {
			continue
		}
		text := halfUp(big.NewRat(n, row.unit), row.places)
		if row.places == 2 && strings.HasSuffix(text, "0") {
			text = text[:len(text)-1]
		}
		return text + row.name
	}
	panic("unreachable")
}

func oraclePercent(bytes, total int64) (string, bool) {
	bytes = max(bytes, 0)
	if total <= 0 || bytes > total {
		return "", false
	}
	share := big.NewRat(bytes, total)
	return halfUp(share.Mul(share, big.NewRat(100, 1)), 1) + "%", true
}

// halfUp renders a fraction that isn't negative by whole numbers alone:
// floor(x * 10^places + 1/2), with a point set in it.
func halfUp(x *big.Rat, places int) string {
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	scaled := new(big.Rat).Mul(x, new(big.Rat).SetInt(power))
	scaled.Add(scaled, big.NewRat(1, 2))
	whole := new(big.Int).Quo(scaled.Num(), scaled.Denom())
	if places == 0 {
		return whole.String()
	}
	units, rest := new(big.Int).QuoRem(whole, power, new(big.Int))
	return fmt.Sprintf("%s.%0*d", units, places, rest)
}

func checkSizes(t *testing.T, bytes, total int64) {
	t.Helper()
	wantBytes := oracleBytes(bytes)
	if got := FormatBytes(bytes); got != wantBytes {
		t.Fatalf("FormatBytes(%d) = %q, want %q", bytes, got, wantBytes)
	}
	percent, ok := FormatPercent(bytes, total)
	want, wantOK := oraclePercent(bytes, total)
	if percent != want || ok != wantOK {
		t.Fatalf("FormatPercent(%d, %d) = %q, %t, want %q, %t", bytes, total, percent, ok, want, wantOK)
	}
	wantProgress := wantBytes
	if wantOK {
		wantProgress += "/" + oracleBytes(total) + " ~ " + want
	}
	if got := FormatProgress(bytes, total); got != wantProgress {
		t.Fatalf("FormatProgress(%d, %d) = %q, want %q", bytes, total, got, wantProgress)
	}
}

func TestFaultsText(t *testing.T) {
	t.Run("V4 every boundary", func(t *testing.T) {
		for _, row := range oracle {
			for n := row.below - 2; n <= row.below && n > 0; n++ {
				checkSizes(t, n, row.below)
				checkSizes(t, n+1, math.MaxInt64)
			}
		}
		// Each tie of the percentage, and its neighbours: k + 1/2 tenths of a
		// percent are (2k+1)/2000 of the total.
		for k := range int64(1000) {
			const unit = int64(4_000_000_000_000_000)
			tie := (2*k + 1) * unit
			for _, bytes := range []int64{tie - 1, tie, tie + 1} {
				checkSizes(t, bytes, 2000*unit)
			}
		}
	})
	t.Run("V4 every tie of a size", func(t *testing.T) {
		for _, unit := range []int64{1e3, 1e6, 1e9} {
			for k := int64(0); k < 1000; k++ {
				for _, tie := range []int64{
					unit + unit*(2*k+1)/200,
					10*unit + unit*(2*k+1)/20,
					100*unit + unit*(2*k+1)/2,
				} {
					checkSizes(t, tie-1, 0)
					checkSizes(t, tie, 0)
					checkSizes(t, tie+1, 0)
				}
			}
		}
	})
	t.Run("V4 at random", func(t *testing.T) {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		t.Logf("seed %d", seed)
		for range 8_000 {
			// Sizes of every magnitude, not almost only of the largest.
			bytes := random.Int64() >> random.IntN(63)
			total := random.Int64() >> random.IntN(63)
			checkSizes(t, bytes, total)
			checkSizes(t, min(bytes, total), max(bytes, total))
		}
	})
	t.Run("V1 V2 sizes out of all bounds", func(t *testing.T) {
		extremes := []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, 1 << 53, 1<<53 + 1, math.MaxInt64 - 1, math.MaxInt64}
		for _, bytes := range extremes {
			for _, total := range extremes {
				checkSizes(t, bytes, total)
			}
		}
	})
}

func FuzzFormatProgress(f *testing.F) {
	f.Add(int64(975_000_000), int64(1_200_000_000))
	f.Add(int64(math.MinInt64), int64(math.MaxInt64))
	f.Add(int64(999_500), int64(999_499_999))
	f.Fuzz(checkSizes)
}
