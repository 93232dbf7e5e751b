package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"progressd/internal/client"
	"progressd/internal/hub"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	t.Run("S3 whatever a program prints passes through unharmed", faultS3)
	t.Run("S4 a program that ignores signals, is killed, claims success", faultS4)
}

// faultS3: whatever a program prints passes through unharmed, and next to
// nothing of it gets into a line.
func faultS3(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, script string }{
		{"much without a newline", "head -c 67108864 /dev/zero | tr '\\0' x"},
		{"binary", "head -c 33554432 /dev/urandom"},
		{"escape sequences", `i=0; while [ $i -lt 2000 ]; do printf '\033]0;evil\007\033[31mError: \033[2J\033[999;1H'; i=$((i+1)); done`},
		{"a bar a thousand times a second", `i=0; while [ $i -lt 5000 ]; do printf '\rFetching 9 files:  33%%|###   | %d/9999 [00:12<00:24,  4.01s/it]' $i; i=$((i+1)); done`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLaunch(t)
			script := "{ " + tt.script + "; } | tee " + l.path("copy") + "; exit 5"
			if status := l.exec("--model", "org/demo", "sh", "-c", script); status != 5 {
				t.Errorf("exit status %d", status)
			}
			if sum(t, l.path("copy")) != sum(t, l.out.Name()) {
				t.Error("it came through changed")
			}
			log, err := os.ReadFile(l.path("log", "org--demo.log"))
			if err != nil || len(log) > 2000 || bytes.ContainsAny(log, "\x1b\r\x00") {
				t.Errorf("%d bytes in the log, %v:\n%.2000q", len(log), err, log)
			}
		})
	}
}

func sum(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:])
}

// faultS4: a program that ignores signals, is killed, or claims success.
func faultS4(t *testing.T) {
	t.Run("it ignores SIGTERM and goes on", func(t *testing.T) {
		t.Parallel()
		l := newLaunch(t)
		argv := l.asHF("trap 'echo caught' TERM; echo now; n=0; while [ $n -lt 5 ]; do sleep 0.1; n=$((n+1)); done; exit 6")
		go func() {
			l.awaitText(l.out, "now")
			l.signals <- syscall.SIGTERM
		}()
		if status := l.exec(argv...); status != 6 {
			t.Errorf("exit status %d", status)
		}
		if out := l.read(l.out); out != "now\ncaught\n" {
			t.Errorf("it printed %q", out)
		}
		l.wantTold(prepares, fails+"stopped by SIGTERM")
	})
	t.Run("it is killed in the middle", func(t *testing.T) {
		t.Parallel()
		l := newLaunch(t)
		h, gate := serveHub(t), hub.NewGate()
		h.Break(demo, "sub/model.safetensors", hub.Fault{GateAt: 2 * mb, Gate: gate})
		argv := l.downloader(h, client.Trees)
		go func() {
			l.awaitText(l.err, "2.0MB/5.0MB")
			_ = exec.Command("sh", "-c", "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline 2>/dev/null) in "+argv[0]+"*) kill -9 ${p#/proc/};; esac; done").Run()
		}()
		if status := l.exec(argv...); status != 137 {
			t.Errorf("exit status %d", status)
		}
		if told := l.told(); !strings.HasSuffix(told, fails+"hf was killed by SIGKILL\n") {
			t.Errorf("told\n%s", told)
		}
	})
	t.Run("it claims success, and a file is missing", func(t *testing.T) {
		t.Parallel()
		l := newLaunch(t)
		h, gate := serveHub(t), hub.NewGate()
		h.Break(demo, "sub/model.safetensors", hub.Fault{GateAt: 2 * mb, Gate: gate})
		argv := l.downloader(h, client.Trees)
		// The script takes the client's place for the command line.
		l.write("download", strings.Join(argv, " ")+" & pid=$!; while ! grep -q 2.0MB/5.0MB "+l.err.Name()+"; do sleep 0.05; done; kill -9 $pid; rm -f "+l.path("hub")+"/models--org--demo/blobs/*.incomplete; exit 0")
		mkdir(t, l.path("real"))
		if status := l.exec("--model", "org/demo", l.shell("real", "hf"), "download"); status != 0 {
			t.Errorf("exit status %d", status)
		}
		told := l.told()
		if !strings.HasSuffix(told, fails+"hf ended with exit status 0, but 1 of 2 files are missing\n") || strings.Contains(told, "successfully") {
			t.Errorf("told\n%s", told)
		}
	})
}

func TestExecBelievesNoStrangerThatAModelIsThere(t *testing.T) {
	t.Parallel()
	l := newLaunch(t)
	if status := l.exec(l.downloader(serveHub(t), client.Trees)...); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	run := func(want ...string) {
		t.Helper()
		if err := os.Remove(l.path("log", "org--demo.log")); err != nil {
			t.Fatal(err)
		}
		l.exec("--model", "org/demo", "true")
		l.wantTold(want...)
	}
	run(prepares, succeeds)
	blobs, err := filepath.Glob(l.path("hub", "models--org--demo", "blobs", "*"))
	if err != nil || len(blobs) != 2 {
		t.Fatalf("%q, %v", blobs, err)
	}
	for _, blob := range blobs {
		if info, err := os.Stat(blob); err == nil && info.Size() > mb {
			if err := os.Remove(blob); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(prepares, "[INFO] Download ended: 1.0KB in 1 of 2 files, without sub/model.safetensors")
	if err := os.RemoveAll(l.path("hub", "models--org--demo", "blobs")); err != nil {
		t.Fatal(err)
	}
	run(prepares, fails+"true ended with exit status 0, but nothing of the model is in the cache")
}
