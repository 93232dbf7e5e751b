package daemon

import (
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
)

const smaps = `00400000-007e2000 r-xp 00000000 fe:00 14314592    /usr/bin/progressd
Rss:                3564 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
007e2000-00bd5000 r--p 003e2000 fe:00 14314592    /usr/bin/progressd
Anonymous:             0 kB
00bd5000-00be0000 r--p 003f2000 fe:00 14314592    /usr/bin/progressd
Anonymous:             8 kB
00be0000-00c32000 rw-p 007d5000 fe:00 14314592    /usr/bin/progressd
Anonymous:             0 kB
00c32000-02c75000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000001000 r--s 00000000 fe:00 14314592    /usr/bin/progressd
Anonymous:             0 kB
7f0000002000-7f0000003000 r-xp 00000000 fe:00 99    /usr/lib/not/progressd
Anonymous:             0 kB
7ffc00000000-7ffc00021000 r-xp 00000000 00:00 0    [vdso]
`

func TestOnlyReadOnlyPagesOfTheProgramAreGivenBack(t *testing.T) {
	got := cleanMappings(strings.NewReader(smaps), "/usr/bin/progressd")
	if want := []mapping{{0x400000, 0x7e2000}, {0x7e2000, 0xbd5000}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// That this test goes on to run is its point.
func TestTheProgramRunsOnWithoutItsPages(t *testing.T) {
	found, err := ownText()
	if err != nil || len(found) == 0 {
		t.Fatalf("the program's code is at %x, %v", found, err)
	}
	var diagnostics strings.Builder
	p := &Pipeline{log: slog.New(slog.NewTextHandler(&diagnostics, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	before := residentText(t)
	for range 3 {
		p.shedText()
	}
	if after := residentText(t); after >= before {
		t.Errorf("%s of the program were in memory, now %s", before, after)
	}
	if diagnostics.Len() > 0 {
		t.Error(diagnostics.String())
	}
}

// residentText is the line on the memory that is backed by files, of equal
// length for numbers that can be compared.
func residentText(t *testing.T) string {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "RssFile:"); ok {
			return value
		}
	}
	t.Fatal("no RssFile")
	return ""
}
