// Package browser drives a headless Chromium, for tests and pictures of the page.
package browser

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Program is what is run.
const Program = "chromium"

// A Browser shows one page. It is for one goroutine.
type Browser struct {
	cmd     *exec.Cmd
	in      *os.File
	out     *bufio.Reader
	calls   int
	session string
}

// message is one of the DevTools protocol, which ends with a zero byte.
type message struct {
	ID        int             `json:"id,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    any             `json:"params,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Start starts a browser that keeps its files in dir. It ends with ctx.
func Start(ctx context.Context, dir string) (*Browser, error) {
	hears, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer hears.Close()
	out, says, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer says.Close()
	cmd := exec.CommandContext(ctx, Program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir="+dir)
	cmd.ExtraFiles = []*os.File{hears, says}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b := &Browser{cmd: cmd, in: in, out: bufio.NewReader(out)}
	if err := b.attach(); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Browser) attach() error {
	var target struct {
		TargetID string `json:"targetId"`
	}
	var session struct {
		SessionID string `json:"sessionId"`
	}
	err := b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	if err == nil {
		err = b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	}
	b.session = session.SessionID
	return err
}

// Close ends the browser with all of its processes: one that outlived it would go on
// writing to its directory, which is about to be removed.
func (b *Browser) Close() {
	_ = b.in.Close()
	group := -b.cmd.Process.Pid
	gone := syscall.Kill(group, syscall.SIGKILL)
	_ = b.cmd.Wait()
	for end := time.Now().Add(time.Second); gone == nil && time.Now().Before(end); <-time.After(time.Millisecond) {
		gone = syscall.Kill(group, 0)
	}
}

// call waits for the answer to a call.
func (b *Browser) call(method string, params, result any) error {
	b.calls++
	text, err := json.Marshal(message{ID: b.calls, Method: method, Params: params, SessionID: b.session})
	if err != nil {
		return err
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		text, err := b.out.ReadBytes(0)
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		var m message
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		switch {
		case m.ID != b.calls:
		case m.Error != nil:
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		case result != nil:
			return json.Unmarshal(m.Result, result)
		default:
			return nil
		}
	}
}

// A Look is how the page is looked at.
type Look struct {
	Width, Height int
	Dark          bool
}

// Open opens a page.
func (b *Browser) Open(url string, look Look) error {
	scheme := "light"
	if look.Dark {
		scheme = "dark"
	}
	return errors.Join(
		b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": look.Width, "height": look.Height, "deviceScaleFactor": 1, "mobile": false}, nil),
		b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]any{{"name": "prefers-color-scheme", "value": scheme}}}, nil),
		b.call("Page.navigate", map[string]any{"url": url}, nil),
	)
}

// Eval gives the text that a script gives.
func (b *Browser) Eval(script string) (string, error) {
	var r struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		ExceptionDetails *struct {
			Text string `json:"text"`
		} `json:"exceptionDetails"`
	}
	if err := b.call("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true}, &r); err != nil {
		return "", err
	}
	if r.ExceptionDetails != nil {
		return "", errors.New(r.ExceptionDetails.Text)
	}
	return fmt.Sprint(r.Result.Value), nil
}

// Until waits until a script gives "true".
func (b *Browser) Until(script string, patience time.Duration) error {
	for end := time.Now().Add(patience); ; <-time.After(50 * time.Millisecond) {
		got, err := b.Eval(script)
		if err == nil && got == "true" {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: is %q, %w", script, got, errors.Join(errors.New("not true in time"), err))
		}
	}
}

// Picture is what the page looks like, as PNG.
func (b *Browser) Picture() ([]byte, error) {
	var r struct {
		Data string `json:"data"`
	}
	if err := b.call("Page.captureScreenshot", map[string]any{"format": "png"}, &r); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(r.Data)
}
