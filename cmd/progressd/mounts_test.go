package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
	"progressd/internal/client"
	"progressd/internal/hub"
	"progressd/internal/inside"
)

// A mounts is a root that is a mount point, on which a download is under way.
type mounts struct {
	*service
	hub  *hub.Hub
	gate *hub.Gate
	cmd  *exec.Cmd
}

// canary is a model whose lines show that what lies at the root now was looked at.
var canary = hfcache.Repo{Type: hfcache.Model, ID: "org/canary"}

// underWay gives a daemon with a download in its root that stands still at
// 2 MB. prepare makes the root.
func underWay(t *testing.T, prepare func(*mounts)) *mounts {
	t.Helper()
	m := &mounts{service: newService(t), hub: serveHub(t), gate: hub.NewGate()}
	if _, _, err := m.hub.Publish(canary, "main", hub.File{Path: "config.json", Size: 10}); err != nil {
		t.Fatal(err)
	}
	m.hub.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: m.gate, Times: 1})
	mkdir(t, m.path("disk"))
	t.Cleanup(func() {
		for _, name := range []string{"hub", "mnt"} {
			for unix.Unmount(m.path(name), unix.MNT_DETACH) == nil { // all that lie over one another
			}
		}
	})
	prepare(m)
	m.start()
	m.until(m.errout, "watching")
	m.cmd = m.download(m.hub, client.Trees)
	m.until(m.out, "Download progress: 2.0MB/5.0MB ~ 40.0%")
	return m
}

// onMountPoint has the root be a mount point, with a directory bound to it.
func onMountPoint(t *testing.T) *mounts {
	t.Helper()
	return underWay(t, func(m *mounts) {
		mkdir(t, m.path("hub"))
		m.mount()
	})
}

func (m *mounts) mount() {
	m.t.Helper()
	m.bind("disk", "hub")
}

func (m *mounts) bind(from, to string) {
	m.t.Helper()
	if err := unix.Mount(m.path(from), m.path(to), "", unix.MS_BIND, ""); err != nil {
		m.t.Skipf("cannot bind in a namespace: %v", err)
	}
}

func (m *mounts) unmount(name string) {
	m.t.Helper()
	// Detached, as by "umount -l": a client has files open there.
	if err := unix.Unmount(m.path(name), unix.MNT_DETACH); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mounts) kill() {
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
}

// sing has the canary sing in what lies at the root now.
func (m *mounts) sing() {
	m.t.Helper()
	hh := &client.HH{Endpoint: m.hub.URL(), Root: m.path("hub")}
	before := m.sung()
	if err := os.RemoveAll(m.path("hub", canary.Folder())); err != nil {
		m.t.Fatal(err)
	}
	if _, err := hh.Download(context.Background(), canary, "main"); err != nil {
		m.t.Fatal(err)
	}
	m.awaitText(func() bool { return m.sung() > before })
}

func (m *mounts) sung() int {
	return strings.Count(m.out.String(), "org/canary: ")
}

// awaitText waits until what was printed is so.
func (d *service) awaitText(is func() bool) {
	d.t.Helper()
	timeout := time.After(patient)
	for !is() {
		select {
		case <-d.out.news:
		case <-timeout:
			d.t.Fatalf("it is not so\nstdout:\n%s\nstderr:\n%s", d.out, d.errout)
		}
	}
}

// told holds a log against how often each text has to stand in it.
func (m *mounts) told(want map[string]int) {
	m.t.Helper()
	log := m.log("org--demo.log")
	for text, n := range want {
		if got := strings.Count(log, text); got != n {
			m.t.Errorf("%q stands %d times, want %d:\n%s", text, got, n, log)
		}
	}
}

const (
	begun   = "Preparing to download"
	removed = "deleted from disk"
	cut     = "Download interrupted at 2.0MB/5.0MB"
	success = "Model downloaded successfully"
)

func TestARootThatIsAMountPoint(t *testing.T) {
	endToEnd(t)
	for _, c := range []struct {
		name string
		play func(*testing.T)
	}{
		{"unmounted in the middle, interrupted is told when it comes back", unmountedInTheMiddle},
		{"unmounted under a client that lives, success is told when it comes back", unmountedUnderAClient},
		{"the daemon started again while it is unmounted", startedWhileUnmounted},
		{"up before the mount at boot, the download finished before", upBeforeTheMount},
		{"another file system mounted over it, with the same model in it", mountedOver},
		{"exchanged by rename", exchanged},
		{"the directory above unmounted", parentUnmounted},
		{"unmounted, and deleted from meanwhile", deletedMeanwhile},
	} {
		t.Run(c.name, func(t *testing.T) {
			if inside.Namespace(t, 0) {
				c.play(t)
			}
		})
	}
}

func unmountedInTheMiddle(t *testing.T) {
	m := onMountPoint(t)
	m.kill()
	m.unmount("hub")
	m.sing()
	m.mount()
	m.until(m.out, "org/demo: "+cut)
	wait(t, m.download(m.hub, client.Trees))
	m.until(m.out, "org/demo: "+success)
	m.stop(exitOK)
	m.told(map[string]int{begun: 1, removed: 0, cut: 1, success: 1})
}

func unmountedUnderAClient(t *testing.T) {
	m := onMountPoint(t)
	m.unmount("hub")
	m.sing()
	m.gate.Open()
	m.mount()
	m.until(m.out, "org/demo: "+success)
	m.stop(exitOK)
	m.told(map[string]int{begun: 1, removed: 0, success: 1})
}

func startedWhileUnmounted(t *testing.T) {
	m := onMountPoint(t)
	m.stop(exitOK)
	m.kill()
	m.unmount("hub")
	for range 2 {
		m.start()
		m.until(m.errout, "watching")
		m.sing()
		m.stop(exitOK)
	}
	m.start()
	m.until(m.errout, "watching")
	m.sing()
	m.mount()
	m.until(m.out, "org/demo: "+cut)
	m.stop(exitOK)
	m.told(map[string]int{begun: 1, removed: 0, cut: 1})
}

func upBeforeTheMount(t *testing.T) {
	m := onMountPoint(t)
	m.stop(exitOK)
	m.gate.Open()
	wait(t, m.cmd)
	m.unmount("hub")
	m.start()
	m.until(m.errout, "watching")
	m.sing()
	m.mount()
	m.until(m.out, "org/demo: "+success)
	m.stop(exitOK)
	m.told(map[string]int{begun: 1, removed: 0, success: 1})
}

func mountedOver(t *testing.T) {
	m := onMountPoint(t)
	if err := unix.Mount("tmpfs", m.path("hub"), "tmpfs", 0, "size=20m"); err != nil {
		t.Skipf("cannot mount a tmpfs in a namespace: %v", err)
	}
	// The download that the file system below has goes on unseen; this is another.
	wait(t, m.download(m.hub, client.Trees))
	m.until(m.out, "org/demo: "+success)
	m.gate.Open()
	m.unmount("hub")
	m.awaitText(func() bool { return strings.Count(m.out.String(), "org/demo: "+success) == 2 })
	m.stop(exitOK)
	m.told(map[string]int{begun: 2, removed: 0, success: 2})
}

func exchanged(t *testing.T) {
	m := underWay(t, func(m *mounts) { mkdir(t, m.path("hub")) })
	mkdir(t, m.path("other"))
	exchange := func() {
		t.Helper()
		err := unix.Renameat2(unix.AT_FDCWD, m.path("hub"), unix.AT_FDCWD, m.path("other"), unix.RENAME_EXCHANGE)
		if err != nil {
			t.Fatal(err)
		}
	}
	m.kill()
	exchange()
	m.sing()
	exchange()
	m.until(m.out, "org/demo: "+cut)
	m.stop(exitOK)
	m.told(map[string]int{begun: 1, removed: 0, cut: 1})
}

func parentUnmounted(t *testing.T) {
	m := underWay(t, func(m *mounts) {
		mkdir(t, m.path("disk", "cache"))
		mkdir(t, m.path("mnt"))
		m.bind("disk", "mnt")
		if err := os.Symlink(m.path("mnt", "cache"), m.path("hub")); err != nil {
			t.Fatal(err)
		}
	})
	m.kill()
	m.unmount("mnt")
	m.until(m.out, "Cache is gone")
	m.bind("disk", "mnt")
	m.until(m.out, "org/demo: "+cut)
	m.stop(exitOK)
	m.told(map[string]int{begun: 1, removed: 0, cut: 1})
}

func deletedMeanwhile(t *testing.T) {
	m := onMountPoint(t)
	m.kill()
	m.unmount("hub")
	m.sing()
	if err := os.RemoveAll(m.path("disk", demo.Folder())); err != nil {
		t.Fatal(err)
	}
	m.mount()
	m.until(m.out, "the model was deleted from disk")
	m.stop(exitOK)
	m.told(map[string]int{begun: 1, removed: 1})
}

// A disk that is mounted again may have another device number: after a reboot,
// or as a network's.
func TestARootUnderAnotherDeviceNumber(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount an image of a disk")
	}
	dir := t.TempDir()
	for name, size := range map[string]int64{"disk.img": 40 << 20, "spare.img": 1 << 20} {
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(file.Truncate(size), file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(dir, "disk.img")
	tool(t, "mkfs.ext4", "-q", image)
	first := loop(t, image)
	m := underWay(t, func(m *mounts) {
		mkdir(t, m.path("hub"))
		tool(t, "mount", first, m.path("hub"))
	})
	before := device(t, m.path("hub"))
	m.kill()
	m.unmount("hub")
	m.sing()
	tool(t, "losetup", "--detach", first)
	tool(t, "losetup", first, filepath.Join(dir, "spare.img"))
	tool(t, "mount", loop(t, image), m.path("hub"))
	if now := device(t, m.path("hub")); now == before {
		t.Fatalf("the device number is %x again", now)
	}
	m.until(m.out, "org/demo: "+cut)
	m.stop(exitOK)
	m.told(map[string]int{begun: 1, removed: 0, cut: 1})
}

// loop attaches an image to a free device, for as long as the test runs.
func loop(t *testing.T, image string) string {
	t.Helper()
	device := tool(t, "losetup", "--find", "--show", image)
	t.Cleanup(func() { _ = exec.Command("losetup", "--detach", device).Run() })
	return device
}

// tool runs a program without which the test can't be.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(err)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Skipf("cannot run %s %q: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func device(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Dev
}
