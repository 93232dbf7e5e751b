package main

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// systemd is told how the service is. Without systemd nothing is told.
type systemd struct {
	log *slog.Logger
	// listens: somebody is there to be told.
	listens bool
	// watchdog is how often the engine must give a sign of life, 0 if
	// nobody asks.
	watchdog time.Duration

	mu   sync.Mutex
	said string
	deaf sync.Once
}

func newSystemd(getenv func(string) string, log *slog.Logger) *systemd {
	sd := &systemd{log: log}
	if getenv("NOTIFY_SOCKET") == "" {
		return sd
	}
	sd.listens = true
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("cannot read the watchdog's interval, no sign of life is given", "err", err)
	}
	sd.watchdog = interval / 2
	return sd
}

func (sd *systemd) ready() { sd.notify(daemon.SdNotifyReady) }

func (sd *systemd) stopping() { sd.notify(daemon.SdNotifyStopping) }

func (sd *systemd) alive() { sd.notify(daemon.SdNotifyWatchdog) }

// reloading carries the time, which Type=notify-reload (systemd 253) asks for.
func (sd *systemd) reloading() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	sd.notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
}

// status shows in systemctl status.
func (sd *systemd) status(text string) {
	sd.mu.Lock()
	changed := sd.said != text
	sd.said = text
	sd.mu.Unlock()
	if changed {
		sd.notify("STATUS=" + text)
	}
}

func (sd *systemd) notify(state string) {
	if !sd.listens {
		return
	}
	if _, err := daemon.SdNotify(false, state); err != nil {
		sd.deaf.Do(func() { sd.log.Warn("cannot tell systemd how the service is", "err", err) })
	}
}
