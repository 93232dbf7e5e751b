package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"progressd/hfcache"
	"progressd/runner"
	"progressd/socket"
)

// execName is what exec is called.
const execName = "exec"

// exitExec is the status of exec where it fails itself: as of env, timeout and
// nohup, so that it isn't taken for the program's.
const exitExec = 125

// exec runs a downloader.
func (c *ctl) exec() *cobra.Command {
	var opts runner.Options
	var model string
	command := &cobra.Command{
		Use:   execName + " [--] PROGRAM [ARGUMENT...]",
		Short: "Run a downloader and tell how its download goes",
		Long: `Runs a downloader as if it had been started without it, and tells how its download
goes: from what the program prints, what it writes to the cache, and how it ends.

As a service it tells systemd how the download stands, and asks for more time while bytes
come, so that a start timeout follows them.

Exit status: that of the program, 128 + n if signal n killed it; 124 if --stall-timeout has
passed, 125 if progressctl fails itself, 126 if the program can't be run, 127 if there is none.`,
		Example: "  progressctl exec hf download org/name\n  progressctl exec --model org/name -- python3 fetch.py --fast",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("no program is named")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			opts.Argv = args
			if opts.StallTimeout < 0 {
				return fmt.Errorf("--stall-timeout %v: a duration is not negative", opts.StallTimeout)
			}
			if model != "" {
				var ok bool
				if opts.Model, ok = hfcache.ParseRepo(model); !ok {
					return fmt.Errorf("--model %q: expected org/name, or datasets/org/name for a dataset", model)
				}
			}
			c.result = runner.Run(opts, runner.World{
				Stdin: c.stdin, Stdout: c.stdout, Stderr: c.stderr, Getenv: c.getenv, Environ: c.environ, Signals: c.signals(),
				Sockets: c.ownFirst(), ComeBack: c.comeBack,
			})
			return nil
		},
	}
	flags := command.Flags()
	flags.SetInterspersed(false) // what stands behind the program is the program's
	flags.StringVar(&model, "model", "", "`ID` of what is downloaded: org/name, datasets/org/name, spaces/org/name; else as\nthe program's command line says, or the locks that it takes")
	flags.DurationVar(&opts.StallTimeout, "stall-timeout", 0, "stop the program where its download has been stalled for so long, with exit\nstatus 124; 0: never")
	flags.StringVar(&opts.Config, "config", "", "configuration `FILE`; else $XDG_CONFIG_HOME/progressd/config.toml if it is there")
	return command
}

// ownFirst are the sockets to report a run to: the user's own daemon knows the
// user's cache.
func (c *ctl) ownFirst() []string {
	if c.socket != "" {
		return []string{c.socket}
	}
	return socket.Paths(c.getenv, c.runDir)
}
