package runner

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

var quietLog = slog.New(slog.DiscardHandler)

// oomKills is how often the kernel has killed something in our cgroup, which
// is the program's as well, for want of memory; 0 where that can't be known
// (cgroup version 1).
func oomKills() int {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(own)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::/")
		if !ok {
			continue
		}
		events, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", path, "memory.events"))
		if err != nil {
			return 0
		}
		return eventCount(string(events), "oom_kill")
	}
	return 0
}

func eventCount(events, name string) int {
	for line := range strings.Lines(events) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	return 0
}
