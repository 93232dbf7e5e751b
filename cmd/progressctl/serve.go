package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/spf13/cobra"

	"progressd/web"
)

// exitServe is the status of serve where it can't serve.
const exitServe = 1

// serveOptions are the flags of serve.
type serveOptions struct {
	listen []string
	hosts  []string
}

func (c *ctl) serve() *cobra.Command {
	var opts serveOptions
	command := &cobra.Command{
		Use:   "serve",
		Short: "Show downloads over HTTP",
		Long: `Shows how downloads stand over HTTP: a page for people, JSON and a stream of events for
programs (/v1/..., described by /openapi.json), metrics for Prometheus (/metrics). Nothing can
be changed there. Who may connect sees what you may see.

progressd-http.socket starts it when somebody connects; it ends a minute after the last one has
left. Without systemd --listen says where.

Exit status: 0; 1 if it can't listen.`,
		Example: `  systemctl enable --now progressd-http.socket && ssh -L 8080:/run/progressd/http.sock gpu1
  progressctl serve --listen 127.0.0.1:8080`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			listeners, err := c.inherited()
			if err != nil {
				return err
			}
			if len(opts.listen) == 0 && len(listeners) == 0 {
				return errors.New("nothing to listen at: systemd has handed no socket over, and --listen names none (try --listen 127.0.0.1:8080)")
			}
			c.result.Status = c.serveAt(listeners, opts)
			return nil
		},
	}
	flags := command.Flags()
	flags.StringArrayVar(&opts.listen, "listen", nil, "listen at `ADDRESS`: HOST:PORT, or the path of a socket")
	flags.StringArrayVar(&opts.hosts, "host", nil, "answer to this `NAME`, too: addresses, localhost, names without a dot and the\nmachine's own are known")
	return command
}

// inherited are the sockets of systemd.
func (c *ctl) inherited() ([]net.Listener, error) {
	if c.runDir == "" { // a test
		return nil, nil
	}
	all, err := activation.Listeners()
	for i, l := range all {
		if l == nil {
			return nil, fmt.Errorf("socket %d of systemd is no stream socket: check ListenStream= of its unit", i+1)
		}
	}
	return all, err
}

// serveAt answers until a signal, or until nobody is there any more.
func (c *ctl) serveAt(listeners []net.Listener, opts serveOptions) int {
	onDemand := len(listeners) > 0 && len(opts.listen) == 0
	for _, address := range opts.listen {
		l, err := listen(address)
		if err != nil {
			fmt.Fprintf(c.stderr, "progressctl: cannot listen at %q: %v\n", address, err)
			return exitServe
		}
		fmt.Fprintf(c.stderr, "progressctl: serving at %s: who can connect sees what you may see\n", l.Addr())
		listeners = append(listeners, l)
	}
	ctx, stop := c.until()
	defer stop()
	ctx, stopSignals := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stopSignals()
	server := web.New(web.Options{
		Sockets: c.systemFirst(), Hosts: opts.hosts, IdleExit: onDemand, Log: slog.New(slog.NewTextHandler(c.stderr, nil)),
	})
	if err := server.Serve(ctx, listeners...); err != nil {
		fmt.Fprintf(c.stderr, "progressctl: cannot serve any longer: %v\n", err)
		return exitServe
	}
	return exitOK
}

// listen listens at a port, or at a path for its user alone. A socket that
// nobody answers at is replaced.
func listen(address string) (net.Listener, error) {
	if !strings.Contains(address, "/") {
		return net.Listen("tcp", address)
	}
	if info, err := os.Lstat(address); err == nil && info.Mode().Type() == fs.ModeSocket {
		if c, err := net.Dial("unix", address); err == nil {
			_ = c.Close()
			return nil, errors.New("somebody listens there")
		}
		if err := os.Remove(address); err != nil {
			return nil, err
		}
	}
	// Between the making of the socket and the change of its mode nobody else
	// may connect: it is made under another name.
	dir, err := os.MkdirTemp(filepath.Dir(address), ".progressctl-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	made := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	const ownerOnly = 0o600
	if err := errors.Join(os.Chmod(made, ownerOnly), os.Rename(made, address)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &removed{l, address}, nil
}

// removed is a listener whose socket is removed with it.
type removed struct {
	net.Listener
	path string
}

func (r *removed) Close() error { return errors.Join(r.Listener.Close(), os.Remove(r.path)) }
