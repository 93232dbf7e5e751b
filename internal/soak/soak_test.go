package main

import (
	"bytes"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"progressd/internal/client"
	"progressd/tracker"
)

// stubVar makes this test binary play progressd: one that watches nothing.
const stubVar = "SOAK_STUB"

func TestMain(m *testing.M) {
	client.RunIfCalled()
	runIfLibrary()
	if os.Getenv(stubVar) != "" {
		os.Exit(stub())
	}
	// Else the race detector lets every child sleep for a second at its end.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	goleak.VerifyTestMain(m)
}

func stub() int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM, syscall.SIGHUP)
	notify, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return 1
	}
	if _, err := notify.Write([]byte("READY=1")); err != nil {
		return 1
	}
	for sig := range term {
		if sig == syscall.SIGTERM {
			break
		}
	}
	return 0
}

// A daemon that says nothing loses every verdict: the soak must say so, and
// keep what it made.
func TestSilentDaemonIsFoundOut(t *testing.T) {
	t.Setenv(stubVar, "yes")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o := options{progressd: self, length: 200 * time.Millisecond, seed: 1, actors: 4, dir: t.TempDir(), patience: 100 * time.Millisecond}
	err = soak(t.Context(), o, &out)
	if err == nil || !strings.Contains(err.Error(), "violations") {
		t.Errorf("got %v\n%s", err, &out)
	}
	if text := out.String(); !strings.Contains(text, "VIOLATION soak/m") || !strings.Contains(text, "no verdict within 100ms") || !strings.Contains(text, "LOST") {
		t.Errorf("it is not said what is wrong:\n%s", text)
	}
	if _, err := os.Stat(o.dir); err != nil {
		t.Errorf("what was made is gone: %v", err)
	}
}

// As many lives are played as were asked for, and each to its end.
func TestLivesAreCounted(t *testing.T) {
	t.Setenv(stubVar, "yes")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o := options{progressd: self, lives: 2, seed: 4, actors: 1, dir: t.TempDir(), patience: 50 * time.Millisecond}
	if err := soak(t.Context(), o, &out); err == nil {
		t.Error("a daemon that says nothing passed")
	}
	if text := out.String(); !strings.Contains(text, "2 lives of repositories") {
		t.Errorf("not two:\n%s", text)
	}
}

func TestWhatAVerdictMayFollow(t *testing.T) {
	v := verdict{pace: quick(), kinds: []tracker.Kind{tracker.Completed, tracker.Interrupted}, begin: at(10), after: at(12), unlisted: true}
	beside, shy := v, v
	beside.beside, shy.shy = true, true
	for _, c := range []struct {
		name string
		v    verdict
		line string
		want tracker.Kind
	}{
		{"unlisted has to wait", v, "12 SUCCESS Model downloaded successfully", ""},
		{"unlisted has waited", v, "14 SUCCESS Model downloaded successfully", tracker.Completed},
		{"beside a listing it need not", beside, "12 SUCCESS Model downloaded successfully", tracker.Completed},
		{"but what was told long before is another's", beside, "10 SUCCESS Model downloaded successfully", ""},
		{"a death has to be waited for", v, "14 WARNING Download interrupted at 1.0MB: gone", ""},
		{"that of one who was not seen may be another's", shy, "10 WARNING Download interrupted at 1.0MB: gone", tracker.Interrupted},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.v.found(log(t, c.line)); got != c.want {
				t.Fatalf("found %q, want %q", got, c.want)
			}
		})
	}
}
