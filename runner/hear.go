package runner

import (
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"progressd/capture"
	"progressd/child"
	"progressd/downloader"
	"progressd/hfcache"
	"progressd/tracker"
)

// A hearing turns what is heard of a program into reports on its download. While
// it isn't known which that is, they wait.
type hearing struct {
	// put takes the reports, in order, and what the repository is called. It
	// never waits.
	put func(r tracker.Report, name hfcache.Repo)
	// over is closed when all is said.
	over     chan struct{}
	conclude sync.Once
	screen   *screen
	hears    [2]*capture.Reader

	mu      sync.Mutex
	aim     aim
	process downloader.Process
	began   bool
	waiting []tracker.Words
	failed  bool   // an error was heard
	asked   string // the last signal that asks to end
}

// maxWaiting is how many words wait for a download to belong to: the newest.
const maxWaiting = 64

func newHearing(p aim, s *screen, put func(tracker.Report, hfcache.Repo)) *hearing {
	r := &hearing{aim: p, screen: s, put: put, over: make(chan struct{})}
	for i := range r.hears {
		r.hears[i] = capture.NewReader(r.tell)
	}
	return r
}

// started is told the program's pid. Its command line is taken from us: for a
// moment after execve(2) the kernel shows an empty one.
func (r *hearing) started(pid int) {
	process, err := downloader.ProcDir("/proc").Process(pid)
	if err != nil { // it has ended already
		process = downloader.Process{PID: pid, Command: r.aim.program}
	}
	process.Request, process.Loader = r.aim.request, r.aim.loader
	r.mu.Lock()
	defer r.mu.Unlock()
	r.process = process
	r.begin()
}

// begin reports the beginning as soon as it is known of what.
func (r *hearing) begin() {
	if r.began || r.process.PID == 0 || !r.aim.known() {
		return
	}
	r.began = true
	r.report(tracker.Report{Kind: tracker.RunBegan, Process: r.process, Only: r.aim.only})
	for _, words := range r.waiting {
		r.report(tracker.Report{Kind: tracker.RunSaid, Words: words})
	}
	r.waiting = nil
}

func (r *hearing) report(report tracker.Report) {
	report.Root, report.Repo, report.At = r.aim.Root, r.aim.Repo, time.Now()
	report.Words.Remedy = strings.ReplaceAll(report.Words.Remedy, "%s", r.aim.name.ID)
	report.Exit.Remedy = strings.ReplaceAll(report.Exit.Remedy, "%s", r.aim.name.ID)
	r.put(report, r.aim.name)
}

// target is the download, once that is known.
func (r *hearing) target() hfcache.Place {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.aim.Place
}

// found is told by which download the program was seen at work.
func (r *hearing) found(t hfcache.Place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.began {
		r.aim.Place = t
		r.aim.name = t.Repo
		r.begin()
	}
}

// sought is what a lookout needs: the download, or where to find it and the
// pid of the program, 0 if it hasn't begun.
func (r *hearing) sought() (p aim, pid int, began bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.aim, r.process.PID, r.began
}

func (r *hearing) printed(s child.Stream, p []byte) {
	if p == nil {
		r.hears[s].Lost(time.Now())
		return
	}
	if len(p) > 0 && !r.screen.terminal && s == child.Errors {
		r.screen.torn.Store(p[len(p)-1] != '\n')
	}
	r.hears[s].Read(p, time.Now())
}

func (r *hearing) paused(s child.Stream) { r.hears[s].Pause(time.Now()) }

func (r *hearing) closed(s child.Stream) { r.hears[s].Close(time.Now()) }

var levels = map[capture.Class]tracker.Level{
	capture.Event: tracker.Info, capture.Warning: tracker.Warning, capture.Error: tracker.Error,
}

// tell hands on what was understood of the output.
func (r *hearing) tell(m capture.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	words := tracker.Words{Level: levels[m.Class], Cause: string(m.Cause), Text: m.Text, Remedy: m.Remedy}
	r.failed = r.failed || m.Class == capture.Error
	if r.began {
		r.report(tracker.Report{Kind: tracker.RunSaid, Words: words})
		return
	}
	if len(r.waiting) == maxWaiting {
		r.waiting = slices.Delete(r.waiting, 0, 1)
	}
	r.waiting = append(r.waiting, words)
}

func (r *hearing) heardErrors() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// signalled notes who asks the program to end.
func (r *hearing) signalled(sig os.Signal) {
	if s, ok := sig.(syscall.Signal); ok && asksToEnd(sig) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.asked = signalName(s)
	}
}

func asksToEnd(sig os.Signal) bool {
	return slices.Contains([]os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}, sig)
}

func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return sig.String()
}

// settle begins with the likeliest download, if none was found before. It is
// false if there is none.
func (r *hearing) settle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.aim.suppose() {
		r.begin()
	}
	return r.began
}

// ended reports the end. The output has ended before.
func (r *hearing) ended(exit tracker.Exit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	exit.Asked = r.asked
	for _, s := range []child.Stream{child.Errors, child.Output} {
		if m, ok := r.hears[s].Suspect(); ok && exit.Cause == "" {
			exit.Cause, exit.Remedy = string(m.Cause), m.Remedy
		}
		if exit.Last == "" {
			exit.Last = r.hears[s].Last()
		}
	}
	r.report(tracker.Report{Kind: tracker.RunEnded, Exit: exit})
}

// concluded is called by the tracker when all is said.
func (r *hearing) concluded(string, hfcache.Repo) { r.conclude.Do(func() { close(r.over) }) }
