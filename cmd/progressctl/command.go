package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"progressd/child"
)

// A ctl is one call of progressctl: its command line is parsed into options,
// and how it ends is in result.
type ctl struct {
	world
	socket string // empty: as the environment says
	result child.Result
}

// run is progressctl: it returns how that ends.
func run(args []string, w world) child.Result {
	c := &ctl{world: w}
	root := c.root()
	root.SetArgs(args)
	command, err := root.ExecuteC()
	if err != nil {
		fmt.Fprintf(w.stderr, "%s: %v\nTry \"%s --help\".\n", command.CommandPath(), err, command.CommandPath())
		c.result.Status = exitUsage
		if command.Name() == execName {
			c.result.Status = exitExec
		}
	}
	return c.result
}

// root is the tree of subcommands. An error of one of them is one of usage:
// each says itself what else goes wrong, and sets the result.
func (c *ctl) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "progressctl",
		Short: "Show Hugging Face downloads, wait for them, and run downloaders",
		Long: `progressctl asks progressd how the Hugging Face downloads of this machine stand,
and runs a downloader so that what it prints is heard as well.`,
		Version:       buildVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.PersistentFlags().StringVar(&c.socket, "socket", "", "`PATH` of the daemon's socket; else the system's, else your own daemon's")
	root.AddCommand(c.status(), c.wait(), c.events(), c.exec(), c.serve(), c.top())
	root.InitDefaultCompletionCmd()
	withoutPowershell(root)
	return root
}

// until is a context that ends with the program's world.
func (c *ctl) until() (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	if c.ends != nil {
		go func() {
			select {
			case <-c.ends:
				stop()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, stop
}

// withoutPowershell leaves out what there is no use for on Linux.
func withoutPowershell(root *cobra.Command) {
	at := slices.IndexFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == "completion" })
	completion := root.Commands()[at]
	for _, shell := range completion.Commands() {
		if shell.Name() == "powershell" {
			completion.RemoveCommand(shell)
		}
	}
}
