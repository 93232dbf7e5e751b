package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"progressd/config"
	"progressd/confine"
	"progressd/daemon"
	"progressd/dialer"
	"progressd/opener"
)

// apart is a daemon that gives up reading files, and what opens the few for it that
// it needs. A nil one gives up nothing.
type apart struct {
	opener *opener.Opener
	// dialer connects to a hub; nil if none is asked.
	dialer *dialer.Dialer
	// first is the configuration for which it has given up the rest.
	first config.Settings
}

// setApart starts the opener, where this process may read what its user may not: the
// service of the system does. Who looks into the own caches alone reads nothing
// else's; and Landlock would keep from it where its downloaders run (ptrace(2)).
func setApart(set config.Settings, w world) (*apart, error) {
	if os.Geteuid() == 0 || !confine.MayReadAll() {
		return nil, nil //nolint:nilnil // a daemon that gives up nothing
	}
	o, err := opener.Start(named(set, w)...)
	if err != nil {
		return nil, err
	}
	return &apart{opener: o, first: set}, nil
}

// named are the files that the administrator has named, and that may be private:
// the configuration itself, for a reload, and the token of a hub.
func named(set config.Settings, w world) (files []string) {
	if file, err := filepath.Abs(set.File); err == nil && set.File != "" {
		files = append(files, file)
	}
	if token, err := config.TokenFile(set.Config, w.getenv); err == nil && token != "" && set.Hub.Enabled {
		files = append(files, token)
	}
	return files
}

// confinement is what of it can be had on this machine.
func confinement() string {
	if version := confine.Version(); version > 0 {
		return fmt.Sprintf("Landlock %d: the service reads listings and metadata of downloads alone", version)
	}
	return "Landlock can't be had here: the service may read every file that its unit doesn't keep from it, while it looks at a cache"
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
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	return a.opener.Table(path)
}

// confine gives up what is not needed for those settings, from now on and for
// good: reading other files than these, writing but where logs and state are, and
// looking into what is others' but where that is asked for.
func (a *apart) confine(set config.Settings, open []*net.UnixListener, w world, log *slog.Logger) {
	if a == nil {
		return
	}
	if err := a.opener.Reserve(); err != nil {
		log.Warn("each thread keeps the right to look into every directory, not only those that look at caches", "err", err)
	}
	needs(a.opener.Gone(), "opens files", w, log)
	if set.Hub.Enabled {
		a.connect(w, log)
	}
	a.restrict(set, open, w, log)
}

// connect starts what connects to the hub: after the capability is reserved, which
// it doesn't get, and before Landlock is in force, which would keep from it how names
// are resolved.
func (a *apart) connect(w world, log *slog.Logger) {
	d, err := dialer.Start()
	if err != nil {
		log.Warn("the hub is asked by the daemon itself, if it can", "err", err)
		return
	}
	a.dialer = d
	needs(d.Gone(), "connects to the hub", w, log)
	// They are read once in the life of a process, and may be private as well.
	defer a.opener.Raise()()
	if _, err := x509.SystemCertPool(); err != nil {
		log.Warn("cannot read the certificates of this system: no hub with https is believed", "err", err)
	}
}

// needs has the daemon end when a process beside it does.
func needs(gone <-chan struct{}, what string, w world, log *slog.Logger) {
	go func() {
		<-gone
		log.Error("a process beside the daemon has ended, and so does the daemon: it is started anew", "it", what)
		w.exit(exitFailed)
	}()
}

// forHub is how a hub is reached by a daemon that may not do so itself.
func (a *apart) forHub() daemon.Way {
	if a == nil {
		return daemon.Way{}
	}
	way := daemon.Way{Open: a.opener.Table}
	if a.dialer != nil {
		way.Dial = a.dialer.DialContext
	}
	return way
}

// restrict has Landlock keep from this process what isn't needed, where there is one.
func (a *apart) restrict(set config.Settings, open []*net.UnixListener, w world, log *slog.Logger) {
	if confine.Version() == 0 {
		log.Info("not confined: Landlock can't be had here, and the daemon keeps the right to read every file that the unit doesn't keep from it")
		return
	}
	defer a.opener.Raise()() // the way to what stays allowed may be another's
	if err := confine.Restrict(rulesFor(set, open, w)); err != nil {
		log.Warn("not confined: the daemon keeps the right to read every file that the unit doesn't keep from it", "err", err)
		return
	}
	log.Info("confined: of others' files it reads listings and metadata of downloads alone", "landlock", confine.Version())
}

// rulesFor is what stays allowed with those settings.
func rulesFor(set config.Settings, open []*net.UnixListener, w world) confine.Rules {
	_ = os.MkdirAll(set.LogDir, 0o755) // what can't be made is said when a log is written
	rules := confine.Rules{
		// Of the other processes, of this program, of time zones.
		Read: []string{"/proc", "/usr/share/zoneinfo", "/etc/localtime"},
		// Beside what is its own: where a long entry of the journal waits, and what a
		// runtime opens for nothing.
		Write: []string{set.LogDir, set.StateDir, "/dev/shm", "/dev/null"},
	}
	if zone := w.getenv("TZ"); filepath.IsAbs(zone) {
		rules.Read = append(rules.Read, zone)
	}
	for _, l := range open {
		rules.Write = append(rules.Write, filepath.Dir(l.Addr().String()))
	}
	return rules
}

// loader reads the configuration, as it is opened by that.
type loader func(config.Open) (config.Settings, error)

// covering has the configuration opened for a daemon that may not, and refuses
// settings that can't be taken up.
func (a *apart) covering(load loader) func() (config.Settings, error) {
	if a == nil {
		return func() (config.Settings, error) { return load(config.OpenFile) }
	}
	return func() (config.Settings, error) {
		set, err := load(a.table)
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
