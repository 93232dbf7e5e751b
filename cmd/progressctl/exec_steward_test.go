package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"progressd/internal/client"
	"progressd/internal/hub"
)

// stuck is a command line that downloads 2 of 5 MB, and no more until the gate
// opens.
func (l *launch) stuck() (argv []string, gate *hub.Gate) {
	l.t.Helper()
	h, gate := serveHub(l.t), hub.NewGate()
	h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: gate})
	return l.downloader(h, client.Trees), gate
}

// quick has a download that stands still stalled after a second.
func (l *launch) quick() {
	l.t.Helper()
	l.write("config.toml", l.config()+"\n[download]\nstall_after = \"1s\"\n")
}

func TestExecStopsWhatStandsStillForTooLong(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]func(*launch){"alone": func(*launch) {}, "beside a daemon": func(l *launch) { l.daemon() }} {
		t.Run(name, func(t *testing.T) {
			l := beside(t)
			l.quick()
			with(l)
			argv, _ := l.stuck()
			if status := l.exec(append([]string{"--stall-timeout", "1s", "--"}, argv...)...); status != 124 {
				t.Errorf("exit status %d", status)
			}
			told := l.read(l.err)
			if !strings.Contains(told, "[WARNING] org/demo: Download stalled at 2.0MB/5.0MB ~ 40.0%") ||
				!strings.Contains(told, "[ERROR] org/demo: Model download failed: no new data for ") || !strings.Contains(told, "s, so hf was stopped\n") {
				t.Errorf("told\n%s", told)
			}
		})
	}
}

// One that doesn't end when asked, and takes its signals for no reason to fail.
func TestExecGivesUpOnWhatClaimsSuccess(t *testing.T) {
	t.Parallel()
	l := newLaunch(t)
	l.quick()
	argv, _ := l.stuck()
	script := "trap 'kill $pid; exit 0' TERM; " + strings.Join(argv, " ") + " & pid=$!; wait $pid; wait $pid"
	if status := l.exec("--stall-timeout", "500ms", "--model", "org/demo", "--", "sh", "-c", script); status != 124 {
		t.Errorf("exit status %d", status)
	}
	if told := l.told(); !strings.HasSuffix(told, ", so sh was stopped\n") || strings.Contains(told, "successfully") {
		t.Errorf("told\n%s", told)
	}
}

func TestExecTellsTheServiceManager(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]func(*launch){"alone": func(*launch) {}, "beside a daemon": func(l *launch) { l.daemon() }} {
		t.Run(name, func(t *testing.T) {
			l := beside(t)
			with(l)
			path := filepath.Join(l.runtime, "notify")
			s, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			l.environ = append(l.environ, "NOTIFY_SOCKET="+path)
			argv, gate := l.stuck()
			done := make(chan int, 1)
			go func() { done <- l.exec(argv...) }()
			heard, buf := "", make([]byte, 4096)
			for !strings.Contains(heard, "STATUS=Downloading org/demo: 2.0MB/5.0MB ~ 40.0%") {
				n, err := s.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				heard += string(buf[:n]) + "\n"
			}
			gate.Open()
			if status := <-done; status != 0 {
				t.Errorf("exit status %d", status)
			}
			if !strings.Contains(heard, "\nEXTEND_TIMEOUT_USEC=600000000\n") || strings.Contains(heard, "READY") {
				t.Errorf("told\n%s", heard)
			}
		})
	}
}
