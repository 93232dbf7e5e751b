package downloader

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"progressd/kubepod"
)

const (
	// maxCommandLine bounds what is read of a command line, in bytes. One
	// that is longer is not parsed at all.
	maxCommandLine = 64 << 10
	// maxProcFile bounds the small files of /proc/PID, in bytes.
	maxProcFile = 16 << 10
)

// Process reads what a process's directory tells.
func (d ProcDir) Process(pid int) (Process, error) { return d.process(pid, own) }

// process is Process, with what is needed beside /proc.
func (d ProcDir) process(pid int, beside beside) (Process, error) {
	before, err := d.readStat(pid)
	if err != nil {
		return Process{}, err
	}
	argv := d.readCommandLine(pid)
	p := Process{
		PID:     pid,
		Started: before.started,
		Command: shortName(before.comm, argv),
		User:    d.readUser(pid),
		Request: ParseRequest(argv),
		Loader:  ParseLoader(argv),
	}
	cgroup, _ := readBounded(d.file(pid, "cgroup"), maxProcFile) // one that can't be read names nothing
	p.Unit, p.Container = parseUnit(cgroup), parseContainer(cgroup)
	p.Namespace, p.Pod = podName(kubepod.Logs, kubepod.OfProcess(cgroup), beside.raise)
	if p.Container == "" {
		p.User = userName(beside.open, passwd, p.User)
	}
	if p.Request == nil && p.Loader == nil {
		p.Loader = d.inheritedLoader(before.parent)
	}
	after, err := d.readStat(pid)
	if err != nil {
		return Process{}, err
	}
	if after.started != before.started {
		return Process{}, fmt.Errorf("cannot read process %d: it ended: %w", pid, fs.ErrNotExist)
	}
	// It is kept as long as the download: not so the files these are parts of.
	for _, part := range []*string{&p.Command, &p.Unit, &p.Container, &p.User, &p.Namespace, &p.Pod} {
		*part = strings.Clone(*part)
	}
	return p, nil
}

// Began is when the process started, by the wall clock that shows now while the
// machine is up for so long, to a hundredth of a second.
func (p Process) Began(now time.Time, up time.Duration) time.Time {
	// USER_HZ is 100 on every architecture that Linux still has.
	const tick = 10 * time.Millisecond
	return now.Add(time.Duration(p.Started)*tick - up) //nolint:gosec // far from 2^63
}

// State is what a process does.
type State int

// The states of a process. Stopped is one that was stopped by SIGSTOP, Ctrl-Z
// or a debugger, and does nothing until it is continued.
const (
	Gone State = iota
	Running
	Stopped
)

// State reads the process's state.
func (d ProcDir) State(p Process) State {
	s, err := d.readStat(p.PID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Gone
	case err != nil:
		return Running
	case s.started != p.Started:
		return Gone
	default:
		return s.state
	}
}

// stat is what is of interest in /proc/PID/stat.
type stat struct {
	comm    string
	state   State
	started uint64
	parent  int
}

func (d ProcDir) readStat(pid int) (stat, error) {
	text, err := readBounded(d.file(pid, "stat"), maxProcFile)
	// A process that ends between open and read gives ESRCH.
	if errors.Is(err, unix.ESRCH) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return stat{}, fmt.Errorf("cannot read process %d: %w", pid, err)
	}
	s, ok := parseStat(text)
	if !ok {
		return stat{}, fmt.Errorf("cannot read process %d: stat is not understood", pid)
	}
	return s, nil
}

// parseStat knows "pid (comm) state ppid ...": comm is whatever the process
// chose, parentheses included, so the last one ends it.
func parseStat(text string) (stat, bool) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return stat{}, false
	}
	// The first field after comm is number 3, the state; the start time is 22.
	const state, parent, startTime = 0, 1, 22 - 3
	var fields [startTime + 1]string
	if leadingFields(text[end+1:], fields[:]) < len(fields) {
		return stat{}, false
	}
	started, err := strconv.ParseUint(fields[startTime], 10, 64)
	if err != nil {
		return stat{}, false
	}
	// Without a parent that can be read it has none.
	ppid, _ := strconv.Atoi(fields[parent])
	return stat{comm: text[open+1 : end], state: parseState(fields[state]), started: started, parent: ppid}, true
}

// parseState knows the letters of proc_pid_stat(5).
func parseState(letter string) State {
	switch letter {
	case "Z", "X", "x":
		return Gone
	case "T", "t":
		return Stopped
	default:
		return Running
	}
}

// readCommandLine returns nil for one that is hidden, empty or too long.
func (d ProcDir) readCommandLine(pid int) []string {
	text, err := readBounded(d.file(pid, "cmdline"), maxCommandLine)
	if err != nil || text == "" || len(text) == maxCommandLine {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")
}

// podName is what the pod of that uid is called; empty if this machine doesn't say.
func podName(logs, uid string, raise func() (lower func())) (namespace, name string) {
	if uid == "" {
		return "", ""
	}
	defer raise()()
	pods, err := kubepod.All(logs)
	if err != nil {
		return "", ""
	}
	return pods[uid].Namespace, pods[uid].Name
}

// parseUnit finds the unit in the lines of /proc/PID/cgroup: the innermost
// service or scope of the unified hierarchy ("0::/system.slice/x.service"),
// else of systemd's own in the old one ("1:name=systemd:/...").
func parseUnit(text string) string {
	for _, mark := range []string{":", "name=systemd:"} {
		for line := range strings.Lines(text) {
			_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
			path, ok := strings.CutPrefix(rest, mark)
			if !ok {
				continue
			}
			if unit := innermostUnit(path); unit != "" {
				return unit
			}
		}
	}
	return ""
}

func innermostUnit(path string) string {
	unit := ""
	for name := range strings.SplitSeq(path, "/") {
		if validUnit(name) {
			unit = name
		}
	}
	return unit
}

// validUnit accepts the names of services and scopes with the characters that
// systemd allows.
func validUnit(name string) bool {
	stem, ok := strings.CutSuffix(name, ".service")
	if !ok {
		stem, ok = strings.CutSuffix(name, ".scope")
	}
	if !ok || stem == "" || len(name) > 255 {
		return false
	}
	return !strings.ContainsFunc(stem, func(r rune) bool {
		alnum := '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		return !alnum && !strings.ContainsRune(`:-_.\@`, r)
	})
}
