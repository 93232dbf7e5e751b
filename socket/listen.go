package socket

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Name is what the socket is called in its directory.
const Name = "progressd.sock"

// SystemDir is where the system's daemon has its socket.
const SystemDir = "/run/progressd"

// Paths are where a client looks for a daemon: the user's own, then the
// system's, whose directory runDir is; empty: there is none.
func Paths(getenv func(string) string, runDir string) []string {
	var paths []string
	if dir := getenv("XDG_RUNTIME_DIR"); dir != "" {
		paths = append(paths, filepath.Join(dir, "progressd", Name))
	}
	if runDir != "" {
		paths = append(paths, filepath.Join(runDir, Name))
	}
	return paths
}

// ErrInUse says that another progressd answers there.
var ErrInUse = errors.New("another progressd listens there")

// Listen makes the socket in dir, which is made with that mode if missing.
// One that nobody answers at is replaced. Everybody who can reach it may
// connect: who may report what, the peer's credentials tell.
func Listen(dir string, mode fs.FileMode) (*net.UnixListener, error) {
	path := filepath.Join(dir, Name)
	if err := os.MkdirAll(dir, mode); err != nil {
		return nil, fmt.Errorf("cannot make the socket %q: %w", path, err)
	}
	if err := vacate(path); err != nil {
		return nil, fmt.Errorf("cannot make the socket %q: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if errors.Is(err, syscall.EADDRINUSE) { // since a moment
		err = ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("cannot make the socket %q: %w", path, err)
	}
	const everybody = 0o666
	if err := os.Chmod(path, everybody); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("cannot open the socket %q to everybody: %w", path, err)
	}
	return l, nil
}

// vacate removes a socket that nobody answers at, and nothing else.
func vacate(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("something else is there")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return ErrInUse
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}
