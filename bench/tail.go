package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A tail reads the log files of a directory as they grow, or the journal, and
// notes when each line could be read.
type tail struct {
	end  func()
	done chan struct{}

	mu    sync.Mutex
	logs  map[string]*tailed
	grown chan struct{} // closed and replaced when lines come
}

type tailed struct {
	offset int64
	rest   string
	lines  []stamped
}

type stamped struct {
	text string
	at   time.Time
}

// follow begins to read the logs of a directory, which must be there.
func follow(dir string) (*tail, error) { return followSome(dir, "") }

// followSome is follow for the logs whose names begin with that.
func followSome(dir, prefix string) (*tail, error) {
	watch, err := fsnotify.NewBufferedWatcher(4096)
	if err != nil {
		return nil, fmt.Errorf("cannot watch the logs: %w", err)
	}
	if err := watch.Add(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot watch the logs: %w", err), watch.Close())
	}
	t := newTail(func() { _ = watch.Close() })
	go t.run(watch, prefix)
	return t, nil
}

func newTail(end func()) *tail {
	return &tail{end: end, done: make(chan struct{}), logs: make(map[string]*tailed), grown: make(chan struct{})}
}

func (t *tail) close() {
	t.end()
	<-t.done
}

func (t *tail) run(watch *fsnotify.Watcher, prefix string) {
	defer close(t.done)
	go func() {
		for range watch.Errors {
		}
	}()
	for e := range watch.Events {
		if (e.Has(fsnotify.Create) || e.Has(fsnotify.Write)) && strings.HasPrefix(filepath.Base(e.Name), prefix) {
			t.read(e.Name)
		}
	}
}

func (t *tail) read(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	name := filepath.Base(path)
	log := t.logs[name]
	if log == nil {
		log = &tailed{}
		t.logs[name] = log
	}
	buf := make([]byte, 1<<16)
	for {
		n, err := f.ReadAt(buf, log.offset)
		now := time.Now()
		log.offset += int64(n)
		log.rest += string(buf[:n])
		for {
			line, rest, whole := strings.Cut(log.rest, "\n")
			if !whole {
				break
			}
			log.rest = rest
			log.lines = append(log.lines, stamped{line, now})
		}
		if err != nil {
			break
		}
	}
	close(t.grown)
	t.grown = make(chan struct{})
}

// patience is how long a line is waited for.
const patience = 60 * time.Second

// await gives the time at which a line with that text could be read, of those
// behind the first so many.
func (t *tail) await(ctx context.Context, log string, behind int, text string) (time.Time, error) {
	return t.within(ctx, patience, log, behind, text)
}

// within is await with another patience.
func (t *tail) within(ctx context.Context, patience time.Duration, log string, behind int, text string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		lines, grown := t.lines(log)
		for _, line := range lines[min(behind, len(lines)):] {
			if strings.Contains(line.text, text) {
				return line.at, nil
			}
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%s doesn't say %q: %w; it says %q", log, text, context.Cause(ctx), texts(lines))
		}
	}
}

func (t *tail) lines(log string) ([]stamped, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.logs[log]; l != nil {
		return l.lines, t.grown
	}
	return nil, t.grown
}

// count is how many lines a log has by now.
func (t *tail) count(log string) int {
	lines, _ := t.lines(log)
	return len(lines)
}

func texts(lines []stamped) []string {
	all := make([]string, len(lines))
	for i, line := range lines {
		all[i] = line.text
	}
	return all
}
