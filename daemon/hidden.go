package daemon

import (
	"fmt"
	"log/slog"

	"progressd/config"
)

// hidden is what it means that other users' processes can't be seen, and what to do.
const hidden = "other users' processes are hidden here (hidepid= of /proc, or ProtectProc=): who downloads isn't known, and that a downloader " +
	"has died is noticed by its silence only, after stall_after; mount /proc with hidepid=0, or with gid= of a group that the service is given: " +
	"\"systemctl edit progressd\" with [Service] SupplementaryGroups=GROUP"

// ProcessesHidden reports whether other users' processes can't be seen by whoever asks.
func ProcessesHidden() bool { return procDir.Hidden() }

// HiddenHint says what that means, and what to do.
func HiddenHint(set config.Settings) string {
	return fmt.Sprintf("%s; stall_after is %v", hidden, set.Download.StallAfter)
}

// WarnIfHidden says so in the diagnostics.
func WarnIfHidden(set config.Settings, log *slog.Logger) {
	if ProcessesHidden() {
		log.Warn(hidden, "stall_after", set.Download.StallAfter)
	}
}
