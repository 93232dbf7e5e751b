package daemon

import (
	"testing"

	"progressd/hfcache"
	"progressd/socket"
	"progressd/watcher"
)

var demo = hfcache.Repo{Type: hfcache.Model, ID: "org/demo"}

func TestWhichRootARunIsAbout(t *testing.T) {
	local := hfcache.Repo{Type: hfcache.Local, ID: "."}
	root := watcher.RootStatus{Path: "/models", Present: true, Dev: 1, Inode: 7, Owner: 1000}
	absent, remote := root, root
	absent.Present, remote.Remote = false, "fuse"
	for _, c := range []struct {
		name string
		root watcher.RootStatus
		run  socket.Run
		want string
	}{
		{"by its identity", root, socket.Run{Root: "/elsewhere", Dev: 1, Inode: 7, Repo: demo}, "org/demo"},
		{"by its path, while it has none", root, socket.Run{Root: "/models", Repo: demo}, "org/demo"},
		{"not by its path alone", root, socket.Run{Root: "/models", Dev: 2, Inode: 7, Repo: demo}, ""},
		{"by path and device, where inodes are numbered anew", remote, socket.Run{Root: "/models", Dev: 1, Inode: 9, Repo: demo}, "org/demo"},
		{"not by the device alone", remote, socket.Run{Root: "/elsewhere", Dev: 1, Inode: 9, Repo: demo}, ""},
		{"not by the path of another device", remote, socket.Run{Root: "/models", Dev: 2, Inode: 9, Repo: demo}, ""},
		{"not what lies beneath", root, socket.Run{Root: "/models/hub", Dev: 1, Inode: 9, Repo: demo}, ""},
		{"a directory that is the root", root, socket.Run{Root: "/models", Dev: 1, Inode: 7, Repo: local}, "."},
		{"a directory beneath", root, socket.Run{Root: "/models/org/demo", Dev: 1, Inode: 9, Repo: local}, "org/demo"},
		{"one too deep", root, socket.Run{Root: "/models/a/b/c", Repo: local}, ""},
		{"one beside", root, socket.Run{Root: "/modelsx/a", Repo: local}, ""},
		{"a root that isn't there", absent, socket.Run{Root: "/models", Repo: demo}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if repo, ok := within(c.root, c.run); ok != (c.want != "") || ok && repo.ID != c.want {
				t.Errorf("%+v %v", repo, ok)
			}
		})
	}
}
