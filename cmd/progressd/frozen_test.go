package main

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"progressd/internal/client"
	"progressd/internal/hub"
	"progressd/internal/inside"
)

// A frozenNode is a file of a directory elsewhere. Directories have one time for
// ever, as where a program behind the kernel's back stands for another machine.
type frozenNode struct{ fs.LoopbackNode }

func (n *frozenNode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	node, errno := n.LoopbackNode.Lookup(ctx, name, out)
	freeze(&out.Attr)
	return node, errno
}

func (n *frozenNode) Getattr(ctx context.Context, f fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	errno := n.LoopbackNode.Getattr(ctx, f, out)
	freeze(&out.Attr)
	return errno
}

func freeze(attr *fuse.Attr) {
	if attr.IsDir() {
		attr.Mtime, attr.Ctime = 1e9, 1e9
	}
}

// frozen has a root on such a file system.
func frozen(t *testing.T) *service {
	t.Helper()
	d := newService(t)
	mkdir(t, d.path("hub"))
	mkdir(t, d.path("disk"))
	mountNodes(t, d.path("disk"), d.path("hub"), func(root *fs.LoopbackRoot) fs.InodeEmbedder {
		return &frozenNode{fs.LoopbackNode{RootData: root}}
	})
	return d
}

func TestWhereTheTimesOfDirectoriesStandStill(t *testing.T) {
	endToEnd(t)
	for _, c := range []struct {
		name string
		gen  client.Generation
	}{{"a client with listings", client.Trees}, {"one without, that resumes", client.HH036}} {
		t.Run(c.name, func(t *testing.T) {
			if !inside.Namespace(t, 0) {
				return
			}
			d, h := frozen(t), serveHub(t)
			h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: hub.NewGate(), Times: 1})
			d.start()
			d.until(d.errout, "poll only: there are no events on fuse")
			cmd := d.download(h, c.gen)
			d.until(d.out, "2.0MB")
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			d.until(d.out, "org/demo: Download interrupted at 2.0MB")
			d.stop(exitOK)
			d.start() // what is remembered is of this directory
			d.until(d.errout, "watching")
			wait(t, d.download(h, c.gen))
			d.until(d.out, "org/demo: Model downloaded successfully")
			wait(t, d.download(h, c.gen)) // nothing new comes
			if err := os.RemoveAll(d.path("hub", demo.Folder())); err != nil {
				t.Fatal(err)
			}
			wait(t, d.download(h, c.gen))
			d.awaitText(func() bool { return strings.Count(d.out.String(), "downloaded successfully") == 2 })
			d.stop(exitOK)
			log := d.log("org--demo.log")
			for text, n := range map[string]int{"Preparing": 2, "interrupted": 1, "downloaded successfully": 2, "removed": 0} {
				if got := strings.Count(log, text); got != n {
					t.Errorf("%q stands %d times, want %d:\n%s", text, got, n, log)
				}
			}
		})
	}
}
