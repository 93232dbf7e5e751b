package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"progressd/config"
)

// A setup is the configuration of a life, as far as it says when what is due.
type setup struct {
	Poll, Keepalive, Stall, Interrupt, Quiet time.Duration
	// Step is in bytes; 0 is "auto".
	Step int64
}

// shippedSetup is the configuration as it ships.
func shippedSetup() setup {
	c := config.Default()
	return setup{
		Poll: time.Duration(c.PollInterval), Keepalive: time.Duration(c.KeepaliveInterval),
		Stall: time.Duration(c.Download.StallAfter), Interrupt: time.Duration(c.Download.InterruptAfter),
		Quiet: time.Duration(c.Download.QuietAfter), Step: int64(c.Step),
	}
}

// drawSetup is the shipped configuration half of the time, else one at random
// within what an operator may choose.
func drawSetup(rng *rand.Rand) setup {
	s := shippedSetup()
	if chance(rng, 1, 2) {
		return s
	}
	if chance(rng, 1, 2) {
		s.Poll = oneOf(rng, 100*time.Millisecond, time.Second, 2*time.Second, 7*time.Second, 10*time.Second, 12*time.Second, 30*time.Second, time.Minute, 3*time.Minute, 10*time.Minute)
		if s.Poll < time.Second && chance(rng, 3, 4) {
			s.Poll = time.Second // ten looks a second cost ten times as much: seldom is enough
		}
	}
	if chance(rng, 1, 2) {
		// Below what clients pause between two files nothing tells an end.
		s.Quiet = oneOf(rng, 3*time.Second, 5*time.Second, 10*time.Second, 15*time.Second, time.Minute, 5*time.Minute)
	}
	if chance(rng, 1, 2) {
		s.Interrupt = oneOf(rng, time.Second, 2*time.Second, 5*time.Second, 20*time.Second, 3*time.Minute, 10*time.Minute)
	}
	if chance(rng, 1, 2) {
		s.Stall = oneOf(rng, 10*time.Second, 15*time.Second, 30*time.Second, time.Minute, 2*time.Minute, 5*time.Minute, 20*time.Minute)
	}
	if chance(rng, 1, 2) {
		s.Keepalive = oneOf(rng, time.Second, 5*time.Second, 10*time.Second, 30*time.Second, 5*time.Minute, 30*time.Minute)
	}
	if chance(rng, 1, 2) {
		s.Step = oneOf(rng, int64(0), 1, 1_000_000, 10_000_000, 1_000_000_000)
	}
	return s
}

// settings are what the daemon is given.
func (s setup) settings(roots []string, dir string) config.Settings {
	c := config.Default()
	c.PollInterval, c.KeepaliveInterval = config.Duration(s.Poll), config.Duration(s.Keepalive)
	c.Download = config.Download{
		StallAfter: config.Duration(s.Stall), InterruptAfter: config.Duration(s.Interrupt), QuietAfter: config.Duration(s.Quiet),
	}
	c.Step = config.Step(s.Step)
	c.Journal.Enabled = false
	c.Log.Timestamps = config.RFC3339
	return config.Settings{Config: c, Roots: roots, LogDir: dir + "/log", StateDir: dir + "/state"}
}

// String says what differs from the shipped configuration.
func (s setup) String() string {
	shipped := shippedSetup()
	var parts []string
	add := func(name string, value, as any) {
		if value != as {
			parts = append(parts, fmt.Sprintf("%s=%v", name, value))
		}
	}
	add("poll_interval", s.Poll, shipped.Poll)
	add("keepalive_interval", s.Keepalive, shipped.Keepalive)
	add("stall_after", s.Stall, shipped.Stall)
	add("interrupt_after", s.Interrupt, shipped.Interrupt)
	add("quiet_after", s.Quiet, shipped.Quiet)
	add("step", s.Step, shipped.Step)
	if len(parts) == 0 {
		return "as shipped"
	}
	return strings.Join(parts, " ")
}
