package daemon

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Systemd is told how the service is. Without systemd nothing is told.
type Systemd struct {
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

// NewSystemd makes what tells systemd, by NOTIFY_SOCKET and WATCHDOG_USEC.
func NewSystemd(getenv func(string) string, log *slog.Logger) *Systemd {
	sd := &Systemd{log: log}
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

// Ready says that the roots are watched, or that a reload is over.
func (sd *Systemd) Ready() { sd.notify(daemon.SdNotifyReady) }

// Stopping says that the service was asked to stop.
func (sd *Systemd) Stopping() { sd.notify(daemon.SdNotifyStopping) }

func (sd *Systemd) alive() { sd.notify(daemon.SdNotifyWatchdog) }

// Reloading carries the time, which Type=notify-reload (systemd 253) asks for.
func (sd *Systemd) Reloading() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	sd.notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
}

// status shows in systemctl status.
func (sd *Systemd) status(text string) {
	sd.mu.Lock()
	changed := sd.said != text
	sd.said = text
	sd.mu.Unlock()
	if changed {
		sd.notify("STATUS=" + text)
	}
}

func (sd *Systemd) notify(state string) {
	if !sd.listens {
		return
	}
	if _, err := daemon.SdNotify(false, state); err != nil {
		sd.deaf.Do(func() { sd.log.Warn("cannot tell systemd how the service is", "err", err) })
	}
}
