package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"progressd/hfcache"
	"progressd/internal/hub"
)

// order is what a client is to do, and what is to happen to it.
type order struct {
	// writer is who does it; as a library in a program whose command line
	// says nothing of what it downloads.
	writer  writer
	library bool
	// files and include ask for part of the repository.
	files, include []string
	// sig is sent after a while; 0 lets the client come to its end.
	sig   syscall.Signal
	after time.Duration
	// hold stops the client for a while before that.
	holdAfter, hold time.Duration
	// trouble is what goes wrong at the hub.
	trouble trouble
}

// life is what a client truly did.
type life struct {
	order
	revision   revision
	begin, end time.Time
	// held is the time in which it was stopped.
	held uptime
	// heldAt is what of its revision was there by then.
	heldAt truth
	// ending is its exit status in words.
	ending string
	// done: it said itself that it had all.
	done bool
	// seen: progressd watched it for long enough to know who it was.
	seen bool
	// truth is what there was after it; changed says that bytes had come or
	// gone since the life before, moved that they may have.
	truth          truth
	changed, moved bool
}

func (o order) args() []string {
	args := o.files
	for _, pattern := range o.include {
		args = append(args, "--include", pattern)
	}
	return args
}

// want is the files that are asked for.
func (o order) want(path string) bool {
	f := hfcache.Filter{Include: o.include}
	if len(o.files) > 0 {
		f = hfcache.Filter{Include: o.files}
	}
	return f.Match(path)
}

// partly: not all of the repository is asked for.
func (o order) partly() bool { return len(o.files)+len(o.include) > 0 }

func (l *life) String() string {
	text := fmt.Sprintf("%s to %s  %s%s %s", l.begin.Format(clock), l.end.Format(clock), l.who(), l.trouble, strings.Join(l.args(), " "))
	if l.sig != 0 {
		text += fmt.Sprintf("  (%v after %v)", l.sig, l.after.Round(time.Millisecond))
	}
	if !l.held.from.IsZero() {
		at := l.heldAt
		text += fmt.Sprintf("  (held from %s to %s: linked=%d blobs=%d partials=%d)", l.held.from.Format(clock), l.held.to.Format(clock), at.linked, at.blobs, at.partials)
	}
	t := l.truth
	return text + fmt.Sprintf("\n    %s of %.7s: whole=%v wanted=%v listing=%v linked=%d/%d blobs=%d partials=%d gap=%v moved=%v",
		l.ending, l.revision.commit, t.whole, t.wanted, t.listing, t.linked, len(l.revision.files), t.blobs, t.partials, t.gap, l.moved)
}

// who names the client.
func (o order) who() string {
	if o.library && o.writer.kind == "" {
		return o.writer.name + " as library"
	}
	return o.writer.name
}

const clock = "15:04:05.000"

// live runs a client to its end and notes what became of it.
func (m *model) live(ctx context.Context, o order) (*life, error) {
	select {
	case m.world.clients <- struct{}{}:
		defer func() { <-m.world.clients }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	m.mu.Lock()
	former := m.content()
	l := &life{order: o, revision: m.newest(), begin: time.Now()}
	m.lives = append(m.lives, l)
	m.mu.Unlock()
	cmd, err := m.command(ctx, o)
	if err != nil {
		return nil, err
	}
	var complaint bytes.Buffer
	cmd.Stderr, cmd.SysProcAttr = &complaint, ownGroup()
	if o.trouble.path != "" {
		m.hub.Break(m.repo, o.trouble.path, o.trouble.fault)
		defer m.hub.Break(m.repo, o.trouble.path, hub.Fault{})
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start a client: %w", err)
	}
	l.treat(ctx, cmd, func() { l.heldAt = m.survey(l.revision, l.want) })
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := m.survey(l.revision, o.want)
	m.mu.Lock()
	defer m.mu.Unlock()
	l.end, l.done, l.truth = time.Now(), cmd.ProcessState.Success(), t
	l.ending = strings.TrimSpace(cmd.ProcessState.String() + " " + strings.TrimSpace(complaint.String()))
	l.changed = t.content != former
	// What the oldest generation leaves in the root can't be seen here.
	// Nor what an attempt brings that fails and takes its partial away.
	l.moved = l.changed || !l.done && (l.writer.outside() || l.trouble.path != "")
	l.seen = m.world.daemon.watched(l.begin, l.end) >= enough
	return l, nil
}

// content is what lay there when a client had ended last.
func (m *model) content() string {
	var last *life
	for _, l := range m.lives {
		if !l.end.IsZero() && (last == nil || l.end.After(last.end)) {
			last = l
		}
	}
	if r := m.removals; last == nil || len(r) > 0 && r[len(r)-1].at.After(last.end) {
		return ""
	}
	return last.truth.content
}

// treat does to a running client what its order says, and returns when it has
// ended. stopped is called while it is stopped.
func (l *life) treat(ctx context.Context, cmd *exec.Cmd, stopped func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // its state says all
	}()
	within := func(d time.Duration) bool {
		select {
		case <-ended:
			return true
		case <-ctx.Done():
			return true
		case <-time.After(d):
			return false
		}
	}
	if l.hold > 0 && !within(l.holdAfter) {
		l.held.from = time.Now()
		signalled(cmd, syscall.SIGSTOP)
		within(l.hold)
		stopped() // by now all of its threads are
		signalled(cmd, syscall.SIGCONT)
		l.held.to = time.Now()
	}
	if gate := l.trouble.fault.Gate; gate != nil {
		select {
		case <-gate.Reached():
			l.held.from = time.Now()
			within(l.trouble.hold)
			l.held.to = time.Now()
		case <-ended:
		case <-ctx.Done():
		}
		gate.Open()
	}
	if l.sig != 0 && !within(l.after) {
		signalled(cmd, l.sig)
	}
	<-ended
}

// signalled sends a signal to a process that may be gone.
func signalled(cmd *exec.Cmd, sig syscall.Signal) {
	err := cmd.Process.Signal(sig)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return
	}
}
