package fsys

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A user's link to another's directory had that watched with the capability of
// the service, and its models named to everybody.
func TestALinkIsFollowedOnlyForRootOrTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give files away")
	}
	const victim, mallory = 1000, 1001
	base, _ := tempDir(t)
	hub := base + "/private/hub"
	must(t, os.MkdirAll(hub, 0o700))
	must(t, os.Chown(hub, victim, victim))
	link := func(name, to string, owner int) string {
		must(t, os.Symlink(to, base+"/"+name))
		must(t, os.Lchown(base+"/"+name, owner, owner))
		return base + "/" + name
	}
	for _, c := range []struct {
		path     string
		borrowed bool
	}{
		{link("of-root", hub, 0), false},
		{link("of-the-owner", "private/hub", victim), false},
		{link("of-mallory", hub, mallory), true},
		{link("relative", "private/../private/hub", mallory), true},
		{link("above", base+"/private", mallory) + "/hub", true},
		{link("in-between", "of-mallory", victim), true},
		{link("back", "of-the-owner", mallory), true},
		{hub, false},
	} {
		d, path, err := Follow(Real{}, c.path)
		var borrowed *BorrowedError
		switch {
		case err == nil:
			d.Close()
			if path != hub || c.borrowed {
				t.Errorf("%s: leads to %s", c.path, path)
			}
		case !c.borrowed || !errors.As(err, &borrowed) || borrowed.By != mallory || borrowed.Owner != victim:
			t.Errorf("%s: %v", c.path, err)
		}
	}
}

// While links and directories are exchanged, what is opened is never reached by
// a link that isn't judged.
func TestNoLinkThatIsSwappedInIsFollowed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give files away")
	}
	const victim, mallory = 1000, 1001
	base, _ := tempDir(t)
	secret := base + "/secret/hub"
	must(t, os.MkdirAll(secret, 0o755))
	must(t, os.Chown(secret, victim, victim))
	must(t, os.MkdirAll(base+"/home/x/hub", 0o755))
	for _, path := range []string{"/home", "/home/x", "/home/x/hub"} {
		must(t, os.Chown(base+path, mallory, mallory))
	}
	must(t, os.Symlink(base+"/secret", base+"/home/y"))
	must(t, os.Lchown(base+"/home/y", mallory, mallory))
	stop, swapped := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				swapped <- n
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, base+"/home/x", unix.AT_FDCWD, base+"/home/y", unix.RENAME_EXCHANGE)
				n++
			}
		}
	}()
	opened, refused := 0, 0
	for range 5000 {
		d, path, err := Follow(Real{}, base+"/home/x/hub")
		if err != nil {
			refused++
			continue
		}
		opened++
		if e, err := d.Stat(); err != nil || e.UID != mallory || path != base+"/home/x/hub" {
			t.Fatalf("opened %s of uid %d, %v", path, e.UID, err)
		}
		d.Close()
	}
	close(stop)
	if n := <-swapped; n < 100 || opened == 0 || refused == 0 {
		t.Skipf("this proves nothing: %d swaps, %d opened, %d refused", n, opened, refused)
	}
}
