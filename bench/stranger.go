package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
	"progressd/internal/wait"
	"progressd/socket"
	"progressd/tracker"
)

// strangerPart is the part of bench that is the stranger.
const strangerPart = "stranger"

// What one user did to the daemon, when it had no bounds for a user.
const (
	hugeFiles     = 199_000
	hugeCommits   = 16
	openDownloads = 18_300
	heldLocks     = 60_000
	locksAFile    = 1000
	exchange      = time.Second / 300
)

// An outrage is one thing that a user does to a daemon, again and again.
type outrage struct {
	home, hub string // the user's own
	victim    string // the other user's cache
	socket    string
	// locked keeps the files of the locks from being closed.
	locked []*os.File
}

// stranger does all of them at once, until it is ended.
func stranger(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: stranger HOME VICTIM SOCKET")
	}
	o := &outrage{home: args[0], hub: filepath.Join(args[0], "hub"), victim: args[1], socket: args[2]}
	if err := errors.Join(o.prepareListing(), o.prepareOpen(), o.prepareLinks(), o.lock()); err != nil {
		return err
	}
	ended := make(chan error)
	for _, do := range []func(context.Context) error{o.touchListing, o.finishTiny, o.flood, o.exchangeRoot, o.exchangeBlobs, o.writeOpen, o.stir, o.stir} {
		go func() { ended <- do(context.Background()) }()
	}
	fmt.Println("begun")
	return <-ended
}

func (o *outrage) repo(name string, dirs ...string) (string, error) {
	path := filepath.Join(o.hub, "models--org--"+name)
	var err error
	for _, dir := range dirs {
		err = errors.Join(err, os.MkdirAll(filepath.Join(path, dir), 0o755))
	}
	return path, err
}

func commitOf(n int) string { return fmt.Sprintf("%040x", n+1) }

// prepareListing makes one large listing under many commits, and partials of it.
func (o *outrage) prepareListing() error {
	path, err := o.repo("huge", "blobs", "trees", "refs")
	if err != nil {
		return err
	}
	var text bytes.Buffer
	text.WriteString(`{"format_version":1,"files":{`)
	for i := range hugeFiles {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `"f%d":{"size":9,"blob_id":"%040x"}`, i, i)
	}
	text.WriteString("}}")
	first := filepath.Join(path, "trees", commitOf(0)+".json")
	if err := os.WriteFile(first, text.Bytes(), 0o644); err != nil {
		return err
	}
	for n := range hugeCommits {
		if n > 0 {
			err = errors.Join(err, os.Link(first, filepath.Join(path, "trees", commitOf(n)+".json")))
		}
		err = errors.Join(err,
			os.MkdirAll(filepath.Join(path, "snapshots", commitOf(n)), 0o755),
			os.WriteFile(filepath.Join(path, "blobs", fmt.Sprintf("%040x.0a1b2c3d.incomplete", n)), []byte("x"), 0o644))
	}
	return err
}

// touchListing makes it look changed each second.
func (o *outrage) touchListing(ctx context.Context) error {
	path, err := o.repo("huge")
	for n := 0; err == nil; n++ {
		now := time.Now()
		err = errors.Join(
			os.Chtimes(filepath.Join(path, "trees", commitOf(0)+".json"), now, now), os.Chtimes(filepath.Join(path, "trees"), now, now),
			growByte(filepath.Join(path, "blobs", fmt.Sprintf("%040x.0a1b2c3d.incomplete", n%hugeCommits))),
			wait.For(ctx, time.Second))
	}
	return err
}

func growByte(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("x")
	return errors.Join(err, f.Close())
}

// finishTiny finishes models as fast as it can, and keeps the last of them.
func (o *outrage) finishTiny(context.Context) error {
	const size, kept = 64_000, 200
	content := make([]byte, size)
	for n := 0; ; n++ {
		name := fmt.Sprintf("org/tiny-%07d", n)
		d, err := newDownload(o.hub, name, snapshots[0], 2_000_000+n, 1, size)
		if err != nil {
			return err
		}
		in := d.files[0]
		if err := errors.Join(in.takeLock(), in.create(), in.fill(content), in.finish(), in.link(), in.unlock()); err != nil {
			return err
		}
		if n >= kept {
			_ = os.RemoveAll(filepath.Join(o.hub, fmt.Sprintf("models--org--tiny-%07d", n-kept)))
		}
	}
}

// flood says hello, and much, and hangs up.
func (o *outrage) flood(ctx context.Context) error {
	var st unix.Stat_t
	if err := unix.Stat(o.hub, &st); err != nil {
		return err
	}
	for n := 0; ; n++ {
		repo := hfcache.Repo{Type: hfcache.Model, ID: fmt.Sprintf("org/said-%d", n%1000)}
		c, err := socket.Dial(ctx, o.socket, socket.Run{Root: o.hub, Dev: st.Dev, Inode: st.Ino, Repo: repo, PID: os.Getpid(), Command: "hf", Only: true})
		if err != nil {
			continue // refused: again
		}
		const lines = 199
		for i := range lines {
			words := tracker.Words{Level: tracker.Warning, Cause: "retry", Text: fmt.Sprintf("line %d %s", i, strings.Repeat("x", 100))}
			if c.Send(tracker.Report{Kind: tracker.RunSaid, Words: words}) != nil {
				break
			}
		}
		c.Close()
	}
}

// prepareLinks makes what is exchanged with links.
func (o *outrage) prepareLinks() error {
	_, err := o.repo("swap", "blobs")
	return errors.Join(err, os.MkdirAll(filepath.Join(o.home, "more", "x"), 0o755))
}

// exchangeRoot makes a root of a link to the other user's cache, and takes it away.
func (o *outrage) exchangeRoot(ctx context.Context) error {
	link := filepath.Join(o.home, "more", "x", "hub")
	var err error
	for err == nil {
		err = errors.Join(os.Symlink(o.victim, link), wait.For(ctx, exchange), os.Remove(link))
	}
	return err
}

// exchangeBlobs exchanges a repository's blobs with a link to the other user's.
func (o *outrage) exchangeBlobs(ctx context.Context) error {
	path, err := o.repo("swap")
	blobs, aside := filepath.Join(path, "blobs"), filepath.Join(path, "aside")
	for err == nil {
		err = errors.Join(os.Rename(blobs, aside), os.Symlink(o.victim, blobs), wait.For(ctx, exchange),
			os.Remove(blobs), os.Rename(aside, blobs), wait.For(ctx, exchange))
	}
	return err
}

// prepareOpen begins very many downloads.
func (o *outrage) prepareOpen() error {
	for n := range openDownloads {
		path, err := o.repo(fmt.Sprintf("open-%05d", n), "blobs")
		if err := errors.Join(err, os.WriteFile(openPartial(path, n), []byte("x"), 0o644)); err != nil {
			return err
		}
	}
	return nil
}

func openPartial(path string, n int) string {
	return filepath.Join(path, "blobs", etag(3_000_000, n)+".0a1b2c3d.incomplete")
}

// writeOpen goes on with them, one after the other without a pause.
func (o *outrage) writeOpen(context.Context) error {
	for {
		n := rand.N(openDownloads)
		path, err := o.repo(fmt.Sprintf("open-%05d", n))
		if err = errors.Join(err, growByte(openPartial(path, n))); err != nil {
			return err
		}
		name := filepath.Join(path, "blobs", "x")
		if err := errors.Join(os.WriteFile(name, nil, 0o644), os.Rename(name, name+"y"), os.Remove(name+"y")); err != nil {
			return err
		}
	}
}

// stir makes and removes a file in repositories at rest, which are watched, as fast as
// it can: the kernel keeps so many events for all users and no more.
func (o *outrage) stir(context.Context) error {
	var names []string
	for n := range 16 {
		path, err := o.repo(fmt.Sprintf("rest-%02d", n), "blobs")
		if err != nil {
			return err
		}
		names = append(names, filepath.Join(path, "blobs", fmt.Sprint("x", rand.Uint64())))
	}
	for n := 0; ; n++ {
		name := names[n%len(names)]
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Close(), os.Remove(name)); err != nil {
			return err
		}
	}
}

// lock takes very many locks, and holds them.
func (o *outrage) lock() error {
	for n := range heldLocks / locksAFile {
		f, err := os.OpenFile(filepath.Join(o.home, fmt.Sprintf("lock-%d", n)), os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return err
		}
		for i := range int64(locksAFile) {
			// Neighbours would be joined to one.
			if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: 2 * i, Len: 1}); err != nil {
				return err
			}
		}
		o.locked = append(o.locked, f)
	}
	return nil
}
