package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"progressd/child"
	"progressd/top"
)

func (c *ctl) top() *cobra.Command {
	return &cobra.Command{
		Use:   "top",
		Short: "Show downloads on the whole terminal, as they go on",
		Long: `Shows the downloads that go on on the whole terminal, those that need somebody, and what has
ended within ten minutes; below them the files being written of the one that is chosen.

Keys: arrows choose, Enter shows all that is known of it, s sorts by name, speed or time left,
p pauses, q quits.

Exit status: 0; 2 without a terminal, for which there is progressctl status; 5 if no daemon
answers at the start.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if !child.IsTerminal(c.stdin) || !child.IsTerminal(c.stdout) || c.getenv("TERM") == "dumb" {
				return fmt.Errorf("it needs a terminal: use \"progressctl status\", or \"progressctl events\" to follow")
			}
			ctx, stop := c.until()
			defer stop()
			if err := top.Run(ctx, top.Options{Sockets: c.systemFirst(), In: c.stdin, Out: c.stdout, Environ: c.environ, Getenv: c.getenv}); err != nil {
				c.result.Status = c.nobody(err)
			}
			return nil
		},
	}
}
