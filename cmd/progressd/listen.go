package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"

	"progressd/socket"
)

// listeners are the sockets of the daemon, open from its start to its end: over
// a reload, what connects waits. Those of systemd come first; without any it
// makes one of its own. None is no fault: progressctl exec then tells by itself.
func listeners(w world, log *slog.Logger) []*net.UnixListener {
	var all []*net.UnixListener
	for _, file := range inherited(w) {
		l, err := net.FileListener(file)
		_ = file.Close()
		if l, ok := l.(*net.UnixListener); ok && err == nil {
			all = append(all, l)
			continue
		}
		log.Warn("a socket that systemd has handed over can't be used: it must be a stream socket in the file system", "name", file.Name(), "err", err)
	}
	if len(all) > 0 {
		return all
	}
	dir, mode := ownDir(w)
	if dir == "" {
		log.Info("there is no place for a socket: progressctl exec tells of its downloads by itself")
		return nil
	}
	l, err := socket.Listen(dir, mode)
	switch {
	case errors.Is(err, socket.ErrInUse):
		log.Info("another progressd hears progressctl exec, this one does not", "dir", dir)
		return nil
	case err != nil:
		log.Warn("progressctl exec is not heard, and tells of its downloads by itself", "err", err)
		return nil
	}
	return []*net.UnixListener{l}
}

func inherited(w world) []*os.File {
	if w.runDir == "" {
		return nil
	}
	return activation.Files(true)
}

// ownDir is where a daemon makes its socket if systemd has made none. That of
// a user is for that user alone.
func ownDir(w world) (string, fs.FileMode) {
	if dir, _, _ := strings.Cut(w.getenv("RUNTIME_DIRECTORY"), ":"); dir != "" {
		return dir, 0o755
	}
	if dir := w.getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "progressd"), 0o700
	}
	if os.Geteuid() == 0 {
		return w.runDir, 0o755
	}
	return "", 0
}
