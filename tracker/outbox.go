package tracker

// Position is where a verdict's line is about to be appended: the note that
// makes it appear exactly once, whatever kills the daemon. It is JSON in the
// state directory.
type Position struct {
	// Dev and Inode identify the log file, so that it is found again after
	// it was rotated away.
	Dev   uint64 `json:"dev"`
	Inode uint64 `json:"inode"`
	// Size is the file's size in bytes before the line.
	Size int64 `json:"size"`
	// Line is the exact text without its newline.
	Line string `json:"line"`
}

// Placement is where the line of one verdict goes.
type Placement struct {
	// Event is the verdict's id.
	Event string
	At    Position
}
