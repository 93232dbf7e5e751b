package simfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// linux is the real kernel.
type linux struct{}

func (linux) Openat(at int, name string, flags int) (int, error) {
	return unix.Openat(at, name, flags|unix.O_CLOEXEC, 0)
}
func (linux) Close(fd int)                          { _ = unix.Close(fd) }
func (linux) Read(fd int, into []byte) (int, error) { return unix.Read(fd, into) }
func (linux) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	return unix.Fstatat(at, name, st, flags|unix.AT_NO_AUTOMOUNT)
}
func (linux) Birth(int, string) int64 { return 0 }
func (linux) Readlinkat(at int, name string, into []byte) (int, error) {
	return unix.Readlinkat(at, name, into)
}
func (linux) Getdents(fd int, buf []byte) (int, error) { return unix.Getdents(fd, buf) }
func (linux) Rewind(fd int) error                      { _, err := unix.Seek(fd, 0, 0); return err }
func (linux) Raise() func()                            { return func() {} }
func (linux) Fstatfs(fd int, st *unix.Statfs_t) error  { return unix.Fstatfs(fd, st) }

// A machine is files of which both kinds can be had.
//
//nolint:interfacebloat // what can be done to files
type machine interface {
	fsys.Kernel
	mkdir(p string) error
	create(p string) error
	append(p string, n int64) error
	writeAt(p string, at, n int64) error
	truncate(p string, n int64) error
	symlink(text, p string) error
	link(old, p string) error
	rename(old, p string) error
	remove(p string) error
	chmod(p string, mode uint32) error
	age(p string) error // sets the time of the last change far back
}

type realMachine struct{ linux }

func (realMachine) mkdir(p string) error { return unix.Mkdir(p, 0o755) }
func (realMachine) create(p string) error {
	fd, err := unix.Open(p, unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW, 0o644)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func (realMachine) with(p string, do func(fd int) error) error {
	fd, err := unix.Open(p, unix.O_WRONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}

func (m realMachine) append(p string, n int64) error {
	return m.with(p, func(fd int) error {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		_, err := unix.Pwrite(fd, make([]byte, n), st.Size)
		return err
	})
}

func (m realMachine) writeAt(p string, at, n int64) error {
	return m.with(p, func(fd int) error {
		_, err := unix.Pwrite(fd, make([]byte, n), at)
		return err
	})
}

func (m realMachine) truncate(p string, n int64) error {
	return m.with(p, func(fd int) error { return unix.Ftruncate(fd, n) })
}
func (realMachine) symlink(text, p string) error { return unix.Symlink(text, p) }
func (realMachine) link(old, p string) error     { return unix.Link(old, p) }
func (realMachine) rename(old, p string) error   { return unix.Rename(old, p) }
func (realMachine) remove(p string) error {
	err := unix.Unlink(p)
	if errors.Is(err, unix.EISDIR) {
		err = unix.Rmdir(p)
	}
	return err
}
func (realMachine) chmod(p string, mode uint32) error { return unix.Chmod(p, mode) }
func (realMachine) age(p string) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{{Sec: 1000}, {Sec: 1000}}, unix.AT_SYMLINK_NOFOLLOW)
}

type simMachine struct{ *FS }

func (m simMachine) mkdir(p string) error { return m.Mkdir(p, 0o755) }
func (m simMachine) with(p string, how int, do func(*File) error) error {
	f, err := m.Create(p, 0o644, how)
	if err != nil {
		return err
	}
	defer f.Close()
	return do(f)
}
func (m simMachine) create(p string) error { return m.with(p, 0, func(*File) error { return nil }) }
func (m simMachine) append(p string, n int64) error {
	return m.with(p, Old, func(f *File) error { return f.Append(n) })
}
func (m simMachine) writeAt(p string, at, n int64) error {
	return m.with(p, Old, func(f *File) error { return f.WriteAt(at, n) })
}
func (m simMachine) truncate(p string, n int64) error {
	return m.with(p, Old, func(f *File) error { return f.Truncate(n) })
}
func (m simMachine) symlink(text, p string) error      { return m.Symlink(text, p) }
func (m simMachine) link(old, p string) error          { return m.Link(old, p) }
func (m simMachine) rename(old, p string) error        { return m.Rename(old, p) }
func (m simMachine) remove(p string) error             { return m.Remove(p) }
func (m simMachine) chmod(p string, mode uint32) error { return m.Chmod(p, mode) }
func (m simMachine) age(p string) error                { return m.SetModified(p, 1000*int64(time.Second)) }

// operation picks one at random; what it returns says which, and does it.
func operation(rng *rand.Rand) (string, func(m machine, root string) error) {
	var paths []string
	for range 2 {
		p := []string{"a", "b", "c", "d"}[rng.IntN(4)]
		for range rng.IntN(3) {
			p += "/" + []string{"a", "b", "c", "ln"}[rng.IntN(4)]
		}
		paths = append(paths, p)
	}
	p, q := paths[0], paths[1]
	n := []int64{0, 1, 100, 4096, 5000, 100_000}[rng.IntN(6)]
	at := rng.Int64N(200_000)
	text := []string{"a", "../a", "../../b/c", "./d", "nothing", "/nowhere", "ln"}[rng.IntN(7)]
	switch rng.IntN(14) {
	case 0, 1, 2:
		return "mkdir " + p, func(m machine, root string) error { return m.mkdir(root + p) }
	case 3, 4:
		return "create " + p, func(m machine, root string) error { return m.create(root + p) }
	case 5:
		return fmt.Sprint("append ", p, " ", n), func(m machine, root string) error { return m.append(root+p, n) }
	case 6:
		return fmt.Sprint("write ", p, " ", at, " ", n), func(m machine, root string) error { return m.writeAt(root+p, at, n) }
	case 7:
		return fmt.Sprint("truncate ", p, " ", at), func(m machine, root string) error { return m.truncate(root+p, at) }
	case 8:
		return "symlink " + text + " " + p, func(m machine, root string) error { return m.symlink(text, root+p) }
	case 9:
		return "link " + p + " " + q, func(m machine, root string) error { return m.link(root+p, root+q) }
	case 10, 11:
		return "rename " + p + " " + q, func(m machine, root string) error { return m.rename(root+p, root+q) }
	case 12:
		return "remove " + p, func(m machine, root string) error { return m.remove(root + p) }
	default:
		mode := []uint32{0o700, 0o755, 0o500}[rng.IntN(3)]
		return fmt.Sprintf("chmod %s %o", p, mode), func(m machine, root string) error { return m.chmod(root+p, mode) }
	}
}

// names lists a directory by Getdents, with a small buffer.
func names(t *testing.T, k fsys.Kernel, fd int) (all []string) {
	t.Helper()
	buf := make([]byte, 64)
	for {
		n, err := k.Getdents(fd, buf)
		if err != nil {
			t.Fatalf("cannot list: %v", err)
		}
		if n == 0 {
			return all
		}
		for piece := buf[:n]; len(piece) > 0; {
			length := binary.NativeEndian.Uint16(piece[direntLength:])
			name, _, _ := strings.Cut(string(piece[direntName:length]), "\x00")
			all = append(all, fmt.Sprintf("%s %d", name, piece[direntKind]))
			piece = piece[length:]
		}
	}
}

// describe is all that the kernel says about a tree, except what differs
// between machines: times are told as old or new, inodes as whose they are.
func describe(t *testing.T, k fsys.Kernel, root string) string {
	t.Helper()
	var text strings.Builder
	inodes := map[uint64]string{}
	var visit func(at int, name, path string)
	visit = func(at int, name, path string) {
		var st unix.Stat_t
		if err := k.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			t.Fatalf("cannot look at %s: %v", path, err)
		}
		kind := st.Mode & unix.S_IFMT
		first := inodes[st.Ino]
		if first == "" {
			inodes[st.Ino], first = path, path
		}
		fmt.Fprintf(&text, "%s %o is %s nlink %d old %v", path, st.Mode, first, st.Nlink, st.Mtim.Sec == 1000)
		if kind == unix.S_IFREG {
			fmt.Fprintf(&text, " size %d blocks %d", st.Size, st.Blocks)
		}
		var through unix.Stat_t
		fmt.Fprintf(&text, " through %v %o", k.Fstatat(at, name, &through, 0), through.Mode)
		for _, flags := range []int{unix.O_RDONLY, unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW, unix.O_RDONLY | unix.O_NOFOLLOW, unix.O_DIRECTORY, unix.O_PATH | unix.O_NOFOLLOW} {
			fd, err := k.Openat(at, name, flags|unix.O_NONBLOCK)
			fmt.Fprintf(&text, " %v", err)
			if err == nil {
				k.Close(fd)
			}
		}
		into := make([]byte, 8)
		n, err := k.Readlinkat(at, name, into)
		fmt.Fprintf(&text, " link %q %v\n", into[:max(n, 0)], err)
		if kind != unix.S_IFDIR {
			return
		}
		fd, err := k.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		if err != nil {
			t.Fatalf("cannot open %s: %v", path, err)
		}
		defer k.Close(fd)
		all := names(t, k, fd)
		if err := k.Rewind(fd); err != nil || len(names(t, k, fd)) != len(all) {
			t.Fatalf("listing %s again gave something else: %v", path, err)
		}
		slices.Sort(all)
		fmt.Fprintf(&text, "%s: %q\n", path, all)
		for _, name := range all {
			if name, _, _ = strings.Cut(name, " "); name != "." && name != ".." {
				visit(fd, name, path+"/"+name)
			}
		}
	}
	visit(unix.AT_FDCWD, root, "")
	return text.String()
}

// The real directory must be of a file system that keeps blocks as ext4 and
// tmpfs do, and their counts current.
func realRoot(t *testing.T) string {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		t.Skip("there is no /dev/shm to compare with")
	}
	dir, err := os.MkdirTemp("/dev/shm", "simfs-") //nolint:usetesting // that file system
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestItBehavesAsLinuxDoes plays random operations on real files and on those
// in memory, and compares every answer and all that the kernel says then.
func TestItBehavesAsLinuxDoes(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	base := realRoot(t)
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 1))
		root := filepath.Join(base, fmt.Sprint(seed))
		sim := simMachine{New(time.Now)}
		machines := []machine{realMachine{}, sim}
		if err := errors.Join(machines[0].mkdir(root), sim.MkdirAll(root)); err != nil {
			t.Fatal(err)
		}
		var history []string
		for range 120 {
			what, do := operation(rng)
			history = append(history, what)
			var got [2]string
			for i, m := range machines {
				aged(t, m, root)
				got[i] = fmt.Sprintln(do(m, root+"/"))
			}
			if got[0] == got[1] && len(history)%4 == 0 {
				for i, m := range machines {
					got[i] = describe(t, m, root)
				}
			}
			if got[0] != got[1] {
				t.Fatalf("seed %d\n%s\nthe kernel: %s\nin memory: %s", seed, strings.Join(history, "\n"), got[0], got[1])
			}
		}
		if open := sim.Open(); len(open) > 0 {
			t.Errorf("left open: %q", open)
		}
	}
}

// aged sets the times of all that is there far back, so that the operation's
// effect on them shows.
func aged(t *testing.T, m machine, root string) {
	t.Helper()
	fd, err := m.Openat(unix.AT_FDCWD, root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err == nil {
		all := names(t, m, fd)
		m.Close(fd)
		for _, name := range all {
			if name, _, _ = strings.Cut(name, " "); name != "." && name != ".." {
				aged(t, m, root+"/"+name)
			}
		}
	}
	if err := m.age(root); err != nil {
		t.Fatalf("cannot age %s: %v", root, err)
	}
}
