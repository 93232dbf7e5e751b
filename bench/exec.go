package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// printers are programs that print 1 GB.
var printers = []struct{ what, script string }{
	{"zeroes", "head -c 1000000000 /dev/zero"},
	{"lines", "yes 'a line of some sixty characters, as a talkative server has it' | head -c 1000000000"},
	{"one line", "head -c 1000000000 /dev/zero | tr '\\0' x"},
}

// exec measures how fast what a program prints passes through progressctl exec,
// against cat, in turns.
func (b *bench) exec(ctx context.Context) error {
	s := b.report.section("1 GB printed by a program under progressctl exec, and the same through cat")
	progressctl := filepath.Join(filepath.Dir(b.progressd), "progressctl")
	s.explain("Both write to /dev/null. Reach is at least 0.9 times the speed of cat, in bounded memory.")
	for _, p := range printers {
		var cat, ours, memory series
		for range b.scale.prints {
			took, _, err := b.print(exec.CommandContext(ctx, "sh", "-c", "{ "+p.script+"; } | cat"))
			if err != nil {
				return err
			}
			cat = append(cat, took.Seconds())
			took, peak, err := b.print(exec.CommandContext(ctx, progressctl, "exec", "--model", "bench/exec", "--", "sh", "-c", p.script))
			if err != nil {
				return err
			}
			ours, memory = append(ours, took.Seconds()), append(memory, peak)
		}
		s.add(p.what, "through cat", seconds, cat, "")
		s.add(p.what, "progressctl exec", seconds, ours, "")
		s.compare("speed, "+p.what+", progressctl exec / cat", cat, ours, "at least 0.9×")
		s.add("peak memory, "+p.what, "progressctl exec", megabytes, memory, "below 20 MB")
	}
	return nil
}

// print runs a command with its output going nowhere.
func (b *bench) print(cmd *exec.Cmd) (took time.Duration, peak float64, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return 0, 0, err
	}
	defer null.Close()
	cmd.Stdout, cmd.Stderr = null, null
	cmd.Env = append(os.Environ(), "HOME="+b.work, "XDG_STATE_HOME="+b.work, "XDG_CONFIG_HOME="+b.work, "HF_HOME="+b.work+"/hf")
	return runToEnd(cmd)
}
