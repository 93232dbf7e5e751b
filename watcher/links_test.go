package watcher

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// untyped is a file system that doesn't say what its entries are.
type untyped struct{ fsys.Real }

func (k untyped) Getdents(fd int, buf []byte) (int, error) {
	n, err := k.Real.Getdents(fd, buf)
	for rest := buf[:max(n, 0)]; len(rest) > 19; rest = rest[binary.NativeEndian.Uint16(rest[16:]):] {
		rest[18] = unix.DT_UNKNOWN
	}
	return n, err
}

func TestLinksAreNotFollowedAndThatIsSaidOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		kernel fsys.Kernel
	}{{"types are known", fsys.Real{}}, {"types are unknown", untyped{}}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root, disk := tempRoot(t), tempRoot(t)
			mkdir(t, disk, "models--a--b", "blobs")
			mkdir(t, root, "models--real--one", "blobs")
			must(t, os.Symlink(filepath.Join(disk, "models--a--b"), filepath.Join(root, "models--a--b")))
			must(t, os.Symlink("models--real--one", filepath.Join(root, "models--alias--one")))
			must(t, os.Symlink("../elsewhere/plain", filepath.Join(root, "models--c--d")))
			g := newRig(t, soon, false, root)
			g.w.opts.FS = c.kernel
			g.start()
			g.awaitLook("models--real--one", 0)
			g.awaitTrue("they are counted", func() bool { return g.w.Status()[0].Links == 3 })
			touch(t, root, "models--real--one", "blobs", "x")
			g.awaitLook("models--real--one", 1)
			touch(t, root, "another")
			mkdir(t, root, "models--new--one")
			g.awaitLook("models--new--one", 0) // the root was listed once more
			g.wantLogged("links are not followed", 2)
			g.wantLogged(fmt.Sprintf("folder=models--a--b leads_to=%s add_root=%s\n", filepath.Join(disk, "models--a--b"), disk), 1)
			g.wantLogged("folder=models--c--d", 1)
			must(t, os.Remove(filepath.Join(root, "models--a--b")))
			g.awaitTrue("one is counted no more", func() bool { return g.w.Status()[0].Links == 2 })
		})
	}
}

func TestALinkToWhatIsARootIsNoSilence(t *testing.T) {
	t.Parallel()
	root, disk := tempRoot(t), tempRoot(t)
	mkdir(t, disk, "models--a--b", "blobs")
	must(t, os.Symlink(filepath.Join(disk, "models--a--b"), filepath.Join(root, "models--a--b")))
	mkdir(t, root, "models--c--d", "blobs")
	g := newRig(t, soon, false, root, filepath.Join(filepath.Dir(disk), "0*")).start()
	g.awaitAll(0, "models--a--b", "models--c--d")
	g.wantLogged("links are not followed", 0)
}

func TestLinksOfOtherNamesAreSaidOnceForARoot(t *testing.T) {
	t.Parallel()
	root, disk := tempRoot(t), tempRoot(t)
	for _, name := range []string{"llama", "mistral", ".hidden"} {
		must(t, os.Symlink(disk, filepath.Join(root, name)))
	}
	mkdir(t, root, "models--c--d", "blobs")
	g := newLocalRig(t, false, root).start()
	g.awaitLook("models--c--d", 0)
	g.awaitTrue("they are counted", func() bool { return g.w.Status()[0].Links == 2 })
	g.wantLogged("links in a root are not followed", 1)
	g.wantLogged("level=WARN", 0)
}

func TestHintsAreBounded(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	for i := range 3 * maxHints {
		must(t, os.Symlink(fmt.Sprintf("/nowhere/models--a--%d", i), filepath.Join(root, fmt.Sprintf("models--a--%d", i))))
	}
	g := newRig(t, soon, false, root).start()
	g.awaitTrue("they are counted", func() bool { return g.w.Status()[0].Links == 3*maxHints })
	g.wantLogged("links are not followed", maxHints)
}

func TestACacheBelowARootIsNamed(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	mkdir(t, root, "hub", "models--a--b", "blobs")
	mkdir(t, root, "hub", "models--c--d", "blobs")
	mkdir(t, root, "other", "models--e--f", "blobs")
	mkdir(t, root, "plain", "thing")
	g := newLocalRig(t, false, root, filepath.Join(root, "other")).start()
	g.awaitLook("models--e--f", 0)
	g.awaitTrue("it is named", func() bool { return g.log.count("a cache lies one level below a root") > 0 })
	mkdir(t, root, "hub", "models--g--h")
	g.awaitTrue("listed once more", func() bool {
		return g.lookWithin(10*soon, func(s seen) bool { return s.folder == "hub" })
	})
	g.wantLogged("a cache lies one level below a root", 1)
	g.wantLogged("add_root="+filepath.Join(root, "hub")+"\n", 1)
}
