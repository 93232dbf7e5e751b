package downloader

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"progressd/hfcache"
)

// fakeProc writes /proc/PID of one process and returns the /proc.
func fakeProc(t *testing.T, pid int, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	sub := filepath.Join(dir, strconv.Itoa(pid))
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(sub, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func statLine(comm, state, started string) string {
	return "4242 (" + comm + ") " + state + strings.Repeat(" 1", 18) + " " + started + strings.Repeat(" 0", 30) + "\n"
}

func TestReadProcess(t *testing.T) {
	proc := fakeProc(t, 4242, map[string]string{
		"stat":    statLine("hf", "S", "777"),
		"cmdline": "/v/bin/python3\x00/v/bin/hf\x00download\x00o/m\x00--token\x00hf_secret\x00",
		"cgroup":  "0::/system.slice/fetch.service\n",
	})
	p, err := ProcDir(proc).Process(4242)
	if err != nil {
		t.Fatal(err)
	}
	if p.PID != 4242 || p.Started != 777 || p.Command != "hf" || p.Unit != "fetch.service" {
		t.Errorf("got %+v", p)
	}
	if p.Request == nil || p.Request.Repo != (hfcache.Repo{Type: hfcache.Model, ID: "o/m"}) {
		t.Errorf("request %+v", p.Request)
	}
}

func TestReadProcessLeavesOutWhatIsKeptFromUs(t *testing.T) {
	proc := fakeProc(t, 4242, map[string]string{"stat": statLine("vllm", "S", "777")})
	p, err := ProcDir(proc).Process(4242)
	if err != nil || p != (Process{PID: 4242, Started: 777, Command: "vllm"}) {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestReadProcessDoesNotParseACutCommandLine(t *testing.T) {
	line := "hf\x00download\x00o/m\x00--revision\x00" + strings.Repeat("a", 100) + "\x00"
	line += strings.Repeat("x\x00", maxCommandLine/2)
	proc := fakeProc(t, 4242, map[string]string{"stat": statLine("hf", "S", "7"), "cmdline": line})
	if p, err := ProcDir(proc).Process(4242); err != nil || p.Request != nil {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestReadProcessOfNone(t *testing.T) {
	if _, err := ProcDir(t.TempDir()).Process(4242); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	proc := fakeProc(t, 4242, map[string]string{"stat": "garbage"})
	if _, err := ProcDir(proc).Process(4242); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("garbage: %v", err)
	}
}

func TestReadProcessReadsItself(t *testing.T) {
	p, err := ProcDir("/proc").Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// The kernel keeps 15 bytes of a name.
	comm := filepath.Base(os.Args[0])
	comm = comm[:min(len(comm), 15)]
	if p.PID != os.Getpid() || p.Started == 0 || p.Command != comm {
		t.Errorf("got %+v", p)
	}
	if ProcDir("/proc").State(p) != Running {
		t.Error("not alive")
	}
	p.Started++
	if ProcDir("/proc").State(p) != Gone {
		t.Error("alive with another start time")
	}
}

func TestTheStateOfAProcess(t *testing.T) {
	tests := map[string]struct {
		stat string
		want State
	}{
		"running":       {statLine("hf", "R", "777"), Running},
		"paused":        {statLine("hf", "T", "777"), Stopped},
		"debugged":      {statLine("hf", "t", "777"), Stopped},
		"in the kernel": {statLine("hf", "D", "777"), Running},
		"another":       {statLine("hf", "R", "778"), Gone},
		"zombie":        {statLine("hf", "Z", "777"), Gone},
		"dead":          {statLine("hf", "X", "777"), Gone},
		"named Z":       {statLine("a) Z 1 (", "S", "777"), Running},
		// Our own trouble is nobody's death.
		"not understood": {"garbage", Running},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			proc := fakeProc(t, 4242, map[string]string{"stat": tt.stat})
			if got := ProcDir(proc).State(Process{PID: 4242, Started: 777}); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
	t.Run("no such process", func(t *testing.T) {
		if ProcDir(t.TempDir()).State(Process{PID: 4242, Started: 777}) != Gone {
			t.Error("alive")
		}
	})
	t.Run("unreadable", func(t *testing.T) {
		proc := fakeProc(t, 4242, nil)
		if err := os.Mkdir(filepath.Join(proc, "4242", "stat"), 0o755); err != nil {
			t.Fatal(err)
		}
		if ProcDir(proc).State(Process{PID: 4242, Started: 777}) == Gone {
			t.Error("declared dead")
		}
	})
}

func TestAZombieIsNotAlive(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", "read x")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("cannot start a child: %v", err)
	}
	p, err := ProcDir("/proc").Process(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if ProcDir("/proc").State(p) != Running {
		t.Error("a running child is not alive")
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	// The child stays a zombie until Wait.
	for deadline := time.Now().Add(10 * time.Second); ProcDir("/proc").State(p) != Gone; {
		if time.Now().After(deadline) {
			t.Fatal("still alive")
		}
	}
	_ = cmd.Wait()
	if _, err := ProcDir("/proc").Process(p.PID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after wait: %v", err)
	}
}

func TestShortName(t *testing.T) {
	tests := []struct{ comm, line, want string }{
		{"hf", "/v/bin/python3 /v/bin/hf download o/m", "hf"},
		{"python3", "/v/bin/python3 /v/bin/hf download o/m", "hf"},
		{"python3.12", "python3.12 -u serve.py", "serve.py"},
		{"python", "python -m vllm.entrypoints.openai.api_server --model x", "vllm"},
		{"python", "python -OO -mvllm", "vllm"},
		{"python", "python -c x", "python"},
		{"python", "python", "python"},
		{"python3", "", "python3"},
		{"VLLM::EngineCor", "VLLM::EngineCore", "VLLM::EngineCor"},
		{"llama-server", "./llama-server -hf o/m", "llama-server"},
		{"a\nb\x1b[31m\u00e9", "", "a?b?[31m?"},
		{"\xff\xfe", "", "??"},
		{"", "", "?"},
		{"python", "python -m .x", "?"},
		{"python", "python " + strings.Repeat("x", 100), strings.Repeat("x", maxShortName)},
	}
	for _, tt := range tests {
		if got := shortName(tt.comm, split(tt.line)); got != tt.want {
			t.Errorf("%q, %q: %q, want %q", tt.comm, tt.line, got, tt.want)
		}
	}
}

func TestParseUnit(t *testing.T) {
	tests := map[string]string{
		"0::/system.slice/vllm.service\n":                                              "vllm.service",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/jupyter.service\n": "jupyter.service",
		"0::/user.slice/user-1000.slice/session-3.scope":                               "session-3.scope",
		"0::/system.slice/vllm@a\\x2db.service/sub/leaf\n":                             "vllm@a\\x2db.service",
		"0::/\n":             "",
		"0::/system.slice\n": "",
		"12:memory:/system.slice/a.service\n1:name=systemd:/system.slice/b.service\n0::/\n": "b.service",
		"12:memory:/system.slice/a.service\n":                                               "",
		"0::/system.slice/a b.service\n":                                                    "",
		"0::/system.slice/\x1b[31m.service\n":                                               "",
		"0::/.service/x.slice\n":                                                            "",
		"0::/" + strings.Repeat("a", 250) + ".service":                                      "",
		"":        "",
		"garbage": "",
	}
	for text, want := range tests {
		if got := parseUnit(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParseStat(t *testing.T) {
	for _, text := range []string{"", "1", "1 (a", "1 a) S", ")(", "1 (a) S 1 2 3", statLine("a", "S", "x"), statLine("a", "S", "-1")} {
		if s, ok := parseStat(text); ok {
			t.Errorf("%q: %+v", text, s)
		}
	}
	s, ok := parseStat(statLine("a (b) S 1\n)", "R", "18446744073709551615"))
	if !ok || s != (stat{comm: "a (b) S 1\n)", state: Running, started: 1<<64 - 1, parent: 1}) {
		t.Errorf("got %+v, %v", s, ok)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add(statLine("hf", "S", "777"))
	f.Add("1 (a)b) Z")
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := parseStat(text)
		if ok && !strings.Contains(text, "("+s.comm+")") {
			t.Errorf("comm %q", s.comm)
		}
		if name := shortName(s.comm, nil); name == "" || name != printable(name) {
			t.Errorf("short name %q", name)
		}
		parseUnit(text)
	})
}

func TestBeganIsWhenTheProcessStarted(t *testing.T) {
	p, err := ProcDir("/proc").Process(os.Getpid())
	if err != nil {
		t.Skipf("no /proc here: %v", err)
	}
	// The directory of a process in /proc is as old as its first look, so only
	// bounds can be held against it.
	now := time.Now()
	up, err := ProcDir("/proc").Uptime()
	if err != nil {
		t.Fatal(err)
	}
	if began := p.Began(now, up); began.After(now) || began.Before(now.Add(-10*time.Minute)) {
		t.Errorf("it is %v, and this test began at %v", now, began)
	}
	other := p
	other.Started += 100
	if d := other.Began(now, up).Sub(p.Began(now, up)); d < 900*time.Millisecond || d > 1100*time.Millisecond {
		t.Errorf("100 ticks are %v", d)
	}
}
