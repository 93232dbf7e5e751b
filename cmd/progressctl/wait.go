package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"progressd/live"
	"progressd/record"
	"progressd/socket"
)

// What --for takes.
const (
	forVerdict   = "verdict"
	forCompleted = "completed"
)

func (c *ctl) wait() *cobra.Command {
	var rules waitRules
	var timeout time.Duration
	var until string
	var asJSON bool
	command := &cobra.Command{
		Use:   "wait MODEL...",
		Short: "Wait for the verdicts on downloads",
		Long: `Waits until it is known how the download of each MODEL (org/name, or datasets/org/name) ended,
also over a restart of progressd, and prints that line. What is there already is no reason to
wait. On a terminal it shows a bar, elsewhere the lines as they come, on standard error.

Exit status: 0 all is there; 1 a download ended badly; 3 it stalled (--fail-on-stall);
4 it never appeared; 5 no daemon answered for 30 s; 124 --timeout has passed, and the last that
is known was printed: ask again.`,
		Example: `  progressctl wait org/name && vllm serve org/name
  progressctl wait --timeout 110s --json org/name      # for agents: 124 is "ask again"`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: c.completeModels,
		RunE: func(_ *cobra.Command, args []string) error {
			repos, err := parseModels(args)
			if err != nil {
				return err
			}
			switch until {
			case forVerdict:
			case forCompleted:
				rules.untilCompleted = true
			default:
				return fmt.Errorf("--for %q: expected %s or %s", until, forVerdict, forCompleted)
			}
			if timeout < 0 || rules.appear < 0 {
				return errors.New("a duration is not negative")
			}
			c.result.Status = c.await(newWaiter(repos, rules, time.Now()), timeout, asJSON)
			return nil
		},
	}
	flags := command.Flags()
	flags.DurationVar(&timeout, "timeout", 0, "give up after so long, with exit status 124; 0: never")
	flags.DurationVar(&rules.appear, "appear", time.Minute, "how long a download may take to begin")
	flags.StringVar(&until, "for", forVerdict, "`verdict`, or completed, which rides over interruptions: for what is tried again")
	flags.BoolVar(&rules.failOnStall, "fail-on-stall", false, "end with exit status 3 where no byte comes any more")
	flags.BoolVar(&asJSON, "json", false, "print the last record of each model as a JSON object")
	_ = command.RegisterFlagCompletionFunc("for", cobra.FixedCompletions([]string{forVerdict, forCompleted}, cobra.ShellCompDirectiveNoFileComp))
	return command
}

// asked is an answer on its way back.
type asked struct {
	target *target
	all    []socket.Answered
	err    error
}

// waitTick is how often time alone is looked at.
const waitTick = 250 * time.Millisecond

// await waits, and prints the verdicts as they come.
func (c *ctl) await(w *waiter, timeout time.Duration, asJSON bool) int {
	ctx, stop := c.until()
	defer stop()
	news, answers := make(chan live.Update), make(chan asked)
	go func() {
		_ = live.Follow(ctx, c.wishFor(w), func(u live.Update) error {
			select {
			case news <- u:
				return nil
			case <-ctx.Done():
				return live.ErrStop
			}
		})
	}()
	var deadline <-chan time.Time
	if timeout > 0 {
		deadline = time.After(timeout)
	}
	ticker := time.NewTicker(waitTick)
	defer ticker.Stop()
	screen := newProgress(c.stderr, c.getenv)
	defer screen.clear()
	told := make(map[*target]bool)
	for {
		select {
		case u := <-news:
			w.hear(u, time.Now())
			screen.hear(u, w)
		case a := <-answers:
			w.answered(a.target, a.all, a.err == nil, time.Now())
		case <-ticker.C:
		case <-ctx.Done():
			return exitTimeout
		case <-deadline:
			screen.clear()
			for _, t := range w.waiting() {
				c.verdict(t, asJSON)
			}
			return exitTimeout
		}
		for _, t := range w.pass(time.Now()) {
			go c.askFor(ctx, t, answers)
		}
		for _, t := range w.targets {
			if t.over && !told[t] {
				told[t] = true
				screen.clear()
				c.verdict(t, asJSON)
			}
		}
		if len(w.waiting()) == 0 {
			return w.status()
		}
		if w.nobody(time.Now()) {
			screen.clear()
			return c.nobody(w.why())
		}
		screen.show(w, time.Now())
	}
}

// wishFor is what is to be heard of the targets: one model is all that the
// daemon has to send.
func (c *ctl) wishFor(w *waiter) live.Wish {
	wish := live.Wish{Sockets: c.systemFirst(), Levels: true}
	if len(w.targets) == 1 {
		wish.Model = w.targets[0].repo.String()
	}
	return wish
}

func (c *ctl) askFor(ctx context.Context, t *target, answers chan<- asked) {
	all, err := live.Ask(ctx, c.systemFirst(), t.repo.String())
	select {
	case answers <- asked{t, all, err}:
	case <-ctx.Done():
	}
}

// verdict prints the last that is known of a target.
func (c *ctl) verdict(t *target, asJSON bool) {
	d := t.known(time.Now())
	if asJSON {
		printJSON(c.stdout, d)
		return
	}
	fmt.Fprintln(c.stdout, line(worded(d, t.status)))
}

// worded is a record with words of our own, where none were told.
func worded(d record.Download, status int) record.Record {
	r := d.Record
	if r.Message != "" {
		return r
	}
	r.Level, r.Message = "info", onDisk(d)+" on disk"
	if r.Bytes == nil {
		r.Message = "nothing of it is on disk"
	}
	if status == exitNever {
		r.Level, r.Message = "error", "No download has begun: "+r.Message
	}
	return r
}
