package watcher

import (
	"os"
	"strconv"
	"strings"

	"progressd/untrusted"

	"golang.org/x/sys/unix"
)

// shortage closes the gate after the kernel refused a watch, or the queue of
// events, for want of room. What is not watched is polled. The first time is
// told with what to do about it.
func (n *notifier) shortage(err error) {
	rest := backOff(n.rest, armingRests*n.rest, n.gate.times)
	n.gate.times++
	n.gate.closed = true
	n.gate.timer.Reset(rest)
	if n.gate.short {
		n.log.Debug("still no room for file system events", keyErr, err, "again_in", rest)
		return
	}
	n.gate.short = true
	name := "max_user_watches"
	if n.from == nil {
		name = "max_user_instances"
	}
	n.log.Warn("the kernel has no room for more file system events: what is not watched is polled; raise the limit",
		keyErr, reason(err), "sysctl", "fs.inotify."+name, "value", limit(name),
		"limit_of_namespace", namespaceLimit(name), "open_files", openFiles(), "again_in", rest)
}

// limit reads a limit of inotify. Units with ProcSubset=pid can't see it.
func limit(name string) string { return number("/proc/sys/fs/inotify/" + name) }

// namespaceLimit reads the limit of this user namespace, which binds as well.
func namespaceLimit(name string) string {
	return number("/proc/sys/user/max_inotify_" + strings.TrimPrefix(name, "max_user_"))
}

// mostWatches is how many directories this process may watch, 0 if that isn't known.
func mostWatches() int64 {
	const name = "max_user_watches"
	var most int64
	for _, text := range []string{limit(name), namespaceLimit(name)} {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 && (most == 0 || n < most) {
			most = n
		}
	}
	return most
}

func number(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	return untrusted.Path(strings.TrimSpace(string(text)))
}

func openFiles() uint64 {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0
	}
	return lim.Cur
}
