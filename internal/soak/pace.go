package main

import (
	"fmt"
	"strings"
	"time"

	"progressd/packaging"
)

// pace is how long progressd waits for its verdicts, and the soak with it.
type pace struct {
	// keys and tables change the packaged configuration.
	keys, tables            string
	quiet, interrupt, stall time.Duration
	// Kills come one after the other in a storm; then there is peace, long enough
	// for any verdict of waiting.
	storm, peace time.Duration
	// hold is how long a client is stopped at most.
	hold time.Duration
	// repos is how many are downloaded at a time.
	repos int
}

// shipped waits as users do, by the packaged configuration; many lives wait at the
// same time. A stall takes ten minutes without a kill, which a simulation has and
// a soak has not: no client is stopped for so long, and none has no lock.
func shipped() pace {
	return pace{
		quiet: 30 * time.Second, interrupt: time.Minute, stall: 10 * time.Minute,
		storm: 13 * time.Second, peace: 75 * time.Second, hold: 45 * time.Second, repos: 150,
	}
}

// quick is for clients that have no lock, too, and for stalls. Between two kills
// there would be ten minutes, and in a day less than 150 of them.
func quick() pace {
	p := pace{
		quiet: 2 * time.Second, interrupt: 4 * time.Second, stall: 10 * time.Second,
		storm: 13 * time.Second, peace: 8 * time.Second, hold: 30 * time.Second, repos: 16,
	}
	p.keys = "poll_interval = \"500ms\"\nkeepalive_interval = \"3s\"\n"
	p.tables = fmt.Sprintf("[download]\nstall_after = %q\ninterrupt_after = %q\nquiet_after = %q\n", p.stall, p.interrupt, p.quiet)
	return p
}

// config is what progressd is told. Steps are small, as the models are, and the
// times in the logs have a date: how often progress is told, and how a time is
// written, changes no verdict.
func (p pace) config(paths packaging.Paths) string {
	text := strings.Replace(packaging.Config(paths), `timestamps = "clock"`, `timestamps = "rfc3339"`, 1)
	return p.keys + fmt.Sprintf("step = \"%dMB\"\n", step/1_000_000) + text + "[journal]\nenabled = false\n" + p.tables
}

// patience is how long a verdict may take: of two times of peace one is long
// enough for any.
func (p pace) patience() time.Duration { return 3 * (p.storm + p.peace) }
