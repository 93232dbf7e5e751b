package downloader

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
)

// Proc answers what is asked about the processes of a machine: this one by its
// /proc, a simulation out of its head. It is called by several goroutines.
//
//nolint:interfacebloat // one value, so that its answers fit each other: a lock's holder is one of the processes
type Proc interface {
	// Locks are those that are held now.
	Locks() (Locks, error)
	// Process describes the process of a pid. The error is fs.ErrNotExist if
	// there is no such process (or it is hidden from us, by hidepid). What may
	// be kept from us or makes no sense, command line, unit, container and
	// user, is left out and is no error.
	Process(pid int) (Process, error)
	// State tells what the process does. It is there if the pid exists, has the
	// same start time and is no zombie. Where that can't be found out, say for
	// want of descriptors, it counts as running: our own trouble declares no
	// process dead.
	State(p Process) State
	// Commands are what the programs that run fetch, by repository.
	Commands() (map[hfcache.Repo]Commands, error)
	// Uptime is for how long the machine runs, suspended or not: the clock of
	// Process.Started.
	Uptime() (time.Duration, error)
}

// ProcDir is the Proc of a procfs that is mounted at that path: /proc, but in
// tests.
type ProcDir string

// Apart is a ProcDir of a process that may not open the list of users itself, nor
// list everything at any time.
type Apart struct {
	ProcDir

	// Open opens the list of users.
	Open func(path string) (*os.File, error)
	// Raise is called before the pods are listed, and lower after that.
	Raise func() (lower func())
}

// Process is that of the ProcDir.
func (a Apart) Process(pid int) (Process, error) { return a.process(pid, beside{a.Open, a.Raise}) }

// beside is what is needed where more is asked than /proc.
type beside struct {
	open  func(path string) (*os.File, error)
	raise func() (lower func())
}

// own is what a process may do itself.
var own = beside{os.Open, func() func() { return func() {} }}

// Owner is the user whom a process's directory belongs to: its effective user,
// or root where it is none of that user's to look into. The error is
// fs.ErrNotExist if there is no such process.
func (d ProcDir) Owner(pid int) (uid int, err error) {
	var st unix.Stat_t
	if err := unix.Stat(d.file(pid, ""), &st); err != nil {
		return -1, fmt.Errorf("cannot look at process %d: %w", pid, err)
	}
	return int(st.Uid), nil
}

// Uptime asks the kernel, whatever the directory.
func (ProcDir) Uptime() (time.Duration, error) {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return 0, err
	}
	return time.Duration(up.Nano()), nil
}

// file is the path of a file about a process.
func (d ProcDir) file(pid int, name string) string {
	return filepath.Join(string(d), strconv.Itoa(pid), name)
}
