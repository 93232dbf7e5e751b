package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"progressd/tracker"
)

const (
	rules     = "../packaging/prometheus/progressd.rules.yml"
	dashboard = "../packaging/prometheus/grafana.json"
)

// needs skips a test where there is no such program.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("no %s (Debian: prometheus)", program)
	}
}

func TestTheAlertsAsPrometheusHasThem(t *testing.T) {
	needs(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "--lint-fatal", rules}, {"test", "rules", "testdata/rules.test.yml"}} {
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
}

// Alerts and dashboard ask for nothing that isn't told.
func TestEveryMetricThatIsAskedForIsTold(t *testing.T) {
	g := newRig(t)
	g.daemon.Facts = facts
	now := of("org/a", 50, 200)
	now.Needed, now.Free = 150, 5000
	g.daemon.Tells(tracker.Started, now)
	_, _, body := g.get("/metrics")
	for _, path := range []string{rules, dashboard, fleetDashboard, fleetDocument} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		asked := regexp.MustCompile(`\bprogressd_[a-z]+_[a-z_]+`).FindAllString(string(text), -1)
		if len(asked) < 5 {
			t.Errorf("%s asks for %q only", path, asked)
		}
		for _, name := range asked {
			if !strings.Contains(body, "\n"+name+"{") && !strings.Contains(body, "\n"+name+" ") {
				t.Errorf("%s asks for %s", path, name)
			}
		}
	}
	for _, path := range []string{dashboard, fleetDashboard} {
		if text, err := os.ReadFile(path); err != nil || !json.Valid(text) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestARealPrometheusScrapes(t *testing.T) {
	t.Parallel()
	needs(t, "prometheus")
	needs(t, "promtool")
	g := newRig(t)
	g.daemon.Facts = facts
	g.daemon.Tells(tracker.Started, hostileDownload())
	_, _, body := g.get("/metrics")
	check := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	check.Stdin = strings.NewReader(body)
	if out, err := check.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	at := scraper(t, g, func(server string) string {
		return fmt.Sprintf("scrape_configs: [{job_name: progressd, static_configs: [{targets: [%q]}]}]\n", server)
	})
	for query, want := range map[string]string{
		`up`: "1", `progressd_download_written_bytes{model="org/a"}`: "50", `progressd_download_info{root=~".*<img src=x onerror=alert.1.>.*"}`: "1", `progressd_root_up{root="/gone"}`: "0",
	} {
		var got string
		for end := time.Now().Add(patience); got != want && time.Now().Before(end); <-time.After(100 * time.Millisecond) {
			got = ask(at, query)
		}
		if got != want {
			t.Errorf("%s is %q, want %q", query, got, want)
		}
	}
	g.daemon.Stop()
	for end := time.Now().Add(patience); ask(at, "up") != "0"; <-time.After(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the daemon is gone, and it is up")
		}
	}
}

// scraper starts a Prometheus that scrapes each second what the server's address
// makes of its configuration, and gives its own.
func scraper(t *testing.T, g *rig, scrapes func(server string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- New(g.server.opts).Serve(ctx, l) }()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := free.Addr().String()
	_ = free.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	path, err := filepath.Abs(rules)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s}\nrule_files: [%q]\n%s", path, scrapes(l.Addr().String()))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+at)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(said.String())
		}
	})
	return at
}

// ask gives the value of a query that has one.
func ask(at, query string) string {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + at + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	var r struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err != nil || json.Unmarshal(body, &r) != nil || len(r.Data.Result) != 1 {
		return ""
	}
	return fmt.Sprint(r.Data.Result[0].Value[1])
}
