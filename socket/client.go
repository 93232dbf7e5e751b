package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"progressd/tracker"
)

const (
	dialTime = time.Second
	// takeTime is how long a daemon may take to answer: one that systemd is
	// starting is waited for.
	takeTime = 5 * time.Second
	forever  = 100 * 365 * 24 * time.Hour
)

// RefusedError says that a daemon is there and does not take a run.
type RefusedError struct {
	Why string
	// Later: it may, in a moment.
	Later bool
}

func (e *RefusedError) Error() string { return "progressd refuses: " + e.Why }

// Client reports one run to a daemon. Send and Receive may be called at the
// same time, each by one goroutine.
type Client struct {
	c  net.Conn
	in *reader
}

// Dial offers a run to the daemon at path. The error is a *RefusedError if one
// is there that doesn't take it. It waits for an answer as long as ctx lasts,
// and 5 s at most.
func Dial(ctx context.Context, path string, run Run) (*Client, error) {
	c, err := connect(ctx, path)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	client := &Client{c: c, in: &reader{c: c, in: newFrameBuffer(c)}}
	err = greet(c, hello{V: Version, Run: &run})
	var a Answer
	if err == nil {
		a, err = client.receive(takeTime)
	}
	switch {
	case err != nil:
	case a.Taken && a.V == Version:
		return client, nil
	default:
		err = &RefusedError{Why: bounded(a.Refused), Later: a.Later}
	}
	_ = c.Close()
	return nil, err
}

// greet says who comes, and for what. A daemon that has hung up already has said why it
// refuses: that is there to be read.
func greet(c net.Conn, h hello) error {
	err := answer(c, takeTime, h)
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// connect waits for its turn where many connect at once: the kernel doesn't
// queue one more than the daemon has said, and answers EAGAIN.
func connect(ctx context.Context, path string) (net.Conn, error) {
	ctx, stop := context.WithTimeout(ctx, dialTime)
	defer stop()
	var dialer net.Dialer
	for {
		c, err := dialer.DialContext(ctx, "unix", path)
		if !errors.Is(err, syscall.EAGAIN) || ctx.Err() != nil {
			return c, err
		}
		rest(ctx, 10*time.Millisecond)
	}
}

// Send reports what was said or how it ended. What the daemon does not take in
// time is an error: then the connection is of no more use.
func (c *Client) Send(r tracker.Report) error {
	var line report
	switch r.Kind {
	case tracker.RunSaid:
		line.Said = &said{Level: levels[r.Words.Level], Cause: bounded(r.Words.Cause), Text: bounded(r.Words.Text)}
	case tracker.RunEnded:
		e := r.Exit
		e.Last, e.Remedy = bounded(e.Last), ""
		line.Ended = &e
	default:
		return fmt.Errorf("cannot send a report of kind %d", r.Kind)
	}
	return answer(c.c, writeTime, line)
}

// Receive waits for the next line that was told, or the end of them.
func (c *Client) Receive() (Answer, error) { return c.receive(0) }

func (c *Client) receive(within time.Duration) (Answer, error) {
	if within == 0 {
		within = forever
	}
	line, err := c.in.line(within)
	if err != nil {
		return Answer{}, err
	}
	return parseAnswer(line)
}

// parseAnswer makes what a daemon says fit to be shown.
func parseAnswer(line []byte) (Answer, error) {
	var a Answer
	if err := json.Unmarshal(line, &a); err != nil {
		return Answer{}, errors.New("that is not a line of the protocol")
	}
	a.Line, a.Refused = bounded(a.Line), bounded(a.Refused)
	if a.Download != nil {
		*a.Download = a.Download.Printable()
	}
	return a, nil
}

// Close ends the connection; a waiting Receive returns.
func (c *Client) Close() { _ = c.c.Close() }
