package main

import (
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"progressd/hfcache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSeries(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		values                series
		min, median, p99, max float64
	}{
		{"one", series{7}, 7, 7, 7, 7},
		{"odd, unsorted", series{3, 1, 2}, 1, 2, 3, 3},
		{"even: the mean of the middle", series{4, 1, 3, 2}, 1, 2.5, 4, 4},
		{"a hundred: one lies above the 99th", upTo(100), 1, 50.5, 99, 100},
		{"a thousand", upTo(1000), 1, 500.5, 990, 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := [4]float64{tt.values.min(), tt.values.median(), tt.values.quantile(0.99), tt.values.max()}
			if want := [4]float64{tt.min, tt.median, tt.p99, tt.max}; got != want {
				t.Errorf("min, median, p99, max are %v, want %v", got, want)
			}
		})
	}
	if none := (series{}); !math.IsNaN(none.median()) || !math.IsNaN(none.max()) {
		t.Error("a series of nothing has a value")
	}
}

func upTo(n int) series {
	var s series
	for i := range n {
		s = append(s, float64(n-i))
	}
	return s
}

func TestARatioSpansTheWorstAndTheBest(t *testing.T) {
	got := series{10, 20, 40}.over(series{1, 2, 4})
	want := series{2.5, 10, 40}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("the ratio is %v, want %v", got, want)
		}
	}
}

func TestUnits(t *testing.T) {
	for want, got := range map[string]string{
		"12.3 µs": seconds(0.0000123), "4.28 ms": seconds(0.00428), "999 ms": seconds(0.999), "1.5 s": seconds(1.5),
		"11.4 MB": megabytes(11.4e6), "0.0857%": percent(0.000857), "1234": count(1234), "1000": count(999.7), "999": count(999.4), "101×": times(101.2), "1.010": factor(1.0101),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestMarkdownShowsP99OnlyWhereItMeansSomething(t *testing.T) {
	r := &report{command: "go run ./bench --quick", facts: []string{"machine: 2 cores"}}
	s := r.section("Latency")
	s.add("few", us, seconds, upTo(99), "")
	s.add("many", us, seconds, upTo(100), "p99 1 s")
	s.add("nothing measured", us, seconds, nil, "")
	const want = `# Measured

    go run ./bench --quick

* machine: 2 cores

## Latency

| what | who | n | min | median | p99 | max | reach |
| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |
| few | progressd | 99 | 1 s | 50 s |  | 99 s |  |
| many | progressd | 100 | 1 s | 50.5 s | 99 s | 100 s | p99 1 s |
`
	if got := r.markdown(); got != want {
		t.Errorf("the report is\n%s\nwant\n%s", got, want)
	}
}

func TestOnlyTakesKnownWorkloadsInTheirOwnOrder(t *testing.T) {
	o, err := parse([]string{"--only", "busy,idle1000"})
	if err != nil || len(o.selected) != 2 || o.selected[0].name != "idle1000" || o.selected[1].name != "busy" {
		t.Errorf("got %v, %v", o.selected, err)
	}
	if o.out != "" {
		t.Errorf("a part of a run would overwrite %s", o.out)
	}
	if _, err := parse([]string{"--only", "idle"}); err == nil || !strings.Contains(err.Error(), "idle10000") {
		t.Errorf("the error doesn't name the workloads: %v", err)
	}
	if o, err := parse(nil); err != nil || len(o.selected) != len(workloads()) || o.out == "" {
		t.Errorf("a full run: %+v, %v", o, err)
	}
}

func TestTheCommandNamesWhatWasMeasuredAndNoPath(t *testing.T) {
	o, err := parse([]string{"--progressd", "/a/b", "--dir", "/c", "--only", "busy", "--quick", "--latencies", "9"})
	if want := "go run ./bench --quick --only busy --latencies 9"; err != nil || o.command() != want {
		t.Errorf("the command is %q, want %q (%v)", o.command(), want, err)
	}
}

func TestARepositoryAtRestHasTwoSnapshotsOfFinishedBlobs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "models--org--name")
	if err := buildRepo(dir, 3, 5, snapshots); err != nil {
		t.Fatal(err)
	}
	if _, ok := hfcache.ParseFolder(filepath.Base(dir)); !ok {
		t.Error("the folder is no repository's")
	}
	links, err := filepath.Glob(filepath.Join(dir, "snapshots", "*", "*"))
	if err != nil || len(links) != 10 {
		t.Fatalf("there are %d links, want 10 (%v)", len(links), err)
	}
	blobs := make(map[string]bool)
	for _, link := range links {
		st, err := os.Stat(link)
		if err != nil || st.Size() != blobSize {
			t.Fatalf("%s leads to no blob: %v", link, err)
		}
		text, err := os.Readlink(link)
		if err != nil {
			t.Fatal(err)
		}
		blobs[filepath.Base(text)] = true
	}
	for name := range blobs {
		if b := hfcache.ParseBlob(name); b.Kind != hfcache.Finished {
			t.Errorf("%s is no finished blob", name)
		}
	}
	if len(blobs) != 5 {
		t.Errorf("there are %d blobs, want 5", len(blobs))
	}
}

func TestADownloadIsListedLockedAndLinked(t *testing.T) {
	root := t.TempDir()
	d, err := newDownload(root, "org/name", snapshots[0], 1, 2, 1000)
	if err != nil {
		t.Fatal(err)
	}
	listing, err := os.Open(d.path("trees/" + snapshots[0] + ".json"))
	if err != nil {
		t.Fatal(err)
	}
	defer listing.Close()
	parsed, err := hfcache.ParseListing(listing, hfcache.DefaultLimits())
	if err != nil || len(parsed.Files) != 2 || parsed.Files[0].Etag != d.files[0].etag || parsed.Files[0].Size != 1000 {
		t.Fatalf("the listing says %+v, %v", parsed.Files, err)
	}
	in := d.files[0]
	for _, step := range []func() error{in.takeLock, in.create, func() error { return in.fill(make([]byte, 300)) }} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if b := hfcache.ParseBlob(filepath.Base(in.file.Name())); b.Kind != hfcache.Partial || b.Etag != in.etag {
		t.Errorf("%s is no partial of it", in.file.Name())
	}
	for _, step := range []func() error{in.finish, in.link, in.unlock} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := os.Stat(d.path("snapshots/" + snapshots[0] + "/" + in.name)); err != nil || st.Size() != 1000 {
		t.Errorf("the file isn't there: %v", err)
	}
}

func TestATailGivesWholeLinesAndWhenTheyCouldBeRead(t *testing.T) {
	dir := t.TempDir()
	lines, err := follow(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer lines.close()
	f, err := os.Create(filepath.Join(dir, "a.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	began := time.Now()
	for _, piece := range []string{"first done\nsec", "ond", " done\nthi"} {
		if _, err := f.WriteString(piece); err != nil {
			t.Fatal(err)
		}
	}
	at, err := lines.await(t.Context(), "a.log", 1, "done")
	if err != nil || at.Before(began) {
		t.Errorf("the second line came at %v: %v", at, err)
	}
	if all, _ := lines.lines("a.log"); len(all) != 2 || all[1].text != "second done" {
		t.Errorf("the lines are %v", all)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lines.await(ctx, "a.log", 2, "done"); err == nil {
		t.Error("an old line was taken for a new one")
	}
}

func TestProcessorTimeIsThatOfTheProcess(t *testing.T) {
	cmd := exec.Command("sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; read x")
	in, err := cmd.StdinPipe() // open: it waits there
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	p, err := launch(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := p.line(t.Context()); err != nil {
		t.Fatal(err)
	}
	used, err := p.cpu()
	if err != nil || used <= 0 || used > time.Minute {
		t.Errorf("it used %v, %v", used, err)
	}
	if mem, err := p.memory(); err != nil || mem.resident <= 0 || mem.peak < mem.resident {
		t.Errorf("it has %+v, %v", mem, err)
	}
}

func TestWhereTheMedianLies(t *testing.T) {
	for _, tt := range []struct {
		values    series
		low, high float64
	}{
		{series{3, 1, 2}, 1, 3}, // too few to leave one out
		{upTo(6), 1, 6},
		{upTo(9), 2, 8}, // as tables of the sign test have it
		{upTo(20), 6, 15},
		{upTo(100), 40, 61},
	} {
		if low, high := tt.values.medianWithin(); low != tt.low || high != tt.high {
			t.Errorf("of %d values the median lies between %v and %v, want %v and %v", len(tt.values), low, high, tt.low, tt.high)
		}
	}
}

// What is measured runs as the unit lets it run.
func TestTheSlackIsThatOfTheUnit(t *testing.T) {
	unit, err := os.ReadFile("../packaging/systemd/progressd.service")
	if err != nil {
		t.Fatal(err)
	}
	if want := "\nTimerSlackNSec=" + unitSlack.String() + "\n"; !strings.Contains(string(unit), want) {
		t.Errorf("the unit lacks %q", want)
	}
	p, err := launchLate(exec.Command("sh", "-c", "cat /proc/$$/timerslack_ns; cat"), unitSlack)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}()
	if got, err := p.line(t.Context()); err != nil || got != strconv.Itoa(int(unitSlack)) {
		t.Errorf("its timers may be late by %s ns, %v", got, err)
	}
}
