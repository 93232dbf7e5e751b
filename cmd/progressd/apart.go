package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"progressd/config"
	"progressd/confine"
	"progressd/daemon"
	"progressd/opener"
)

// apart is a daemon that gives up reading files, and what opens the few for it that
// it needs. A nil one gives up nothing.
type apart struct {
	opener *opener.Opener
	// first is the configuration for which it has given up the rest.
	first config.Settings
}

// setApart starts the opener, where this process may read what its user may not: the
// service of the system does. Who looks into the own caches alone reads nothing
// else's; and Landlock would keep from it where its downloaders run (ptrace(2)).
func setApart(set config.Settings, log *slog.Logger) (*apart, error) {
	if os.Geteuid() == 0 || !mayReadAll() {
		return nil, nil //nolint:nilnil // a daemon that gives up nothing
	}
	if confine.Version() == 0 {
		log.Info("not confined: Landlock can't be had here, and the daemon keeps the right to read every file that the unit doesn't keep from it")
		return nil, nil //nolint:nilnil // as above
	}
	o, err := opener.Start()
	if err != nil {
		return nil, err
	}
	return &apart{opener: o, first: set}, nil
}

// confinement is what of it can be had on this machine.
func confinement() string {
	if version := confine.Version(); version > 0 {
		return fmt.Sprintf("Landlock %d: the service reads listings and metadata of downloads alone", version)
	}
	return "Landlock can't be had here: the service may read every file that its unit doesn't keep from it"
}

// mayReadAll reports whether this process has the capability to read every file.
func mayReadAll() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_DAC_READ_SEARCH) != 0
}

// forDaemon is what opens files for a daemon that may not; nil for one that may.
func (a *apart) forDaemon() daemon.Opener {
	if a == nil {
		return nil
	}
	return a.opener
}

// table opens a table of the system.
func (a *apart) table(path string) (*os.File, error) {
	if a == nil {
		return os.Open(path)
	}
	return a.opener.Table(path)
}

// confine gives up what is not needed for those settings, from now on and for
// good: reading other files than these, and writing but where logs and state are.
func (a *apart) confine(set config.Settings, open []*net.UnixListener, w world, log *slog.Logger) {
	if a == nil {
		return
	}
	_ = os.MkdirAll(set.LogDir, 0o755) // what can't be made is said when a log is written
	rules := confine.Rules{
		// Of the other processes, of this program, of time zones; the configuration
		// for a reload, its directory since an editor makes another file of it.
		Read: []string{"/proc", "/usr/share/zoneinfo", "/etc/localtime"},
		// Beside what is its own: where a long entry of the journal waits, and what a
		// runtime opens for nothing.
		Write: []string{set.LogDir, set.StateDir, "/dev/shm", "/dev/null"},
	}
	if set.File != "" {
		rules.Read = append(rules.Read, filepath.Dir(set.File))
	}
	if zone := w.getenv("TZ"); filepath.IsAbs(zone) {
		rules.Read = append(rules.Read, zone)
	}
	rules.Read = append(rules.Read, forHub(set, w)...)
	for _, l := range open {
		rules.Write = append(rules.Write, filepath.Dir(l.Addr().String()))
	}
	if err := confine.Restrict(rules); err != nil {
		log.Warn("not confined: the daemon keeps the right to read every file that the unit doesn't keep from it", "err", err)
		return
	}
	log.Info("confined: of others' files it reads listings and metadata of downloads alone", "landlock", confine.Version())
	go func() {
		<-a.opener.Gone()
		log.Error("what opens files for the daemon has ended, and so does the daemon: it is started anew")
		w.exit(exitFailed)
	}()
}

// forHub is where what a connection to a hub needs is found: how names are
// resolved, which certificates count, the token.
func forHub(set config.Settings, w world) []string {
	if !set.Hub.Enabled {
		return nil
	}
	read := []string{"/etc", "/usr/share", "/usr/lib", "/usr/local/share/ca-certificates", "/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf"}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if path := w.getenv(name); filepath.IsAbs(path) {
			read = append(read, path)
		}
	}
	if token, err := config.TokenFile(set.Config, w.getenv); err == nil && token != "" {
		read = append(read, filepath.Dir(token))
	}
	return read
}

// covering refuses settings that can't be taken up.
func (a *apart) covering(load func() (config.Settings, error)) func() (config.Settings, error) {
	if a == nil {
		return load
	}
	return func() (config.Settings, error) {
		set, err := load()
		if err == nil {
			err = a.covers(set)
		}
		return set, err
	}
}

// covers says what of other settings a daemon can't take up that has given up the
// rest for the first ones.
func (a *apart) covers(next config.Settings) error {
	const restart = "the running daemon has given up the right to it: systemctl restart progressd"
	var problems []error
	for _, dir := range []struct{ key, first, next string }{
		{"log.dir", a.first.LogDir, next.LogDir}, {"state.dir", a.first.StateDir, next.StateDir},
	} {
		if dir.first != dir.next {
			problems = append(problems, fmt.Errorf("%s = %q is another one, and %s", dir.key, dir.next, restart))
		}
	}
	hub := next.Hub.Enabled && (!a.first.Hub.Enabled || next.Hub.TokenFile != a.first.Hub.TokenFile)
	if hub {
		problems = append(problems, fmt.Errorf("hub.enabled, with another token_file or for the first time: %s", restart))
	}
	return errors.Join(problems...)
}
