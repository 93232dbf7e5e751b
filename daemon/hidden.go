package daemon

import (
	"fmt"
	"log/slog"

	"progressd/config"
)

// hidden is what it means that other users' processes can't be seen, and what to do.
const hidden = "other users' processes are hidden here (hidepid= of /proc, or ProtectProc=): who downloads isn't known, and that a downloader " +
	"has died is noticed by its silence only, after stall_after; mount /proc with hidepid=0, or with gid= of a group that the service is given (SupplementaryGroups=)"

// ProcessesHidden says that other users' processes can't be seen, and what to do;
// empty if they can.
func ProcessesHidden(set config.Settings) string {
	if !procDir.Hidden() {
		return ""
	}
	return fmt.Sprintf("%s; stall_after is %v", hidden, set.Download.StallAfter)
}

// WarnIfHidden says so in the diagnostics.
func WarnIfHidden(set config.Settings, log *slog.Logger) {
	if ProcessesHidden(set) != "" {
		log.Warn(hidden, "stall_after", set.Download.StallAfter)
	}
}
