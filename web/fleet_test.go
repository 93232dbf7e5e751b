package web

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"progressd/socket"
	"progressd/tracker"
)

const (
	fleetDashboard = "../deploy/fleet/dashboard.json"
	fleetDocument  = "../docs/fleet.md"
	fleetScrapes   = "../deploy/fleet/prometheus.yml"
	fleetQueries   = "testdata/fleet.test.yml"
)

// What the document asks of three nodes, and what the dashboard does, has an
// answer, and the one that the document says.
func TestTheQueriesOfAFleet(t *testing.T) {
	t.Parallel()
	needs(t, "promtool")
	tried, err := os.ReadFile(fleetQueries)
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range append(documented(t), shownOfAFleet(t)...) {
		if !strings.Contains(string(tried), "expr: '"+query+"'") {
			t.Errorf("%s doesn't try %s", fleetQueries, query)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", "test", "rules", fleetQueries).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// documented are the queries in the table of the document.
func documented(t *testing.T) (queries []string) {
	t.Helper()
	text, err := os.ReadFile(fleetDocument)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| .* \\| `(.*progressd_.*)` \\|$").FindAllStringSubmatch(string(text), -1) {
		queries = append(queries, strings.ReplaceAll(m[1], `\|`, "|"))
	}
	if len(queries) < 5 {
		t.Errorf("%s asks %q only", fleetDocument, queries)
	}
	return queries
}

// shownOfAFleet are the queries of the dashboard, for all nodes and models.
func shownOfAFleet(t *testing.T) (queries []string) {
	t.Helper()
	text, err := os.ReadFile(fleetDashboard)
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err != nil || json.Unmarshal(text, &board) != nil {
		t.Fatal(err)
	}
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			queries = append(queries, strings.NewReplacer("$node", ".*", "$model", ".*").Replace(target.Expr))
		}
	}
	return queries
}

// The configuration as it is, with a list in place of what asks Kubernetes: for
// that Debian's Prometheus isn't made.
func TestAFleetIsScraped(t *testing.T) {
	t.Parallel()
	needs(t, "prometheus")
	text, err := os.ReadFile(fleetScrapes)
	if err != nil {
		t.Fatal(err)
	}
	g := newRig(t)
	g.daemon.Facts = func(f *socket.Facts) {
		facts(f)
		f.Roots = append(f.Roots, socket.RootFacts{Path: "/var/lib/kubelet/pods/7/volumes/kubernetes.io~empty-dir/cache/hub"})
	}
	g.daemon.Tells(tracker.Started, of("org/a", 50, 200))
	at := scraper(t, g, func(server string) string {
		pods := fmt.Sprintf(`static_configs: [{targets: [%q, "127.0.0.1:1"], labels: {__meta_kubernetes_pod_container_port_name: metrics, __meta_kubernetes_pod_node_name: gpu7}}, {targets: ["127.0.0.1:2"]}]`, server)
		listed := regexp.MustCompile(`kubernetes_sd_configs: .*`).ReplaceAllLiteralString(string(text), pods)
		return strings.ReplaceAll(listed, `"gpu1.example.org:7764"`, fmt.Sprintf("%q", server))
	})
	for query, want := range map[string]string{
		`progressd_download_written_bytes{job="progressd",node="gpu7",model="org/a"}`: "50", `progressd_download_written_bytes{job="progressd-machines",node="gpu1"}`: "50",
		`progressd_root_up{job="progressd",root="/gone"}`: "0", `count(up{job="progressd"})`: "2",
		`count(progressd_root_up{root=~"/var/lib/kubelet/.*"})`: "1", `progressd_root_up{job="progressd-machines",root=~"/var/lib/kubelet/.*"}`: "0",
	} {
		var got string
		for end := time.Now().Add(patience); got != want && time.Now().Before(end); <-time.After(100 * time.Millisecond) {
			got = ask(at, query)
		}
		if got != want {
			t.Errorf("%s is %q, want %q", query, got, want)
		}
	}
}
