package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"progressd/internal/client"
	"progressd/internal/hub"
	"progressd/record"
)

// A call is one call of progressctl, which may still be going on.
type call struct {
	l        *launch
	out, err *os.File
	done     chan int
}

// calls counts them, for a file of its own each.
var calls atomic.Int64

// begin calls progressctl without waiting for its end.
func (l *launch) begin(args ...string) *call {
	l.t.Helper()
	n := calls.Add(1)
	c := &call{l: l, out: l.file(fmt.Sprint("out", n)), err: l.file(fmt.Sprint("err", n)), done: make(chan int, 1)}
	ends, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		c.done <- run(args, world{ends: ends, stdout: c.out, stderr: c.err, getenv: l.getenv, signals: func() <-chan os.Signal { return nil }}).Status
	}()
	l.t.Cleanup(func() { close(ends); <-ended })
	return c
}

// ends waits for its end with a status, and gives what it has printed.
func (c *call) ends(status int) (out, err string) {
	c.l.t.Helper()
	select {
	case got := <-c.done:
		out, err = c.l.read(c.out), c.l.read(c.err)
		if got != status {
			c.l.t.Fatalf("exit status %d, want %d\n%s%s", got, status, out, err)
		}
		return out, err
	case <-time.After(patient):
		c.l.t.Fatalf("it goes on\n%s%s", c.l.read(c.out), c.l.read(c.err))
		return "", ""
	}
}

// gives is begin and ends.
func (l *launch) gives(status int, args ...string) (out, err string) {
	l.t.Helper()
	return l.begin(args...).ends(status)
}

// downloading starts a client that gets stuck at 2 of 5 MB until the gate opens,
// and waits until that was told.
func (l *launch) downloading() (*exec.Cmd, *hub.Gate) {
	l.t.Helper()
	h, gate := serveHub(l.t), hub.NewGate()
	h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: gate})
	cmd := l.download(h)
	l.until(l.service.out, "2.0MB/5.0MB")
	return cmd, gate
}

func (l *launch) download(h *hub.Hub, args ...string) *exec.Cmd {
	l.t.Helper()
	hh := client.HH{Endpoint: h.URL(), Root: l.path("hub"), Generation: client.Trees, Chunk: mb / 2, Workers: 1}
	cmd, err := client.Command(context.Background(), l.t.TempDir(), hh, append([]string{demo.ID}, args...)...)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func TestStatusShowsWhatGoesOn(t *testing.T) {
	t.Parallel()
	l := beside(t)
	l.daemon()
	if out, _ := l.gives(0, "status"); out != "no downloads\n" {
		t.Errorf("%q", out)
	}
	cmd, gate := l.downloading()
	row := regexp.MustCompile(`^MODEL +STATE +BYTES +% +SPEED +LEFT +FILES +BY\norg/demo +downloading +2.0MB/5.0MB +40.0% +(?:-|\S+/s) +(?:-|~\S+) +1/2 +hf \((\d+), \S+\)\n1 download, 3.0MB left; \S+ free\n$`)
	var out string
	for end := time.Now().Add(patient); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		if out, _ = l.gives(0, "status"); row.MatchString(out) {
			break
		}
	}
	if m := row.FindStringSubmatch(out); m == nil || m[1] != fmt.Sprint(cmd.Process.Pid) {
		t.Errorf("pid %d:\n%s", cmd.Process.Pid, out)
	}
	if out, _ := l.gives(0, "status", "--no-legend"); strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "org/demo  downloading") {
		t.Errorf("%q", out)
	}
	out, _ = l.gives(0, "status", "--json")
	var d record.Download
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.State != record.Downloading || d.Model != "org/demo" || *d.Bytes != 2*mb+1000 || d.Key == "" || d.Device == "" {
		t.Errorf("%v\n%s", err, out)
	}
	out, _ = l.gives(0, "status", "org/demo")
	for _, want := range []string{
		"org/demo - downloading, begun ", "     Cache: " + l.path("hub") + "\n", "   On disk: 2.0MB/5.0MB ~ 40.0%, 1 of 2 files\n",
		fmt.Sprintf("        By: hf, pid %d, user ", cmd.Process.Pid), "      Disk: 3.0MB left to download, ", "   Writing: 1 file\n            sub/model.safetensors 2.0MB/5.0MB ~ 40.0%",
		"] [INFO] Download progress: 2.0MB/5.0MB ~ 40.0%\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	gate.Open()
	_ = cmd.Wait()
	l.until(l.service.out, "downloaded successfully")
	if out, _ := l.gives(0, "status"); out != "no downloads; 1 ended within 24 hours (--all shows them)\n" {
		t.Errorf("%q", out)
	}
	l.stop()
	l.daemon()
	if out, _ := l.gives(0, "status", "--all"); !strings.Contains(out, "\norg/demo  completed  5.0MB/5.0MB  100.0%") {
		t.Errorf("after a restart\n%s", out)
	}
	if out, _ := l.gives(0, "status", "org/demo"); !strings.HasPrefix(out, "org/demo - completed (every file of the listing is there with its size)\n") {
		t.Errorf("%s", out)
	}
}

func TestStatusOfAModelIsAnExitStatus(t *testing.T) {
	t.Parallel() // interrupted takes a minute
	l := beside(t)
	l.daemon()
	if out, err := l.gives(4, "status", "org/demo"); out != "" || !strings.Contains(err, "org/demo is unknown") {
		t.Errorf("%q %q", out, err)
	}
	cmd, _ := l.downloading()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	l.until(l.service.out, "Download interrupted")
	if out, _ := l.gives(3, "status", "org/demo"); !strings.HasPrefix(out, "org/demo - interrupted, last byte ") {
		t.Errorf("%q", out)
	}
	if out, _ := l.gives(0, "status"); !strings.Contains(out, "org/demo  interrupted  2.0MB/5.0MB") {
		t.Errorf("%q", out)
	}
	if out, _ := l.gives(4, "status", "--json", "org/demo", "datasets/org/none"); strings.Count(out, "\n") != 1 {
		t.Errorf("%q", out)
	}
	if _, err := l.gives(2, "status", "../x"); !strings.Contains(err, `"../x" is no model`) {
		t.Errorf("%q", err)
	}
}

func TestWhereNoDaemonIsItSaysWhereItLooked(t *testing.T) {
	t.Parallel()
	l := beside(t)
	socket := filepath.Join(l.runtime, "progressd", "progressd.sock")
	for _, args := range []string{"status", "status org/demo", "status --json", "events", "events --no-follow"} {
		if out, err := l.gives(5, strings.Fields(args)...); out != "" || !strings.Contains(err, socket) || !strings.Contains(err, "systemctl start progressd") {
			t.Errorf("%s: %q %q", args, out, err)
		}
	}
	if _, err := l.gives(5, "status", "--socket", "/none/here"); !strings.Contains(err, `"/none/here"`) || strings.Contains(err, socket) {
		t.Errorf("%q", err)
	}
}

func TestWaitEndsAtOnceForWhatIsWhole(t *testing.T) {
	t.Parallel()
	l := beside(t)
	if err := l.download(serveHub(t)).Wait(); err != nil {
		t.Fatal(err)
	}
	l.daemon()
	out, err := l.gives(0, "wait", "org/demo", "--timeout", "20s")
	if !regexp.MustCompile(`^\[\d\d:\d\d:\d\d [AP]M\] \[SUCCESS\] org/demo: Model downloaded successfully\n$`).MatchString(out) || err != "" {
		t.Errorf("%q %q", out, err)
	}
	out, _ = l.gives(0, "wait", "org/demo", "--json")
	var d record.Download
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.State != record.Completed || d.Proof != "listing" || d.Event != "completed" {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWaitEndsWithTheVerdict(t *testing.T) {
	t.Parallel()
	l := beside(t)
	l.daemon()
	c := l.begin("wait", "org/demo")
	cmd, gate := l.downloading()
	gate.Open()
	_ = cmd.Wait()
	out, err := c.ends(0)
	if !strings.HasSuffix(out, "[SUCCESS] org/demo: Model downloaded successfully\n") || strings.Count(out, "\n") != 1 {
		t.Errorf("%q", out)
	}
	for _, line := range []string{"Preparing to download model: org/demo", "Download progress: 2.0MB/5.0MB ~ 40.0%"} {
		if !strings.Contains(err, "[INFO] org/demo: "+line+"\n") {
			t.Errorf("%q is not in\n%s", line, err)
		}
	}
	if strings.Contains(err, "successfully") {
		t.Errorf("the verdict is told twice\n%s", err)
	}
}

func TestWaitOverARestart(t *testing.T) {
	t.Parallel()
	for name, finishedMeanwhile := range map[string]bool{"goes on": false, "finished meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			l := beside(t)
			l.daemon()
			cmd, gate := l.downloading()
			c := l.begin("wait", "org/demo", "--timeout", "20s")
			l.awaitText(c.err, "")
			l.stop()
			if finishedMeanwhile {
				gate.Open()
				_ = cmd.Wait()
			}
			l.daemon()
			gate.Open()
			if out, err := c.ends(0); !strings.HasSuffix(out, "[SUCCESS] org/demo: Model downloaded successfully\n") {
				t.Errorf("%q\n%s", out, err)
			}
		})
	}
}

func TestWaitForWhatEndsBadly(t *testing.T) {
	t.Parallel() // interrupted takes a minute
	l := beside(t)
	l.daemon()
	cmd, _ := l.downloading()
	verdict, completed := l.begin("wait", "org/demo"), l.begin("wait", "org/demo", "--for", "completed", "--timeout", "2m")
	<-time.After(300 * time.Millisecond) // both have heard how it stands
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if out, _ := verdict.ends(1); !strings.Contains(out, "[WARNING] org/demo: Download interrupted at 2.0MB/5.0MB ~ 40.0%: downloader (pid ") {
		t.Errorf("%q", out)
	}
	// It is known to be interrupted: that is a verdict, unless it goes on soon.
	if out, _ := l.gives(1, "wait", "org/demo", "--appear", "300ms"); !strings.Contains(out, "Download interrupted at") {
		t.Errorf("%q", out)
	}
	_ = l.download(serveHub(t)).Wait()
	if out, _ := completed.ends(0); !strings.HasSuffix(out, "downloaded successfully\n") {
		t.Errorf("%q", out)
	}
}

func TestWaitForWhatNeverComes(t *testing.T) {
	t.Parallel()
	l := beside(t)
	l.daemon()
	if out, _ := l.gives(4, "wait", "org/none", "--appear", "300ms"); !strings.HasSuffix(out, "[ERROR] org/none: No download has begun: nothing of it is on disk\n") {
		t.Errorf("%q", out)
	}
	if out, _ := l.gives(124, "wait", "org/none", "--timeout", "300ms", "--json"); !strings.Contains(out, `"model":"org/none"`) || strings.Contains(out, `"state"`) {
		t.Errorf("%q", out)
	}
	cmd, _ := l.downloading()
	defer cmd.Process.Kill()
	out, _ := l.gives(124, "wait", "org/demo", "--timeout", "500ms", "--json")
	var d record.Download
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.State != record.Downloading || *d.Bytes != 2*mb+1000 {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := l.gives(2, "wait"); !strings.Contains(err, "requires at least 1 arg") {
		t.Errorf("%q", err)
	}
	if _, err := l.gives(2, "wait", "org/demo", "--for", "ever"); !strings.Contains(err, "expected verdict or completed") {
		t.Errorf("%q", err)
	}
}

func TestEventsAreShownAsTheyAreTold(t *testing.T) {
	t.Parallel()
	l := beside(t)
	l.daemon()
	cmd, gate := l.downloading()
	out, _ := l.gives(0, "events", "--no-follow")
	if got := clock.ReplaceAllString(out, ""); !strings.HasPrefix(got, "[INFO] org/demo: Preparing to download model: org/demo\n") || !strings.HasSuffix(got, "2.0MB/5.0MB ~ 40.0%\n") {
		t.Errorf("%s", got)
	}
	for args, lines := range map[string]int{"-n 1": 1, "-n 0": 0, "--since 1h": strings.Count(out, "\n"), "--since 2999-01-01": 0, "--filter event=preparing": 1,
		"--filter event=preparing --filter event=started": 2, "--filter event=preparing --filter model=org/other": 0, "--filter level=error": 0} {
		if got, _ := l.gives(0, append([]string{"events", "--no-follow"}, strings.Fields(args)...)...); strings.Count(got, "\n") != lines {
			t.Errorf("%s gives\n%s", args, got)
		}
	}
	c := l.begin("events", "--json", "-n", "2")
	l.awaitText(c.out, `"event":"progress"`)
	l.stop()
	l.awaitText(c.err, "waiting for it to come back")
	l.daemon()
	gate.Open()
	_ = cmd.Wait()
	l.awaitText(c.out, `"event":"completed"`)
	seen := map[string]bool{}
	for line := range strings.Lines(l.read(c.out)) {
		var r record.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.ID == "" || seen[r.ID] {
			t.Errorf("%v: %s", err, line)
		}
		seen[r.ID] = true
	}
	if !strings.Contains(l.read(c.err), "journalctl -u progressd") {
		t.Errorf("%s", l.read(c.err))
	}
	for _, args := range []string{"--since soon", "--filter x", "--filter frobnicate=1", "-n -1"} {
		if _, err := l.gives(2, append([]string{"events"}, strings.Fields(args)...)...); !strings.Contains(err, "progressctl events: ") {
			t.Errorf("%s: %s", args, err)
		}
	}
}

// What a cache is full of never reaches a terminal as it is.
func TestNamesOfACacheAreShownEscaped(t *testing.T) {
	t.Parallel()
	l := beside(t)
	hostile := "a\x1b[31m\u202e\"x\".safetensors"
	blobs := l.path("hub", "models--org--demo", "blobs")
	mkdir(t, blobs)
	mkdir(t, l.path("hub", "models--org--demo", "snapshots", strings.Repeat("a", 40)))
	l.daemon()
	etag := strings.Repeat("b", 64)
	tree := fmt.Sprintf(`[{"type":"file","path":%q,"size":5000000,"oid":"x","lfs":{"oid":%q,"size":5000000}}]`, hostile, etag)
	mkdir(t, l.path("hub", "models--org--demo", "trees"))
	if err := os.WriteFile(l.path("hub", "models--org--demo", "trees", strings.Repeat("a", 40)+".json"), []byte(tree), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(blobs, etag+".incomplete"), make([]byte, 2*mb), 0o600); err != nil {
		t.Fatal(err)
	}
	l.until(l.service.out, "Preparing to download model: org/demo")
	for _, args := range []string{"status", "status --json", "status org/demo", "status org/demo --json", "events --no-follow", "events --json --no-follow"} {
		out, err := l.gives(0, strings.Fields(args)...)
		for _, c := range []byte(out + err) {
			if c != '\n' && (c < ' ' || c > '~') {
				t.Fatalf("%s prints %q", args, out+err)
			}
		}
	}
}

func TestNobodyWaitsForADaemonThatHangs(t *testing.T) {
	t.Parallel()
	l := beside(t)
	l.daemon()
	l.hang()
	began := time.Now()
	if _, err := l.gives(5, "status"); !strings.Contains(err, "no progressd answers") {
		t.Errorf("%q", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
