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
	// Connections is how many programs report, watch and ask through the socket
	// at once.
	Connections
	// Watches is how many directories the kernel watches. Beyond it, those of
	// that user are polled.
	Watches
	// Roots is how many roots are remembered. Beyond it, who has the most
	// forgets the one that was found the longest ago.
	Roots
	// Names is how many repositories are remembered. Beyond it, who has
	// the most forgets those whose last download is the longest ago.
	Names
	// Waiting is how many lines wait for the disk or the journal. Beyond
	// it, who has the most loses some, verdicts last.
	Waiting
	// Ends is how many downloads are remembered, those that are over and wait
	// for their last line among them. Beyond it, who has the most gives one up.
	Ends
	// Events is what the kernel tells of directories that are watched. Beyond
	// it, those of that user are polled.
	Events
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
	// Shown is how many downloads that have ended are shown.
	Shown
	// Kept is how many events are kept for who comes again.
	Kept
	// Unheard is how many verdicts are kept for a progressctl exec that comes again.
	Unheard
	// Counted is of how many roots, and of how many repositories, it is counted
	// what has come and what is left over.
	Counted

	resources
)

// A Limit is what there is of a resource. Of what is held and of what can be
// given up it is All, for all users together; of what comes time and again Rate
// a second, after Burst at once, for each user.
type Limit struct {
	All, Burst, Rate int64
	// Eighths say how much of what the others leave a user may hold: so many
	// eighths. None: it can be given up, or comes time and again.
	Eighths int64
}

// Parts of what the others leave.
const (
	quarter      = 2
	half         = 4
	sevenEighths = 7
)

// limits are those of every resource. docs/reliability.md has the same table.
var limits = [resources]Limit{
	Listings:    {All: 224 << 20, Eighths: half},
	Downloads:   {All: 4096, Eighths: half},
	Records:     {All: 64 << 20, Eighths: half},
	Connections: {All: 256, Eighths: quarter},
	Watches:     {Eighths: sevenEighths}, // all is what the kernel says: see Book.Has
	Roots:       {All: 1000},
	Names:       {All: 50_000},
	Waiting:     {All: 4096},
	Ends:        {All: 10_000},
	Events:      {Burst: 6000, Rate: 100},
	Looks:       {Burst: int64(12 * time.Second), Rate: int64(time.Second / 4)},
	Lines:       {Burst: 1000, Rate: 50},
	Reports:     {Burst: 400, Rate: 40},
	Hellos:      {Burst: 64, Rate: 2},
	Shown:       {All: 500},
	Kept:        {All: 1000},
	Unheard:     {All: 256},
	Counted:     {All: 1000},
}

// Limit of a resource.
func (r Resource) Limit() Limit { return limits[r] }

// resourceWords names each resource, and says what becomes of who is over the
// budget.
var resourceWords = [resources]struct{ name, effect string }{
	Listings:    {"memory for listings", "downloads are followed without a total"},
	Downloads:   {"downloads at once", "the others wait for one to end"},
	Records:     {"memory for records", "a restart may repeat or miss lines"},
	Connections: {"connections", "progressctl exec tells by itself, others are refused"},
	Watches:     {"watched directories", "the others are polled; more by fs.inotify.max_user_watches"},
	Roots:       {"remembered roots", "the oldest is forgotten"},
	Names:       {"remembered repositories", "the oldest are forgotten"},
	Waiting:     {"lines that wait", "some are dropped, verdicts last"},
	Ends:        {"downloads with lines that wait", "the oldest is given up"},
	Events:      {"events of the kernel", "directories are polled for a minute"},
	Looks:       {"processor time", "looks come less often"},
	Lines:       {"lines", "they come later"},
	Reports:     {"reports of progressctl exec", "some are dropped"},
	Hellos:      {"connections in a row", "some are refused"},
	Shown:       {"ended downloads that are shown", "the oldest is shown no more"},
	Kept:        {"events for who comes again", "the oldest is forgotten"},
	Unheard:     {"verdicts that no progressctl exec has heard", "they are in the log alone"},
	Counted:     {"roots and leftovers that are counted", "one is counted anew, or no more"},
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

// String is a limit in words: "128 MiB in all, half each", "50 a second after 1000".
func (l Limit) String() string {
	each := map[int64]string{quarter: ", a quarter each", half: ", half each", sevenEighths: ", seven eighths each"}[l.Eighths]
	switch {
	case l.Rate >= int64(time.Millisecond):
		return fmt.Sprintf("%v a second after %v", time.Duration(l.Rate), time.Duration(l.Burst))
	case l.Rate > 0:
		return fmt.Sprintf("%d a second after %d", l.Rate, l.Burst)
	case l.All == 0:
		return "what the kernel allows" + each
	case l.All >= 1<<20:
		return fmt.Sprintf("%d MiB in all", l.All>>20) + each
	default:
		return fmt.Sprintf("%d in all", l.All) + each
	}
}
