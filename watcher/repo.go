package watcher

import (
	"sync"
	"sync/atomic"
	"time"

	"progressd/account"
	"progressd/fsys"
)

// blobsSuffix leads from a repository's folder to the directory whose time
// stamp moves whenever a file of a download comes or goes.
const blobsSuffix = "/blobs"

const (
	// eventGap is the least rest between two looks at one repository, and
	// between two listings of one root.
	eventGap = 50 * time.Millisecond
	// share: what took d of a core is followed by share*d of rest, so that
	// nothing, however large, takes more than a tenth of it for long. Time alone
	// counts once, and no more than a poll: it may have been a slow file system, or
	// that the machine slept meanwhile.
	share = 9
	// lookShare is the same for the looks at one repository, of which there may be
	// hundreds of thousands of files: no more than a seventy-fifth.
	lookShare = 74
	// credit is how much of that rest a repository may owe: a look at a
	// million blobs takes a second, and a download that begins right after
	// one, or a verdict, shall not wait for fifty.
	credit = 2 * time.Minute
	// costly is a look of which Options.AfterCostly is told.
	costly = 250 * time.Millisecond
	// drainGap bounds how often a storm of events wakes a root.
	drainGap = 5 * time.Millisecond
	// armPatience is how long a look waits for its watch to be armed,
	// firstArmPatience the first listing for that of the root.
	armPatience      = 100 * time.Millisecond
	firstArmPatience = time.Second
	// turns is in how many polls each repository that is watched is checked
	// all the same: a watch that has gone without a word (a lazy unmount, a
	// file system that tells of some changes only) is no more than a delay.
	turns = 4
	// stepBudget bounds how long first looks keep due ones waiting.
	stepBudget = 20 * time.Millisecond
	// pieceOfPass is how many repositories are checked between two looks
	// for what is due.
	pieceOfPass = 256
)

const (
	// localSuffix leads from a directory that --local-dir fills to its stage, in which the
	// partials lie; metaSuffix to where the stage will appear.
	localSuffix = metaSuffix + "/download"
	metaSuffix  = cacheSuffix + "/huggingface"
	cacheSuffix = "/.cache"
	// maxLocals bounds how many directories of one root are checked.
	maxLocals = 1024
)

// A repo is what is kept about one repository: some 180 bytes, its path
// included, for there may be ten thousand of them that rest.
type repo struct {
	// path is that of "<root>/<folder>/blobs", or of a local one's stage;
	// empty for the root itself.
	path string
	// listed is the inode by which the root's listing knew the folder.
	listed uint64
	// stamp is what the last visit saw; young, that it may have missed
	// something for the stamp's youth.
	stamp stamp
	watch watch
	// plan is nil for one that rests.
	plan    *plan
	mailbox *mailbox // of the root
	seen    uint16
	base    uint16 // where in path the folder begins
	turn    uint8  // at which of the polls it is checked though it is watched
	pace    Pace

	// local: it is a directory that --local-dir fills.
	local bool
	standing
}

// A standing is how a repository stands. young: its stamp may hide a change. looked: it was
// looked at. noisy: it told too much to be watched. gone: it isn't there any more.
type standing struct{ young, looked, noisy, gone bool }

// A plan is what there is to know of a repository that was visited just now, or
// will be. Times are since the runner began.
type plan struct {
	// due is when to visit, if heaped; rest is until when not to. paid is
	// when all looks so far will have had their rest; found when a local one
	// appeared.
	due, rest, paid, found time.Duration
	heaped                 int32 // index in the heap + 1
	fails                  uint8
	chain                  uint8
}

// where a watch belongs.
type where int8

// A stamp tells by one stat whether anything came or went.
type stamp struct {
	inode uint64
	mtime int64 // nanoseconds
	// names are those in a directory on the file system of a network, where
	// times may say nothing.
	names fsys.Tally
	where where
}

// A watch is the one that a repository at rest has.
type watch struct {
	inode           uint64
	generation, seq uint16
	where           where
	// waiting for the armer's answer to the request seq.
	waiting bool
}

// A mailbox takes what events and the armer have to say to one root's
// goroutine, or one pattern's. It holds at most one message for each directory,
// so it is bounded by what is watched, and putting never blocks.
type mailbox struct {
	wake    chan struct{}
	watches atomic.Int32
	// owner is whom watches and events are charged to: the user whose root it is of, for a
	// pattern see payerOf.
	owner account.User

	mu       sync.Mutex
	messages map[*repo]message
	// missed: events were lost, everything may have changed.
	missed bool
	// asked are the folders that somebody wants looked at.
	asked map[string]bool
}

// A message says what happened in one watched directory.
type message struct {
	// stormy: it told so much that it isn't watched any more.
	stormy bool
	// lost: the watch isn't on that path any more.
	lost bool
	// armed or refused is the answer to the request of that number.
	armed, refused uint16
}

func stampOf(e fsys.Entry, where where) stamp {
	return stamp{inode: e.Inode, mtime: e.Mtime.UnixNano(), where: where}
}

const (
	nowhere where = iota
	onRoot
	// onFolder: there is no blobs directory yet.
	onFolder
	onBlobs
	// onMeta: a local one has no stage yet.
	onMeta
)

// rel is the path in the root.
func (p *repo) rel() string { return p.path[p.base:] }

func (p *repo) folder() string {
	if p.local {
		return p.path[p.base : len(p.path)-len(localSuffix)]
	}
	return p.path[p.base : len(p.path)-len(blobsSuffix)]
}

// planned gives the plan, for something that has to be kept in it.
func (p *repo) planned() *plan {
	if p.plan == nil {
		p.plan = &plan{}
	}
	return p.plan
}

func (p *repo) heaped() bool { return p.plan != nil && p.plan.heaped > 0 }

// settle drops a plan that is over at t: one that says no more than none does.
func (p *repo) settle(t time.Duration) {
	plan := p.plan
	if plan == nil || p.local || plan.heaped > 0 {
		return
	}
	if max(plan.rest, plan.paid) <= t {
		p.plan = nil
	}
}

// pay books a look from start to end that has used so much of a processor: the
// next one waits as long as that took, but no longer than a poll, and for what is owed
// beyond the credit.
// The first look is free: it comes once, and what begins right after shall not
// wait for it.
func (p *repo) pay(start, end, used, poll time.Duration) {
	plan := p.planned()
	if p.looked {
		plan.paid = max(plan.paid, start) + (lookShare+1)*used
	}
	plan.rest = max(end+eventGap, end+min(end-start, poll), plan.paid-credit)
}

// watched reports whether events tell what becomes of what the stamp is of.
func (p *repo) watched() bool {
	return p.watch.where != nowhere && p.watch.where == p.stamp.where && !p.watch.waiting
}

// youngAt reports whether a stamp read at that time can hide a change. A
// stamp from the future is another machine's clock and proves nothing.
func (s stamp) youngAt(now time.Time) bool {
	age := now.UnixNano() - s.mtime
	return age < int64(fsys.Coarse) && age > -int64(fsys.Coarse)
}

func newMailbox(owner account.User) *mailbox {
	return &mailbox{owner: owner, wake: make(chan struct{}, 1), messages: make(map[*repo]message)}
}

// tell merges a change into the message about a directory.
func (p *repo) tell(change func(*message)) {
	b := p.mailbox
	b.mu.Lock()
	n := b.messages[p]
	change(&n)
	b.messages[p] = n
	b.mu.Unlock()
	b.rouse()
}

func (b *mailbox) miss() {
	b.mu.Lock()
	b.missed = true
	b.mu.Unlock()
	b.rouse()
}

func (b *mailbox) rouse() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take empties the mailbox.
func (b *mailbox) take() (messages map[*repo]message, missed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	missed, b.missed = b.missed, false
	if len(b.messages) == 0 {
		return nil, missed
	}
	messages, b.messages = b.messages, make(map[*repo]message)
	return messages, missed
}
