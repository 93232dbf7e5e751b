package main

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"progressd/config"
	"progressd/internal/client"
)

func TestASignalSwitchesTheDebugLevelAndAReloadPutsItBack(t *testing.T) {
	t.Parallel()
	out := &output{news: make(chan struct{}, 1)}
	diag := newDiagnostics(out)
	debugging := func() bool { return diag.log.Enabled(t.Context(), slog.LevelDebug) }
	signals, done := make(chan os.Signal), make(chan error)
	ctx, stop := context.WithCancel(t.Context())
	// The last signal was obeyed when toggle has ended.
	toggled := func(times int) {
		t.Helper()
		go func() { done <- diag.toggle(ctx, signals) }()
		for range times {
			signals <- syscall.SIGUSR1
		}
	}
	toggled(3)
	stop()
	if err := <-done; err != nil || !debugging() {
		t.Errorf("after three signals: %v, debug level %v", err, debugging())
	}
	want := "level=INFO msg=\"debug level is on: the next SIGUSR1 switches it off\"\n"
	if got := out.String(); got != want+"level=INFO msg=\"debug level is off\"\n"+want {
		t.Errorf("it says\n%s", got)
	}
	set := config.Settings{Config: config.Default()}
	diag.configure(set)
	if debugging() {
		t.Error("a reload leaves the debug level on")
	}
	set.Diagnostics.Level = config.Debug
	diag.configure(set)
	if !debugging() {
		t.Error("the configuration doesn't switch the debug level on")
	}
}

func TestTheDebugLevelTracesADownload(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(d *service){
		"by configuration": func(d *service) {
			d.write("config.toml", d.config()+"[diagnostics]\nlevel = \"debug\"\n")
			d.start()
			d.until(d.errout, "watching")
		},
		"by signal": func(d *service) {
			d.start()
			d.until(d.errout, "watching")
			d.toggles <- syscall.SIGUSR1
			d.until(d.errout, "debug level is on")
		},
		"not at all": func(d *service) {
			d.start()
			d.until(d.errout, "watching")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newService(t)
			mkdir(t, d.path("hub"))
			on(d)
			wait(t, d.download(serveHub(t), client.Trees))
			d.until(d.out, "Model downloaded successfully")
			d.stop(exitOK)
			if traced := strings.Contains(d.errout.String(), "level=DEBUG msg=look root="); traced != (name != "not at all") {
				t.Errorf("traced: %v\n%s", traced, d.errout)
			}
		})
	}
}
