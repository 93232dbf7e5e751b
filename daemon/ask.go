package daemon

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"progressd/account"
	"progressd/fsys"
	"progressd/hfcache"
	"progressd/record"
	"progressd/sink"
	"progressd/sizer"
	"progressd/socket"
	"progressd/stream"
	"progressd/tracker"
	"progressd/untrusted"
	"progressd/watcher"
)

// asker answers how a repository stands, by the board where a download of it
// goes on, else by a look.
type asker struct {
	*stream.Board
	p *Pipeline
	// looks are those that go on: a file system that hangs must not be asked
	// again and again.
	looks chan struct{}
	// shedding: what it took to answer is about to be given back.
	shedding atomic.Bool
}

func newAsker(p *Pipeline) *asker {
	return &asker{Board: p.board, p: p, looks: make(chan struct{}, maxLooks)}
}

// shedAfter is how long after an answer what it took is given back, so that one
// who asks all the time costs nothing but the answers.
const shedAfter = 10 * time.Second

// shed gives back the code that it took to answer, which nobody needs for the
// next hours: 2.5 MB of it.
func (a *asker) shed() {
	if !a.shedding.Swap(true) {
		time.AfterFunc(shedAfter, func() {
			a.shedding.Store(false)
			a.p.shedText()
		})
	}
}

// Subscribe implements socket.Streams.
func (a *asker) Subscribe(by socket.Reader, w socket.Watch, repo hfcache.Repo) *socket.Subscription {
	defer a.shed()
	return a.Board.Subscribe(by, w, repo)
}

// maxLooks is how many looks for those who ask may go on at a time.
const maxLooks = 4

// Answer implements socket.Streams.
func (a *asker) Answer(by socket.Reader, repo hfcache.Repo, abort <-chan struct{}) []socket.Answered {
	defer a.shed()
	sees := a.p.rights().Of(by)
	var all []socket.Answered
	for _, root := range a.p.watcher.Status() {
		if !root.Present {
			continue
		}
		v := sees(root.Path)
		if v == stream.Nothing {
			continue
		}
		for _, key := range a.keys(root.Path, repo, v) {
			if d, ok := a.standing(root, key, v, account.User(by.UID), abort); ok {
				all = append(all, socket.Answered{Download: *v.Download(d), Lines: a.lines(root.Path, key)})
			}
		}
	}
	return all
}

// keys are those under which a repository may be in a root: its own, and those
// of directories that it was downloaded into.
func (a *asker) keys(root string, repo hfcache.Repo, v stream.Visibility) []hfcache.Repo {
	keys := []hfcache.Repo{repo}
	add := func(key hfcache.Repo) {
		for _, known := range keys {
			if known == key {
				return
			}
		}
		keys = append(keys, key)
	}
	for _, key := range a.Keys(root, repo) {
		add(key)
	}
	for _, verdict := range a.p.opts.Store.Verdicts() {
		if verdict.Root == root && verdict.Event.Repo == repo {
			add(verdict.Repo)
		}
	}
	if v == stream.Full && repo.Type == hfcache.Model {
		for _, rel := range []string{repo.ID, "."} {
			if key, ok := hfcache.LocalRepo(rel); ok && (rel == repo.ID || key.LocalName(root) == repo) {
				add(key)
			}
		}
	}
	return keys
}

// standing is how a repository stands in a root; false if nothing is known of
// it there that may be seen.
func (a *asker) standing(root watcher.RootStatus, key hfcache.Repo, v stream.Visibility, payer account.User, abort <-chan struct{}) (record.Download, bool) {
	if d, ok := a.Standing(root.Path, key); ok {
		return d, true
	}
	var last *tracker.Event
	if e, ok := a.p.opts.Store.Verdict(root.Path, key); ok {
		last = &e
	}
	if v == stream.Full && a.there(root, key) {
		if look := a.look(root, key, time.Time{}, payer, abort); look != nil {
			return a.judge(root, *look, last, payer, abort)
		}
	}
	if last == nil || time.Since(last.At) > 24*time.Hour {
		return record.Download{}, false
	}
	return record.Last(*last, a.p.form.Record(*last)), true
}

// judge says how a repository stands of which no download goes on.
func (a *asker) judge(root watcher.RootStatus, look sizer.Look, last *tracker.Event, payer account.User, abort <-chan struct{}) (record.Download, bool) {
	e, whole := tracker.AtRest(look, last, func() bool {
		quiet := time.Duration(a.p.set.Download.QuietAfter)
		lately := a.look(root, look.Repo, time.Now().Add(-quiet), payer, abort)
		return lately != nil && !lately.InPlay
	})
	if !whole && look.FilesDone == 0 && look.Bytes == 0 && look.Partials == 0 {
		return record.Download{}, false
	}
	if last != nil && look.Repo.Type == hfcache.Local {
		e.Repo = last.Repo
	}
	e.Namespace, e.Pod = a.p.podOf(root.Path)
	d := record.Download{State: record.Partial, Record: a.p.form.Record(e)}
	switch {
	case whole:
		d.State = record.Completed
	case last != nil && last.Kind == tracker.Ended:
		told := a.p.form.Record(*last)
		d.State, d.ID, d.Event, d.Level, d.Message = record.Ended, told.ID, told.Event, told.Level, told.Message
	default:
		d.Event, d.Level, d.Message = "", "", ""
	}
	if last != nil {
		d.Key = record.KeyOf(*last)
	}
	return d, true
}

// there reports whether a directory is in a root, without a link in its name's
// place.
func (a *asker) there(root watcher.RootStatus, key hfcache.Repo) bool {
	kernel := fsys.Kernel(fsys.Real{})
	if a.p.opts.Opener != nil {
		kernel = a.p.opts.Opener
	}
	defer kernel.Raise()()
	d, err := fsys.OpenUnlinked(kernel, root.Path)
	if err != nil {
		return false
	}
	defer d.Close()
	path := key.Folder()
	if key.Type == hfcache.Local {
		path += "/" + hfcache.LocalStage
	}
	e, err := d.LstatPath(path)
	return err == nil && e.IsDir()
}

// look looks at a repository as if all that came after since had just come; nil
// if that can't be done, or not in time.
func (a *asker) look(root watcher.RootStatus, key hfcache.Repo, since time.Time, payer account.User, abort <-chan struct{}) *sizer.Look {
	timeout := time.NewTimer(restPatience)
	defer timeout.Stop()
	select {
	case a.looks <- struct{}{}:
	case <-timeout.C:
		return nil
	case <-abort:
		return nil
	}
	found := make(chan *sizer.Look, 1)
	go func() {
		defer func() { <-a.looks }()
		found <- a.p.restOf(root, key, since, payer)
	}()
	select {
	case look := <-found:
		return look
	case <-timeout.C:
		return nil
	case <-abort:
		return nil
	}
}

const (
	// maxTail is how much of the end of a log is read, in bytes; tailLines how
	// many lines of it are shown.
	maxTail   = 4 << 10
	tailLines = 5
)

// lines are the last ones of a repository's log.
func (a *asker) lines(root string, key hfcache.Repo) []string {
	name := a.p.opts.Store.LogOf(root, key)
	if name == "" {
		return nil
	}
	tail, err := tailOf(sink.FindLog(a.p.set.LogDir, name, key.Within(root)))
	if err != nil {
		return nil
	}
	return tail
}

// tailOf reads the last lines of a file, but for one that isn't all there.
func tailOf(path string) ([]string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	from := max(info.Size()-maxTail, 0)
	text, err := io.ReadAll(io.NewSectionReader(f, from, maxTail))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	all := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if from > 0 {
		all = all[1:]
	}
	lines := make([]string, 0, tailLines)
	for _, line := range all[max(len(all)-tailLines, 0):] {
		if line != "" {
			lines = append(lines, untrusted.Quoted(line, maxTail))
		}
	}
	return lines, nil
}
