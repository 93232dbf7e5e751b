package socket

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var errNoStream = errors.New("this progressd shows nothing")

// read serves one that watches or asks, to its end.
func (s *Server) read(ctx context.Context, c *net.UnixConn, h hello, uid int) {
	repo, err := h.wish()
	switch {
	case err != nil:
		refuse(c, Answer{Refused: err.Error()})
		return
	case s.opts.Streams == nil:
		refuse(c, Answer{Refused: errNoStream.Error()})
		return
	}
	by := Reader{UID: uid, GIDs: s.opts.Groups(c)}
	ctx, gone := context.WithCancel(ctx)
	defer gone()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		defer gone()
		idle(c)
	}()
	defer func() { <-watched }()
	defer func() { _ = c.Close() }()
	switch {
	case h.Watch != nil:
		sub := s.opts.Streams.Subscribe(by, *h.Watch, repo)
		defer sub.End()
		stream(ctx, c, sub)
	case h.Ask != nil:
		for _, answered := range s.opts.Streams.Answer(by, repo, ctx.Done()) {
			if send(c, &Frame{Answer: &answered}) != nil {
				return
			}
		}
		_ = send(c, &Frame{V: Version, Over: true})
	default:
		_ = send(c, &Frame{V: Version, Facts: s.opts.Streams.Facts(by), Over: true})
	}
}

// Levels wait for others for so long, so that a reader of a hundred downloads is
// woken a few times a second; what was told waits for nothing, and takes with it
// what has waited.
const (
	levelsWait = 200 * time.Millisecond
	maxHeld    = 32 << 10 // bytes
)

// stream passes frames on until the reader is gone, or too slow.
func stream(ctx context.Context, c net.Conn, sub *Subscription) {
	for _, f := range sub.Backlog {
		if send(c, f) != nil {
			return
		}
	}
	sub.Backlog = nil
	var waiting []byte
	var due <-chan time.Time
	for {
		var err error
		select {
		case f, ok := <-sub.Frames:
			if !ok {
				return
			}
			if waiting, err = f.appendTo(waiting); err == nil && f.Download != nil && len(waiting) < maxHeld {
				if due == nil {
					due = time.After(levelsWait)
				}
				continue
			}
		case <-due:
		case <-ctx.Done():
			return
		}
		if err != nil || write(c, writeTime, waiting) != nil {
			return
		}
		waiting, due = waiting[:0], nil
	}
}

func send(c net.Conn, f *Frame) error {
	line, err := f.appendTo(nil)
	if err != nil {
		return err
	}
	return write(c, writeTime, line)
}

// idle waits until the other end hangs up. What it says is not heard: who says
// too much is hung up on.
func idle(c net.Conn) {
	if c.SetReadDeadline(time.Time{}) != nil {
		return
	}
	var said [64]byte
	for n := 0; n < maxLine; {
		got, err := c.Read(said[:])
		if n += got; err != nil {
			return
		}
	}
}

// peerGroups asks the kernel for the groups of who has connected: the effective
// one, and all others.
func peerGroups(c *net.UnixConn) []int {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	var gids []int
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			gids = append(gids, int(cred.Gid))
		}
		for _, gid := range otherGroups(fd) {
			gids = append(gids, int(gid))
		}
	})
	slices.Sort(gids)
	return slices.Compact(gids)
}

// otherGroups are those by SO_PEERGROUPS (Linux 4.13); none before.
func otherGroups(fd uintptr) []uint32 {
	const most = 65536 // NGROUPS_MAX
	for room := 64; room <= most; room *= 4 {
		list := make([]uint32, room)
		size := uint32(room) * 4
		//nolint:gosec // x/sys/unix has no call for a list of this option
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&list[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch errno {
		case 0:
			return list[:size/4]
		case unix.ERANGE:
		default:
			return nil
		}
	}
	return nil
}
