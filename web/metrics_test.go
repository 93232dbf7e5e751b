package web

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"progressd/internal/shown"
	"progressd/record"
	"progressd/socket"
	"progressd/tracker"
)

func facts(f *socket.Facts) {
	f.CPUMilliseconds, f.Resident, f.Files, f.Dropped = 1500, 12_000_000, 9, map[string]int64{"journal": 3}
	for i := range f.Roots {
		f.Roots[i].Up = true
	}
	f.Roots = append(f.Roots, socket.RootFacts{Path: "/gone"})
}

func TestMetrics(t *testing.T) {
	g := newRig(t)
	g.daemon.Facts = facts
	now := of("org/a", 50, 200)
	now.Needed, now.Free, now.Root = 150, 5000, `/home/"al\ice"/hub`
	g.daemon.Tells(tracker.Started, now)
	g.daemon.Tells(tracker.Interrupted, of("org/b", 10, 0))
	g.daemon.Tells(tracker.Completed, of("org/c", 10, 10))
	status, head, body := g.get("/metrics")
	if status != 200 || !strings.HasPrefix(head.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("%d %v", status, head)
	}
	for _, want := range []string{
		`progressd_download_state{model="org/a",repo_type="model",root="/home/\"al\\ice\"/hub",state="downloading"} 1`,
		`progressd_download_state{model="org/a",repo_type="model",root="/home/\"al\\ice\"/hub",state="stalled"} 0`,
		`progressd_download_written_bytes{model="org/a",`, `progressd_download_size_bytes{model="org/a",`, `progressd_download_remaining_seconds{model="org/a",repo_type="model",root="/home/\"al\\ice\"/hub"} 90`,
		`progressd_download_rate_bytes_per_second{model="org/a",repo_type="model",root="/home/\"al\\ice\"/hub"} 1.21e+07`,
		`state="interrupted"} 1`, `state="completed"} 1`, `total_source="listing",`,
		`progressd_disk_free_bytes{disk="8:1"} 5000`, `progressd_disk_needed_bytes{disk="8:1"} 150`,
		`progressd_downloads_finished_total{result="completed"} 1`, `progressd_downloads_finished_total{result="failed"} 0`, `progressd_root_up{root="/gone"} 0`,
		`progressd_received_bytes_total{root="/home/\"al\\ice\"/hub"} 50`, `progressd_lines_dropped_total{sink="journal"} 3`,
		`progressd_build_info{version="v1"} 1`, `progressd_process_cpu_seconds_total 1.5`, `progressd_process_open_fds 9`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in\n%s", want, body)
		}
	}
	if found := regexp.MustCompile(`(size_bytes|remaining_seconds|rate_bytes_per_second)\{model="org/b".*`).FindString(body); found != "" {
		t.Errorf("that is not known: %s", found)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestEveryMetricIsInTheManual(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "man", "progressctl-serve.1"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`= (ofDownload|gauge|counter)\("([a-z_]+)"`).FindAllStringSubmatch(string(source), -1)
	const some = 20
	if len(found) < some {
		t.Fatalf("only these are found: %q", found)
	}
	for _, m := range found {
		name := "progressd_" + m[2]
		if m[1] == "ofDownload" {
			name = "progressd_download_" + m[2]
		}
		if !regexp.MustCompile(name + `\b`).Match(page) {
			t.Errorf("progressctl-serve(1) doesn't name %s", name)
		}
	}
}

func TestADaemonThatKeepsItselfToItselfHasNoFigures(t *testing.T) {
	s := &scrape{version: "v"}
	if n := count(t, s); n != 1 {
		t.Errorf("%d series", n)
	}
}

// count gathers, which fails where two series have one name.
func count(t *testing.T, s *scrape) int {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(s)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		n += len(f.GetMetric())
	}
	return n
}

func TestWhichDownloadsHaveSeries(t *testing.T) {
	at := time.Now()
	download := func(model string, state record.State, ago time.Duration) record.Download {
		return record.Download{Key: model, State: state, Record: record.Record{Model: model, RepoType: "model", Time: at.Add(-ago)}}
	}
	all := []record.Download{
		download("org/a", record.Downloading, 0), download("org/a", record.Stalled, 0), // of two caches, of which one isn't told
		download("org/b", record.Interrupted, 24*time.Hour), download("org/c", record.Completed, 4*time.Minute), download("org/d", record.Completed, 6*time.Minute),
	}
	var names []string
	for _, d := range chosen(all, at) {
		names = append(names, fmt.Sprint(d.Model, " ", d.State))
	}
	if want := []string{"org/a downloading", "org/b interrupted", "org/c completed"}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	for i := range 2 * maxShown {
		all = append(all, download(fmt.Sprint("org/x", i), record.Downloading, 0))
	}
	some := chosen(all, at)
	if len(some) != maxShown {
		t.Errorf("%d downloads", len(some))
	}
	s := &scrape{downloads: some, facts: &socket.Facts{Roots: []socket.RootFacts{{Path: "/a"}, {Path: "/a"}}}}
	if n := count(t, s); n < maxShown*len(states) {
		t.Errorf("%d series", n)
	}
}

func TestHostileNamesAreLabels(t *testing.T) {
	g := newRig(t)
	g.daemon.Tells(tracker.Started, hostileDownload())
	_, _, body := g.get("/metrics")
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "progressd_") {
			t.Errorf("%q", line)
		}
	}
	if _, err := promlint.New(strings.NewReader(body)).Lint(); err != nil || !strings.Contains(body, `model="`+shown.Model("org/a").ID+`"`) {
		t.Errorf("%v\n%s", err, body)
	}
}
