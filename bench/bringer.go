package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
)

// goOn has the bringer bring the next part, or end.
const goOn = syscall.SIGUSR1

// A bringer brings very many small files as huggingface_hub does, one at a time:
// a lock, a partial, a rename, a link or metadata.
type bringer struct {
	root, folder   string
	local          bool
	files, folders int
	made           map[string]bool
}

// bring is the process that does: it prints a line when a part is there.
func bring(args []string) error {
	if len(args) != 7 {
		return errors.New("usage: bringer ROOT LOCAL LISTED FILES FOLDERS LIVE RATE")
	}
	var n [4]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(args[3+i]); err != nil {
			return err
		}
	}
	b := &bringer{root: args[0], local: args[1] == "true", files: n[0], folders: n[1], made: make(map[string]bool)}
	b.folder = filepath.Join(b.root, "datasets--org--swarm")
	if b.local {
		b.folder = filepath.Join(b.root, "swarm")
	}
	proceed := make(chan os.Signal, 1)
	signal.Notify(proceed, goOn)
	if args[2] == "true" {
		if err := b.list(); err != nil {
			return err
		}
	}
	live, pause := n[2], time.Second/time.Duration(n[3])
	if err := b.part(0, b.files-live, 0); err != nil {
		return err
	}
	// One is in flight all the time.
	last, err := b.begin(b.files - 1)
	if err != nil {
		return err
	}
	fmt.Println("most are there")
	from := b.files - live
	for _, to := range []int{b.files - live/2, b.files - 1} {
		<-proceed
		if err := b.part(from, to, pause); err != nil {
			return err
		}
		from = to
		fmt.Println("a half is there")
	}
	<-proceed
	return last()
}

func (b *bringer) part(from, to int, pause time.Duration) error {
	began := time.Now()
	for i := from; i < to; i++ {
		<-time.After(time.Until(began.Add(time.Duration(i-from) * pause)))
		end, err := b.begin(i)
		if err != nil {
			return err
		}
		if err := end(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bringer) path(i int) string {
	return fmt.Sprintf("data/%02x/%05d/file-%07d.txt", i*b.folders/b.files%64, i*b.folders/b.files, i)
}

func swarmEtag(i int) string { return etag(1, i)[24:] }

func (b *bringer) make(dir string) error {
	if b.made[dir] {
		return nil
	}
	b.made[dir] = true
	return os.MkdirAll(dir, 0o755)
}

// begin begins a file, and gives what ends it.
func (b *bringer) begin(i int) (end func() error, err error) {
	path, name := b.path(i), swarmEtag(i)
	lock := filepath.Join(b.root, ".locks", filepath.Base(b.folder), name+".lock")
	partial := filepath.Join(b.folder, "blobs", name+".0a1b2c3d.incomplete")
	place := filepath.Join(b.folder, "blobs", name)
	beside := filepath.Join(b.folder, "snapshots", snapshots[0], path)
	if b.local {
		staged := filepath.Join(b.folder, hfcache.LocalStage, path)
		lock, place, beside = staged+".lock", filepath.Join(b.folder, path), hfcache.LocalNote(staged)
		partial = filepath.Join(filepath.Dir(staged), hfcache.LocalHash(filepath.Base(path))+"."+name+".0a1b2c3d.incomplete")
	}
	for _, p := range []string{lock, partial, place, beside} {
		if err := b.make(filepath.Dir(p)); err != nil {
			return nil, err
		}
	}
	held, err := os.OpenFile(lock, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		return nil, err
	}
	file, err := os.Create(partial)
	if err != nil {
		return nil, err
	}
	half := make([]byte, swarmSize/2)
	if _, err := file.Write(half); err != nil {
		return nil, err
	}
	return func() error {
		_, err := file.Write(half)
		return errors.Join(err, file.Close(), os.Rename(partial, place), b.tie(path, name, beside), held.Close())
	}, nil
}

// tie links a blob, or writes a file's metadata.
func (b *bringer) tie(path, name, beside string) error {
	if b.local {
		return os.WriteFile(beside, fmt.Appendf(nil, "%s\n%s\n%.6f\n", snapshots[0], name, float64(time.Now().UnixMicro())/1e6), 0o644)
	}
	return os.Symlink(strings.Repeat("../", 3+strings.Count(path, "/")-1)+"blobs/"+name, beside)
}

// list writes the listing.
func (b *bringer) list() error {
	dir := filepath.Join(b.folder, "trees")
	if b.local {
		dir = filepath.Join(b.folder, hfcache.LocalTrees)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, snapshots[0]+".json"))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	fmt.Fprint(w, `{"format_version":1,"files":{`)
	for i := range b.files {
		comma := ","
		if i == 0 {
			comma = ""
		}
		fmt.Fprintf(w, `%s%q:{"size":%d,"blob_id":%q,"lfs_sha256":null,"lfs_size":null}`, comma, b.path(i), swarmSize, swarmEtag(i))
	}
	fmt.Fprint(w, "}}")
	return errors.Join(w.Flush(), file.Close())
}
