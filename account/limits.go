package account

import (
	"fmt"
	"time"
)

// A Resource is something of the daemon that a user takes.
type Resource int

// The resources.
const (
	// Listings is memory for the file lists of revisions, in bytes. Beyond
	// it a download is followed without a total.
	Listings Resource = iota
	// Downloads is how many downloads are followed at once. Beyond it a
	// download waits until another of the same user has ended.
	Downloads
	// Records is what is remembered of downloads under way, in bytes. Beyond
	// it, a restart may repeat or miss lines of that user.
	Records
	// Connections is how many programs report through the socket at once.
	Connections
	// Names is how many repositories are remembered. Beyond it, who has
	// the most forgets those whose last download is the longest ago.
	Names
	// Waiting is how many lines wait for the disk or the journal. Beyond
	// it, who has the most loses some, verdicts last.
	Waiting
	// Looks is processor time for looking, in nanoseconds. Beyond it, the
	// caches of that user are looked at less often.
	Looks
	// Lines is how many lines are written. Beyond it, the lines of that
	// user wait, in a queue of their own.
	Lines
	// Reports is what programs say through the socket, in lines. Beyond it
	// they are dropped, and counted.
	Reports
	// Hellos is how often a program connects to the socket, to report, to ask or
	// to watch. Beyond it, it is sent away.
	Hellos

	resources
)

// A Limit is what there is of a resource. Of what is held and of what can be
// given up it is All, for all users together; of what comes time and again Rate
// a second, after Burst at once, for each user.
type Limit struct {
	All, Burst, Rate int64
}

// limits are those of every resource. docs/reliability.md has the same table.
var limits = [resources]Limit{
	Listings:    {All: 224 << 20},
	Downloads:   {All: 4096},
	Records:     {All: 64 << 20},
	Connections: {All: 256},
	Names:       {All: 50_000},
	Waiting:     {All: 4096},
	Looks:       {Burst: int64(12 * time.Second), Rate: int64(time.Second / 4)},
	Lines:       {Burst: 1000, Rate: 50},
	Reports:     {Burst: 400, Rate: 40},
	Hellos:      {Burst: 64, Rate: 2},
}

// Limit of a resource.
func (r Resource) Limit() Limit { return limits[r] }

// resourceWords names each resource, and says what becomes of who is over the
// budget.
var resourceWords = [resources]struct{ name, effect string }{
	Listings:    {"memory for listings", "downloads are followed without a total"},
	Downloads:   {"downloads at once", "the others wait for one to end"},
	Records:     {"memory for records", "a restart may repeat or miss lines"},
	Connections: {"connections", "progressctl exec tells by itself"},
	Names:       {"remembered repositories", "the oldest are forgotten"},
	Waiting:     {"lines that wait", "some are dropped, verdicts last"},
	Looks:       {"processor time", "looks come less often"},
	Lines:       {"lines", "they come later"},
	Reports:     {"reports of progressctl exec", "some are dropped"},
	Hellos:      {"connections in a row", "some are refused"},
}

func (r Resource) String() string { return resourceWords[r].name }

func (r Resource) effect() string { return resourceWords[r].effect }

// Resources are all there are, in the order of the documentation.
func Resources() []Resource {
	all := make([]Resource, resources)
	for i := range all {
		all[i] = Resource(i)
	}
	return all
}

// String is a limit in words: "128 MiB in all", "50 a second after 1000".
func (l Limit) String() string {
	switch {
	case l.Rate >= int64(time.Millisecond):
		return fmt.Sprintf("%v a second after %v", time.Duration(l.Rate), time.Duration(l.Burst))
	case l.Rate > 0:
		return fmt.Sprintf("%d a second after %d", l.Rate, l.Burst)
	case l.All >= 1<<20:
		return fmt.Sprintf("%d MiB in all", l.All>>20)
	default:
		return fmt.Sprintf("%d in all", l.All)
	}
}
