package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"progressd/config"
	"progressd/internal/inside"
)

// made is a host that is made up below a directory, with a service that runs as
// process 42, and the settings of that machine's service, with one root.
func made(t *testing.T) (host, config.Settings) {
	t.Helper()
	dir := t.TempDir()
	h := host{
		proc: filepath.Join(dir, "proc"), cgroups: []string{filepath.Join(dir, "none"), filepath.Join(dir, "cgroup.procs")},
		passwd: filepath.Join(dir, "passwd"), environment: filepath.Join(dir, "environment"),
		instance: func() error { return nil },
	}
	file(t, h.cgroups[1], "42\n43\n")
	file(t, filepath.Join(h.proc, "sys/fs/inotify/max_user_watches"), "2\n")
	file(t, filepath.Join(h.proc, "sys/fs/inotify/max_user_instances"), "500\n")
	root := filepath.Join(dir, "srv", "hub")
	mkdir(t, root)
	return h, config.Settings{File: "/etc/progressd/config.toml", Roots: []string{root}}
}

func file(t *testing.T, path, text string) {
	t.Helper()
	mkdir(t, filepath.Dir(path))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// says is what a check prints.
func says(t *testing.T, h host, set config.Settings) string {
	t.Helper()
	var out bytes.Buffer
	if status := h.check(set, &out); status != exitOK {
		t.Errorf("status %d", status)
	}
	return out.String()
}

func TestCheckTellsWhatTheRunningServiceDoesNotSee(t *testing.T) {
	t.Parallel()
	h, set := made(t)
	root := set.Roots[0]
	view := filepath.Join(h.proc, "42/root")
	mkdir(t, filepath.Join(view, filepath.Dir(root)))
	unseen := root + " is not seen by the "
	if out := says(t, h, set); !strings.Contains(out, unseen) {
		t.Errorf("it isn't there for the service:\n%s", out)
	}
	mkdir(t, filepath.Join(view, root)) // a directory of that name, and another one
	if out := says(t, h, set); !strings.Contains(out, unseen) {
		t.Errorf("another is there for the service:\n%s", out)
	}
	if err := os.Remove(filepath.Join(view, root)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(root, filepath.Join(view, root)); err != nil { // the same one
		t.Fatal(err)
	}
	if out := says(t, h, set); strings.Contains(out, "not seen") {
		t.Errorf("the service sees it:\n%s", out)
	}
}

func TestCheckTellsThatTheServiceHasATmpOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		root   string
		system bool
		want   string
	}{
		{"/tmp", true, ""}, {"/tmp/../tmp", true, ""}, // not below it
		{os.TempDir(), false, ""},
	} {
		if got := strings.Join(running{}.hints(c.root, c.system), ""); got != c.want {
			t.Errorf("of %s it says %q", c.root, got)
		}
	}
	dir, err := os.MkdirTemp("/tmp", "progressd-") //nolint:usetesting // it has to lie below /tmp, wherever tests are told to work
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	if got := strings.Join(running{}.hints(dir, true), ""); !strings.Contains(got, "PrivateTmp=") || !strings.Contains(got, "tmp-caches.conf") {
		t.Errorf("of a cache below /tmp it says %q", got)
	}
	if got := (running{}).hints(dir, false); got != nil {
		t.Errorf("a user's own daemon sees it: %q", got)
	}
}

func TestCheckTellsWhatTheUnitKeepsFromTheService(t *testing.T) {
	t.Parallel()
	s := running{pid: 42, view: t.TempDir()}
	if got := strings.Join(s.hints("/usr", true), ""); !strings.Contains(got, "not seen by the running service (pid 42)") || !strings.Contains(got, "BindReadOnlyPaths=/usr ") {
		t.Errorf("it says %q", got)
	}
	s.view = "/"
	if got := s.hints("/usr", true); got != nil {
		t.Errorf("of what it sees it says %q", got)
	}
}

func TestCheckTellsOfCachesThatNoRootCovers(t *testing.T) {
	t.Parallel()
	h, set := made(t)
	dir := filepath.Dir(h.passwd)
	for _, cache := range []string{"data/carol/.cache/huggingface/hub", "models/hub"} {
		mkdir(t, filepath.Join(dir, cache))
	}
	file(t, h.passwd, "carol:x:1000:1000::"+dir+"/data/carol:/bin/sh\ndave:x:1001:1001::"+dir+"/data/dave:/bin/sh\nbroken\n")
	file(t, h.environment, "PATH=/bin\nHF_HOME=\""+dir+"/models\"\nHF_HUB_CACHE="+set.Roots[0]+"\n")
	out := says(t, h, set)
	for _, cache := range []string{"data/carol/.cache/huggingface/hub", "models/hub"} {
		if strings.Count(out, dir+"/"+cache+" is a cache, and no root covers it") != 1 {
			t.Errorf("%s isn't named once:\n%s", cache, out)
		}
	}
	if strings.Contains(out, "dave") || strings.Contains(out, set.Roots[0]+" is a cache") {
		t.Errorf("more is named:\n%s", out)
	}
	set.Roots = append(set.Roots, dir+"/data/*/.cache/huggingface/hub", dir+"/models/hub")
	if out := says(t, h, set); strings.Contains(out, "no root covers") {
		t.Errorf("all are covered:\n%s", out)
	}
}

func TestCheckTellsWhereWatchesAreFew(t *testing.T) {
	t.Parallel()
	h, set := made(t)
	for _, name := range []string{"a", "b"} {
		mkdir(t, filepath.Join(set.Roots[0], "models--org--"+name))
	}
	if out := says(t, h, set); strings.Contains(out, "max_user_watches") {
		t.Errorf("there are enough:\n%s", out)
	}
	mkdir(t, filepath.Join(set.Roots[0], "models--org--c"))
	if out := says(t, h, set); !strings.Contains(out, "3 repositories, and the kernel lets a user watch 2") || !strings.Contains(out, "fs.inotify.max_user_watches=6") {
		t.Errorf("there are too few:\n%s", out)
	}
}

// A daemon that gets no instance of inotify polls all, and only its first lines say so.
func TestCheckTellsWhereInstancesAreUsedUp(t *testing.T) {
	t.Parallel()
	h, set := made(t)
	h.instance = func() error { return unix.EMFILE }
	who := fmt.Sprintf("uid %d has all instances of inotify", os.Getuid())
	raised := "fs.inotify.max_user_instances=1000 >/etc/sysctl.d/90-progressd-instances.conf; sysctl --system"
	if out := says(t, h, set); !strings.Contains(out, who) || !strings.Contains(out, "(500)") || !strings.Contains(out, raised) {
		t.Errorf("there are none for who asks:\n%s", out)
	}
	must(t, os.Remove(filepath.Join(h.proc, "sys/fs/inotify/max_user_instances")))
	if out := says(t, h, set); !strings.Contains(out, who) || !strings.Contains(out, "(128)") {
		t.Errorf("the limit can't be read, and nothing is said:\n%s", out)
	}
	h.instance = func() error { return unix.ENOMEM }
	if out := says(t, h, set); strings.Contains(out, "instance") {
		t.Errorf("it fails for another reason:\n%s", out)
	}

	// While the service runs its own count: root, who asks, has others.
	mkdir(t, filepath.Join(h.proc, "42/root"))
	h.instance = func() error { return unix.EMFILE }
	if out := says(t, h, set); strings.Contains(out, "instance") {
		t.Errorf("what the service has open isn't shown:\n%s", out)
	}
	mkdir(t, filepath.Join(h.proc, "42/fd"))
	must(t, os.Symlink("/dev/null", filepath.Join(h.proc, "42/fd/0")))
	h.instance = func() error { return nil }
	if out := says(t, h, set); !strings.Contains(out, "the running service (pid 42) has no instance of inotify") || !strings.Contains(out, "sysctl --system") {
		t.Errorf("the service has none:\n%s", out)
	}
	must(t, os.Symlink("anon_inode:inotify", filepath.Join(h.proc, "42/fd/6")))
	h.instance = func() error { return unix.EMFILE }
	if out := says(t, h, set); strings.Contains(out, "instance") {
		t.Errorf("the service has one:\n%s", out)
	}
}

// Root, who asks, sees all processes: what counts is what the service sees.
func TestCheckTellsThatProcessesAreHiddenFromTheService(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		process, options string
		hidden           bool
	}{
		{"42", "rw", false},
		{"42", "rw,hidepid=0", false}, {"42", "rw,hidepid=off", false},
		{"42", "rw,hidepid=invisible", true}, {"42", "rw,hidepid=2", true}, {"42", "rw,hidepid=ptraceable", true},
		{"42", "rw,gid=990,hidepid=invisible", false}, {"42", "rw,gid=4,hidepid=invisible", false}, {"42", "rw,gid=99,hidepid=invisible", true},
		{"self", "rw,hidepid=invisible", true}, {"self", "rw", false},
		{"self", "rw,gid=4,hidepid=invisible", false}, // which groups the service will have nobody knows
	} {
		h, set := made(t)
		if c.process == "42" {
			mkdir(t, filepath.Join(h.proc, "42/root"))
		}
		file(t, filepath.Join(h.proc, c.process, "mountinfo"), "21 27 0:20 / /sys rw - sysfs sysfs rw,hidepid=2\n22 27 0:21 / /proc rw,relatime - proc proc rw,hidepid=1\n"+
			"35 22 0:21 / /proc rw,relatime shared:5 - proc proc "+c.options+"\n")
		file(t, filepath.Join(h.proc, c.process, "status"), "Name:\tprogressd\nGid:\t990\t990\t990\t990\nGroups:\t4 101 \n")
		out := says(t, h, set)
		if strings.Contains(out, "processes are hidden") != c.hidden {
			t.Errorf("of %q of %s it says\n%s", c.options, c.process, out)
		}
		if c.hidden && (!strings.Contains(out, "hidepid=") || !strings.Contains(out, `"systemctl edit progressd" with [Service] SupplementaryGroups=`)) {
			t.Errorf("it doesn't say what to do:\n%s", out)
		}
		set.File = "/home/alice/.config/progressd/config.toml"
		if out := says(t, h, set); strings.Contains(out, "processes are hidden") {
			t.Errorf("a user's own daemon asks for itself:\n%s", out)
		}
	}
}

// What is kept from root is kept from the service, too: that is no matter of who asks.
func TestCheckByRootWhoMayNotLookSaysWhatMends(t *testing.T) {
	if !inside.Namespace(t, 0) {
		return
	}
	r := &rootCheck{path: "/mnt/hub"}
	r.refused(fs.ErrPermission)
	if got := strings.Join(r.hints, ""); !strings.Contains(got, "/mnt/hub is kept even from root") || !strings.Contains(got, "allow_other") || !strings.Contains(got, "SupplementaryGroups=") {
		t.Errorf("it says %q", got)
	}
}
