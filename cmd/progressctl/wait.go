package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"progressd/display"
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
			say := c.sayLine
			if asJSON {
				say = c.sayJSON
			}
			c.result.Status = c.await(newWaiter(repos, rules, time.Now()), timeout, say)
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

// await waits, and prints the verdicts by say as they come.
func (c *ctl) await(w *waiter, timeout time.Duration, say func(*target)) int {
	ctx, stop := c.until()
	defer stop()
	a := &awaiting{waiter: w, screen: newProgress(c.stderr, c.getenv), say: say, told: make(map[*target]bool)}
	defer a.screen.clear()
	news, answers := c.follow(ctx, w), make(chan asked)
	var deadline <-chan time.Time
	if timeout > 0 {
		deadline = time.After(timeout)
	}
	ticker := time.NewTicker(waitTick)
	defer ticker.Stop()
	for {
		select {
		case u := <-news:
			w.hear(u, time.Now())
			a.screen.hear(u, w)
		case answer := <-answers:
			w.answered(answer.target, answer.all, answer.err, time.Now())
		case <-ticker.C:
		case <-ctx.Done():
			return exitTimeout
		case <-deadline:
			a.tell(w.waiting())
			return exitTimeout
		}
		for _, t := range w.pass(time.Now()) {
			go c.askFor(ctx, t, answers)
		}
		a.tell(a.over())
		if len(w.waiting()) == 0 {
			return w.status()
		}
		if w.nobody(time.Now()) {
			a.screen.clear()
			return c.nobody(w.why())
		}
		a.screen.show(w, time.Now())
	}
}

// awaiting is a waiter and what is shown of it.
type awaiting struct {
	*waiter
	screen *progress
	say    func(*target)
	told   map[*target]bool
}

// over are the targets that are waited for no longer, and not told yet.
func (a *awaiting) over() []*target {
	return slices.DeleteFunc(slices.Clone(a.targets), func(t *target) bool { return !t.over || a.told[t] })
}

// tell prints the last that is known of some targets.
func (a *awaiting) tell(targets []*target) {
	for _, t := range targets {
		a.told[t] = true
		a.screen.clear()
		a.say(t)
	}
}

// follow hears what happens, until ctx is done.
func (c *ctl) follow(ctx context.Context, w *waiter) <-chan live.Update {
	news := make(chan live.Update)
	wish := c.wishFor(w)
	go func() {
		_ = live.Follow(ctx, wish, func(u live.Update) error {
			select {
			case news <- u:
				return nil
			case <-ctx.Done():
				return live.ErrStop
			}
		})
	}()
	return news
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

// sayLine prints the line of a verdict.
func (c *ctl) sayLine(t *target) {
	fmt.Fprintln(c.stdout, display.Line(worded(t.known(time.Now()), t.status)))
}

// sayJSON prints all that is known.
func (c *ctl) sayJSON(t *target) { printJSON(c.stdout, t.known(time.Now())) }

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
