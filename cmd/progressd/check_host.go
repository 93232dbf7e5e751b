package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"progressd/config"
	"progressd/untrusted"
)

// A host is where a check finds what it goes by beside the roots.
type host struct {
	proc string
	// cgroups list the processes of the packaged service, by either version of
	// cgroups.
	cgroups []string
	// passwd lists users and their homes, environment what every session exports.
	passwd, environment string
	// instance asks the kernel for an instance of inotify, and gives it back.
	instance func() error
}

var thisHost = host{
	proc:        "/proc",
	cgroups:     []string{"/sys/fs/cgroup/system.slice/progressd.service/cgroup.procs", "/sys/fs/cgroup/systemd/system.slice/progressd.service/cgroup.procs"},
	passwd:      "/etc/passwd",
	environment: "/etc/environment",
	instance:    inotifyInstance,
}

func inotifyInstance() error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// isSystem reports whether the settings are those of the machine's service, not of
// one that a user runs.
func (host) isSystem(set config.Settings) bool { return strings.HasPrefix(set.File, "/etc/") }

// A running is the packaged service, if it runs.
type running struct {
	pid  int
	view string // where its file system is seen; empty if it isn't
	shut bool   // it isn't, for want of rights
}

// service finds the service, and how the machine looks to it: with a /tmp of its own,
// without what its unit keeps from it.
func (h host) service() running {
	for _, list := range h.cgroups {
		text, err := os.ReadFile(list)
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(string(text), "\n")
		pid, err := strconv.Atoi(first)
		if err != nil || pid <= 0 {
			continue
		}
		view := filepath.Join(h.proc, strconv.Itoa(pid), "root")
		_, err = os.Stat(view)
		switch {
		case err == nil:
			return running{pid: pid, view: view}
		case errors.Is(err, fs.ErrPermission):
			return running{pid: pid, shut: true}
		}
	}
	return running{}
}

// hints say that the service doesn't see a root that is there, and what to do.
func (s running) hints(root string, system bool) []string {
	path, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil // it isn't seen here, either
	}
	temporary := strings.HasPrefix(path, "/tmp/") || strings.HasPrefix(path, "/var/tmp/")
	switch {
	case s.sees(path):
		return nil
	case temporary && (s.view != "" || system):
		return []string{untrusted.Name(root) + " is not seen by the packaged service, which has a /tmp of its own (PrivateTmp=): see tmp-caches.conf among the examples"}
	case s.view != "":
		return []string{fmt.Sprintf("%s is not seen by the running service (pid %d): its unit keeps it from it (InaccessiblePaths=, ProtectHome=: see "+
			"\"systemctl cat progressd\"; \"systemctl edit progressd\" with BindReadOnlyPaths=%s opens it), or it was mounted and the service has to be restarted to see that",
			untrusted.Name(root), s.pid, untrusted.Name(path))}
	default:
		return nil
	}
}

// sees reports whether the service finds at a path what is found there outside.
func (s running) sees(path string) bool {
	if s.view == "" {
		return false
	}
	here, err := os.Stat(path)
	if err != nil {
		return true // it can't be told
	}
	there, err := os.Stat(s.view + path)
	return err == nil && os.SameFile(here, there)
}

// uncovered names caches of the machine's users that no root covers.
func (h host) uncovered(set config.Settings) []string {
	if !h.isSystem(set) {
		return nil
	}
	var hints []string
	r := &rootCheck{roots: set.Roots}
	seen := map[string]bool{}
	for _, path := range append(h.homes(), h.exported()...) {
		info, err := os.Stat(path)
		if err != nil || !info.IsDir() || seen[path] || r.configured(path) || len(hints) == maxHints {
			continue
		}
		seen[path] = true
		hints = append(hints, untrusted.Name(path)+" is a cache, and no root covers it: name it as a root, or nothing is reported of what is in it")
	}
	return hints
}

// homes are where users have their caches, if nothing else is said.
func (h host) homes() []string {
	text, err := os.ReadFile(h.passwd)
	if err != nil {
		return nil
	}
	var caches []string
	for line := range strings.Lines(string(text)) {
		const home, fields = 5, 7
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) == fields && filepath.IsAbs(f[home]) {
			caches = append(caches, filepath.Join(f[home], ".cache/huggingface/hub"))
		}
	}
	return caches
}

// exported is the cache that sessions are told to use.
func (h host) exported() []string {
	text, err := os.ReadFile(h.environment)
	if err != nil {
		return nil
	}
	var caches []string
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		value = strings.Trim(value, `"'`)
		below, known := map[string]string{"HF_HUB_CACHE": "", "HUGGINGFACE_HUB_CACHE": "", "HF_HOME": "hub", "XDG_CACHE_HOME": "huggingface/hub"}[name]
		if known && filepath.IsAbs(value) {
			caches = append(caches, filepath.Join(value, below))
		}
	}
	return caches
}

// shortOfWatches says that the kernel lets fewer repositories be watched than there
// are.
func (h host) shortOfWatches(owned shares) []string {
	repos := 0
	for _, n := range owned {
		repos += n
	}
	most, err := h.inotifyLimit(maxWatches)
	var no *fs.PathError
	if errors.As(err, &no) {
		return []string{"the limits of inotify can't be read here (ProcSubset=pid?): whether there is room to watch all is not known"}
	}
	if err != nil || repos <= most {
		return nil
	}
	return []string{fmt.Sprintf("%d repositories, and the kernel lets a user watch %d directories: the others are polled, and a download into them is seen later; %s",
		repos, most, raise(maxWatches, 2*repos))}
}

// shortOfInstances says that the kernel gives the service no queue of events, or none to
// who asks while it doesn't run. There are so many for each user, those of its other
// programs and, where it is root, of containers among them (inotify(7); 128 by default).
func (h host) shortOfInstances(s running) []string {
	who := fmt.Sprintf("uid %d has all instances of inotify", os.Getuid())
	if s.view != "" {
		if has, err := h.hasInstance(s.pid); has || err != nil {
			return nil
		}
		who = fmt.Sprintf("the running service (pid %d) has no instance of inotify, and its user all", s.pid)
	} else if !errors.Is(h.instance(), unix.EMFILE) {
		return nil
	}
	const usual = 128 // of the kernel
	most, err := h.inotifyLimit(maxInstances)
	if err != nil {
		most = usual
	}
	return []string{fmt.Sprintf("%s that the kernel lets a user have (%d): all is polled, and a download is seen later; %s; "+
		"a daemon that runs asks again within 15 minutes", who, most, raise(maxInstances, max(2*most, usual)))}
}

// hasInstance reports whether a process has an instance of inotify.
func (h host) hasInstance(pid int) (bool, error) {
	dir := filepath.Join(h.proc, strconv.Itoa(pid), "fd")
	open, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	for _, fd := range open {
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && to == "anon_inode:inotify" {
			return true, nil
		}
	}
	return false, nil
}

// The limits of inotify, for each user.
const (
	maxWatches   = "max_user_watches"
	maxInstances = "max_user_instances"
)

func (h host) inotifyLimit(name string) (int, error) {
	text, err := os.ReadFile(filepath.Join(h.proc, "sys/fs/inotify", name))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// raise is how a limit of inotify is raised for good. Each has a file of its own, so
// that to raise one undoes no other.
func raise(name string, to int) string {
	return fmt.Sprintf("raise it: echo fs.inotify.%s=%d >/etc/sysctl.d/90-progressd-%s.conf; sysctl --system", name, to, strings.TrimPrefix(name, "max_user_"))
}
