package state

import "progressd/account"

// What lies in a state directory.
const (
	lockFile      = "lock"
	rootsDir      = "roots"
	recordsSuffix = ".log"
)

// What is read, and so what is kept, has these bounds, and those of package account.
var (
	maxRoots    = int(account.Roots.Limit().All)
	maxEpisodes = int(account.Ends.Limit().All) // pending ones among them
	maxVerdicts = int(account.Shown.Limit().All)
)

// What is read of one line, one root and one episode has these.
const (
	maxLineBytes = 1 << 20
	maxBaselines = 16 // of one root
	maxPending   = 16 // of one episode
)

// What the version before has left in a state directory: one file for all
// roots and repositories, and one for each episode.
const (
	stateFile     = "state.json"
	episodesDir   = "episodes"
	episodeSuffix = ".json"
	maxStateBytes = 64 << 20
)
