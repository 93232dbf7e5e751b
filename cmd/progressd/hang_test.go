package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"progressd/internal/client"
	"progressd/internal/hub"
	"progressd/internal/inside"
)

// A door is what each look-up in a file system goes through: closed, it hangs.
type door struct {
	mu    sync.Mutex
	shut  chan struct{} // nil: open
	waits int
}

func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = make(chan struct{})
}

func (d *door) open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut != nil {
		close(d.shut)
	}
	d.shut = nil
}

func (d *door) pass() {
	d.mu.Lock()
	shut := d.shut
	if shut != nil {
		d.waits++
	}
	d.mu.Unlock()
	if shut != nil {
		<-shut
	}
}

// waiting counts those that have come to the closed door.
func (d *door) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waits
}

// A slowNode is a file of a directory elsewhere, behind a door.
type slowNode struct {
	fs.LoopbackNode
	door *door
}

func (n *slowNode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.door.pass()
	return n.LoopbackNode.Lookup(ctx, name, out)
}

func (n *slowNode) Getattr(ctx context.Context, f fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.door.pass()
	return n.LoopbackNode.Getattr(ctx, f, out)
}

// behind mounts a directory behind a door.
func behind(t *testing.T, d *door, dir, at string) {
	t.Helper()
	mountNodes(t, dir, at, func(root *fs.LoopbackRoot) fs.InodeEmbedder {
		return &slowNode{fs.LoopbackNode{RootData: root}, d}
	})
	t.Cleanup(d.open)
}

// mountNodes mounts a directory in a file system of this process, of such nodes.
func mountNodes(t *testing.T, dir, at string, node func(*fs.LoopbackRoot) fs.InodeEmbedder) {
	t.Helper()
	root := &fs.LoopbackRoot{Path: dir}
	root.NewNode = func(root *fs.LoopbackRoot, _ *fs.Inode, _ string, _ *syscall.Stat_t) fs.InodeEmbedder {
		return node(root)
	}
	root.RootNode = root.NewNode(root, nil, "", nil)
	none := time.Duration(0)
	server, err := fs.Mount(at, root.RootNode, &fs.Options{
		AttrTimeout: &none, EntryTimeout: &none,
		MountOptions: fuse.MountOptions{DirectMountStrict: true, AllowOther: true, FsName: "slow", Name: "slow"},
	})
	if err != nil {
		t.Skipf("cannot mount a file system of our own: %v", err)
	}
	t.Cleanup(func() {
		_ = syscall.Unmount(at, syscall.MNT_DETACH)
		server.Wait()
	})
}

// TestAHomeThatHangs: with the pattern of the packaged configuration, through the
// start, a reload and an answer at last.
func TestAHomeThatHangs(t *testing.T) {
	if !inside.Namespace(t, 0) {
		return
	}
	d := newService(t)
	pattern := d.path("home", "*", ".cache", "huggingface", "hub")
	d.write("config.toml", strings.Replace(d.config(), d.path("hub")+`"`, pattern+`"`, 1))
	mkdir(t, d.path("far", ".cache", "huggingface", "hub"))
	mkdir(t, d.path("home", "bob"))
	mkdir(t, d.path("home", "ann", ".cache", "huggingface", "hub"))
	slow := &door{}
	behind(t, slow, d.path("far"), d.path("home", "bob"))
	if err := os.Symlink(d.path("home", "ann", ".cache", "huggingface", "hub"), d.path("hub")); err != nil {
		t.Fatal(err)
	}
	slow.close()
	d.start()
	d.until(d.errout, "not all places where a cache may be can be seen yet")
	d.until(d.errout, "watching")
	if strings.Contains(d.errout.String(), "no cache found") {
		t.Errorf("it says that there is none:\n%s", d.errout)
	}
	h := serveHub(t)
	gate := hub.NewGate()
	h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: gate, Times: 1})
	d.download(h, client.Trees)
	d.until(d.out, "org/demo: Download progress: 2.0MB/5.0MB ~ 40.0%")
	d.write("config.toml", strings.Replace(d.config(), d.path("hub")+`"`, pattern+`"`, 1)+"# once more\n")
	d.signals <- syscall.SIGHUP
	d.until(d.errout, "configuration reloaded")
	gate.Open()
	d.until(d.out, "[SUCCESS] org/demo: Model downloaded successfully\n")
	mkdir(t, d.path("home", "eve", ".cache", "huggingface", "hub"))
	d.until(d.errout, filepath.Join("home", "eve"))
	if n := slow.waiting(); n != 1 {
		t.Errorf("%d calls hang, want one", n)
	}
	slow.open()
	d.until(d.errout, "root="+d.path("home", "bob"))
	d.stop(exitOK)
	if log := d.log("org--demo.log"); strings.Count(log, "Preparing") != 1 {
		t.Errorf("log:\n%s", log)
	}
}
