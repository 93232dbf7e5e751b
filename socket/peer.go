package socket

import (
	"errors"
	"net"

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
	claimed := downloader.Process{PID: proc.Here(by.PID, run.PID), Command: run.Command}
	owner, err := proc.Owner(claimed.PID)
	if err != nil {
		return claimed, nil //nolint:nilerr // it has ended, and nothing else tells of it
	}
	if by.UID != 0 && owner != by.UID {
		return claimed, errProcess
	}
	process, err := proc.Process(claimed.PID)
	if err != nil {
		process = claimed
	}
	if process.Request == nil && run.Name.ID != "" {
		process.Request = &downloader.Request{Repo: run.Name}
	}
	return process, nil
}
