package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"progressd/downloader"
)

// A Peer is the process at the other end of a connection, as the kernel names
// it here: the user, and the pid, 0 if it is in a pid namespace that can't be
// seen from this one.
type Peer struct{ UID, PID int }

// peer asks the kernel who has connected.
func peer(c *net.UnixConn) (Peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Ucred
	failed := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(failed, err); err != nil {
		return Peer{}, err
	}
	return Peer{UID: int(cred.Uid), PID: int(cred.Pid)}, nil
}

// process describes the downloader of a run, as far as it is the reporter's
// to name. One that has ended already is known by what the run says of it.
func (s *Server) process(run Run, by Peer) (downloader.Process, error) {
	proc := s.opts.Proc
	claimed := downloader.Process{PID: pidHere(proc, by.PID, run.PID), Command: run.Command}
	owner, err := owner(proc, claimed.PID)
	if err != nil {
		return claimed, nil //nolint:nilerr // it has ended, and nothing else tells of it
	}
	if by.UID != 0 && owner != by.UID {
		return claimed, errProcess
	}
	process, err := downloader.ReadProcess(proc, claimed.PID)
	if err != nil {
		process = claimed
	}
	if process.Request == nil && run.Name.ID != "" {
		process.Request = &downloader.Request{Repo: run.Name}
	}
	return process, nil
}

// owner is the effective user of a process.
func owner(proc string, pid int) (int, error) {
	info, err := os.Stat(filepath.Join(proc, strconv.Itoa(pid)))
	if err != nil {
		return -1, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, errors.ErrUnsupported
	}
	return int(st.Uid), nil
}

// pidHere is what a process is called here that a reporter, of that pid here,
// calls pid: another number where the reporter is in a pid namespace of its own,
// as in a container. There it is the child of the reporter that has that number
// in the innermost namespace. It is 0 if that can't be told, or it has ended.
func pidHere(proc string, reporter, pid int) int {
	if reporter == 0 {
		return 0
	}
	depth := len(pids(proc, reporter))
	if depth <= 1 { // of our namespace, or of a kernel before 4.1, which doesn't say
		return pid
	}
	for _, child := range children(proc, reporter) {
		if known := pids(proc, child); len(known) == depth && known[depth-1] == pid {
			return child
		}
	}
	return 0
}

// Of what is read of a process, so much at most.
const (
	maxStatus   = 16 << 10 // bytes of a file
	maxThreads  = 256
	maxChildren = 1024
)

// pids are the numbers of a process in the pid namespaces that it is in, from
// ours inwards; empty if they can't be read.
func pids(proc string, pid int) []int {
	for line := range strings.Lines(readBounded(filepath.Join(proc, strconv.Itoa(pid), "status"))) {
		if list, ok := strings.CutPrefix(line, "NSpid:"); ok {
			return numbers(list)
		}
	}
	return nil
}

// children are those of all threads of a process: which of them forks is not known.
func children(proc string, pid int) []int {
	tasks := filepath.Join(proc, strconv.Itoa(pid), "task")
	dir, err := os.Open(tasks)
	if err != nil {
		return nil
	}
	defer dir.Close()
	threads, _ := dir.Readdirnames(maxThreads)
	var all []int
	for _, thread := range threads {
		all = append(all, numbers(readBounded(filepath.Join(tasks, thread, "children")))...)
	}
	return all[:min(len(all), maxChildren)]
}

// readBounded gives the beginning of a small file, empty if it can't be read.
func readBounded(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	text, _ := io.ReadAll(io.LimitReader(file, maxStatus))
	return string(text)
}

// numbers are those of a list, up to the first that is none.
func numbers(list string) []int {
	var all []int
	for _, field := range strings.Fields(list) {
		n, err := strconv.Atoi(field)
		if err != nil {
			break
		}
		all = append(all, n)
	}
	return all
}
