package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"progressd/display"
	"progressd/hfcache"
	"progressd/live"
	"progressd/record"
	"progressd/socket"
	"progressd/untrusted"
)

// The exit statuses of status, beside those that all share.
const (
	exitIdle    = 3 // known, and neither running nor whole
	exitUnknown = 4
	exitNobody  = 5 // no daemon answers
)

// statusOptions are the flags of status.
type statusOptions struct {
	json, all, noLegend bool
}

func (c *ctl) status() *cobra.Command {
	var opts statusOptions
	command := &cobra.Command{
		Use:   "status [MODEL...]",
		Short: "Show how downloads stand",
		Long: `Shows the downloads that go on, and those that need somebody. With a MODEL (org/name, or
datasets/org/name) it looks at what is on disk, also of one that was cached long ago, and shows
all that is known.

Exit status: 0; of a MODEL 3 if it is known, and neither running nor whole, 4 if it is unknown;
5 if no daemon answers.`,
		ValidArgsFunction: c.completeModels,
		RunE: func(_ *cobra.Command, args []string) error {
			repos, err := parseModels(args)
			if err != nil {
				return err
			}
			if len(repos) == 0 {
				c.result.Status = c.showAll(opts)
			} else {
				c.result.Status = c.showEach(repos, opts)
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.BoolVar(&opts.json, "json", false, "print one JSON object a line, of a download each")
	flags.BoolVarP(&opts.all, "all", "a", false, "show also what has ended within 24 hours")
	flags.BoolVar(&opts.noLegend, "no-legend", false, "print neither the head of the table nor the summary")
	return command
}

func parseModels(args []string) ([]hfcache.Repo, error) {
	var repos []hfcache.Repo
	for _, arg := range args {
		repo, ok := hfcache.ParseRepo(arg)
		if !ok {
			return nil, fmt.Errorf("%q is no model: expected org/name, or datasets/org/name for a dataset", arg)
		}
		if !slices.Contains(repos, repo) {
			repos = append(repos, repo)
		}
	}
	return repos, nil
}

// systemFirst are the sockets to ask at: the system's daemon sees more.
func (c *ctl) systemFirst() []string {
	if c.socket != "" {
		return []string{c.socket}
	}
	paths := socket.Paths(c.getenv, c.runDir)
	slices.Reverse(paths)
	return paths
}

// standing is how all downloads stand now.
func (c *ctl) standing(ctx context.Context) ([]record.Download, error) {
	var view live.View
	err := live.Follow(ctx, live.Wish{Sockets: c.systemFirst()}, func(u live.Update) error {
		if u.Lost != nil {
			return u.Lost.Err
		}
		view.Apply(u)
		if u.Standing != nil {
			return live.ErrStop
		}
		return nil
	})
	return view.Downloads(), err
}

// nobody says that no daemon answers, and what to do.
func (c *ctl) nobody(err error) int {
	fmt.Fprintf(c.stderr, "progressctl: %s\n", untrusted.Printable(err.Error()))
	if none := new(live.NobodyError); errors.As(err, &none) {
		fmt.Fprintln(c.stderr, none.Hint())
	}
	return exitNobody
}

func (c *ctl) showAll(opts statusOptions) int {
	ctx, stop := c.until()
	defer stop()
	all, err := c.standing(ctx)
	if err != nil {
		return c.nobody(err)
	}
	shown, ended := all, 0
	if !opts.all {
		shown = slices.DeleteFunc(slices.Clone(all), func(d record.Download) bool { return d.State.Over() })
		ended = len(all) - len(shown)
	}
	if opts.json {
		for _, d := range shown {
			printJSON(c.stdout, d)
		}
		return exitOK
	}
	var rows [][]string
	for _, d := range shown {
		rows = append(rows, display.Row(d))
	}
	if !opts.noLegend && len(rows) > 0 {
		rows = slices.Insert(rows, 0, display.Head())
	}
	table(c.stdout, rows)
	if !opts.noLegend {
		fmt.Fprintln(c.stdout, summary(shown, ended))
	}
	return exitOK
}

func printJSON(out io.Writer, value any) {
	text, err := json.Marshal(value)
	if err != nil { // it can't be: there are only texts, numbers and times
		return
	}
	fmt.Fprintf(out, "%s\n", text)
}

// table prints rows in columns.
func table(out io.Writer, rows [][]string) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // who can't be told can't be told that, either
}

// summary is the last line of the table.
func summary(all []record.Download, ended int) string {
	text := display.Summary(all)
	if ended > 0 {
		text += fmt.Sprintf("; %d ended within 24 hours (--all shows them)", ended)
	}
	return text
}

// showEach shows some models in full. The worst of them is the exit status.
func (c *ctl) showEach(repos []hfcache.Repo, opts statusOptions) int {
	ctx, stop := c.until()
	defer stop()
	worst := exitOK
	first := true
	for _, repo := range repos {
		all, err := live.Ask(ctx, c.systemFirst(), repo.String())
		if err != nil {
			return c.nobody(err)
		}
		worst = max(worst, statusOf(all))
		if len(all) == 0 {
			fmt.Fprintf(c.stderr, "progressctl: %s is unknown: it is in no cache that is watched and that you may see\n", repo)
		}
		for _, answered := range all {
			if opts.json {
				printJSON(c.stdout, answered)
				continue
			}
			if !first {
				fmt.Fprintln(c.stdout)
			}
			first = false
			detail(c.stdout, answered, time.Now())
		}
	}
	return worst
}

// statusOf is the exit status for one repository, wherever it is: one that goes
// on or is whole somewhere is well.
func statusOf(all []socket.Answered) int {
	if len(all) == 0 {
		return exitUnknown
	}
	if slices.ContainsFunc(all, func(a socket.Answered) bool { return a.State.Running() || a.State == record.Completed }) {
		return exitOK
	}
	return exitIdle
}

// completeModels offers the models that the daemon knows.
func (c *ctl) completeModels(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	all, err := c.standing(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, d := range all {
		names = append(names, display.Name(d.Record))
	}
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}
