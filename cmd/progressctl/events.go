package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"progressd/display"
	"progressd/live"
	"progressd/record"
	"progressd/untrusted"
)

// usualLines is how many lines are shown of the past, where nothing is said.
const usualLines = 10

// eventsOptions are the flags of events.
type eventsOptions struct {
	json, noFollow bool
	lines          int // of the past; -1: all
	since          time.Time
	filter         filter
}

func (c *ctl) events() *cobra.Command {
	var opts eventsOptions
	var since string
	var filters []string
	command := &cobra.Command{
		Use:   "events",
		Short: "Show what is told, as it is told",
		Long: `Shows the last lines that were told of all downloads, then those to come, also over a restart
of progressd. What the daemon knows of the past is what it told since its start, 1000 lines at
most; the journal has all: journalctl -u progressd.

Exit status: 0; 5 if no daemon answers at the start.`,
		Example: `  progressctl events --filter event=completed --filter event=interrupted
  progressctl events --json | jq -r 'select(.level == "warning") | .model'`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, _ []string) error {
			var err error
			if opts.since, err = parseSince(since, time.Now()); err != nil {
				return fmt.Errorf("--since %q: %w", since, err)
			}
			if opts.filter, err = parseFilter(filters); err != nil {
				return err
			}
			if given := command.Flags().Changed("lines"); !given && (since != "" || opts.noFollow) {
				opts.lines = -1
			} else if given && opts.lines < 0 {
				return errors.New("--lines is not negative")
			}
			c.result.Status = c.tellEvents(opts)
			return nil
		},
	}
	flags := command.Flags()
	flags.BoolVar(&opts.json, "json", false, "print one JSON object a line")
	flags.StringVar(&since, "since", "", "show what was told since a `TIME`: 10m (ago), 15:04, 2006-01-02 15:04, or RFC 3339")
	flags.StringArrayVar(&filters, "filter", nil, "show only records with this `KEY=VALUE`: model=org/name, event=stalled, level=error ...;\nof several with one key any, of several keys all must hold")
	flags.IntVarP(&opts.lines, "lines", "n", usualLines, "show so many lines of the past; all with --since or --no-follow")
	flags.BoolVar(&opts.noFollow, "no-follow", false, "end after what was told already")
	_ = command.RegisterFlagCompletionFunc("filter", cobra.FixedCompletions([]string{"model=", "event=", "level=", "root=", "repo_type="}, cobra.ShellCompDirectiveNoSpace|cobra.ShellCompDirectiveNoFileComp))
	return command
}

// tellEvents prints what is told until that ends.
func (c *ctl) tellEvents(opts eventsOptions) int {
	ctx, stop := c.until()
	defer stop()
	t := &teller{c: c, opts: opts}
	if err := live.Follow(ctx, live.Wish{Sockets: c.systemFirst(), Past: true}, t.hear); err != nil {
		return c.nobody(err)
	}
	return exitOK
}

// A teller prints events: first the last of the past, then what comes.
type teller struct {
	c    *ctl
	opts eventsOptions
	past []record.Record
	// following: the past was printed.
	following bool
	lost      bool
}

func (t *teller) hear(u live.Update) error {
	switch {
	case u.Event != nil:
		t.tell(*u.Event)
	case u.Standing != nil && !t.following:
		t.following = true
		for _, r := range lastOf(t.past, t.opts.lines) {
			t.print(r)
		}
		t.past = nil
		if t.opts.noFollow {
			return live.ErrStop
		}
	case u.Standing != nil:
		if t.lost = false; u.Standing.Reset {
			fmt.Fprintln(t.c.stderr, "progressctl: progressd was started anew; if something was told in between, the journal has it: journalctl -u progressd")
		}
	case u.Lost != nil && !t.following:
		return u.Lost.Err
	case u.Lost != nil && !t.lost:
		t.lost = true
		fmt.Fprintf(t.c.stderr, "progressctl: %s; waiting for it to come back\n", untrusted.Printable(u.Lost.Err.Error()))
	}
	return nil
}

func (t *teller) tell(r record.Record) {
	switch {
	case r.Time.Before(t.opts.since), !t.opts.filter.takes(r):
	case t.following:
		t.print(r)
	default:
		t.past = append(t.past, r)
	}
}

func (t *teller) print(r record.Record) {
	if t.opts.json {
		printJSON(t.c.stdout, r)
		return
	}
	fmt.Fprintln(t.c.stdout, display.Line(r))
}

// lastOf are the last n of some records, all if n is negative.
func lastOf(all []record.Record, n int) []record.Record {
	if n < 0 {
		return all
	}
	return all[max(len(all)-n, 0):]
}

// parseSince reads a time: so long ago, of today, or of a day.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago.Abs()), nil
	}
	for _, form := range []string{"15:04", "15:04:05"} {
		if at, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), at.Second(), 0, now.Location()), nil
		}
	}
	for _, form := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errors.New("expected a time as 10m (ago), 15:04, 2006-01-02 15:04 or 2006-01-02T15:04:05Z")
}
