package sizer

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// network is what some file systems of a network show: directories keep the times
// that they got when they were made, no birth is known, and every look at a name
// finds another inode number, but for files that a process holds open.
type network struct {
	fsys.Real
	inodes atomic.Uint64
}

func (n *network) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	if err := n.Real.Fstatat(at, name, st, flags); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if name == "" {
			name = "."
		}
		made := unix.NsecToTimespec(n.Real.Birth(at, name))
		st.Mtim, st.Ctim = made, made
	}
	if !strings.HasSuffix(name, ".lock") {
		st.Ino = 1e6 + n.inodes.Add(1)
	}
	return nil
}

func (*network) Birth(int, string) int64 { return 0 }

// onNetwork is in the name of a test whose cache is on such a file system.
const onNetwork = "OnTheFileSystemOfANetwork"

func TestOnTheFileSystemOfANetwork(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"a download with a listing":               TestADownloadWithAListingIsFollowedFromItsFirstPartialToItsProof,
		"a link that is missing":                  TestAMissingLinkIsWaitedFor,
		"a small model done between two looks":    TestASmallModelDoneBetweenTwoLooksIsSeen,
		"complete at first sight":                 TestWhatIsCompleteAtFirstSightIsAtRest,
		"in flight at first sight":                TestWhatIsInFlightAtFirstSightIsPickedUp,
		"an orphan at first sight":                TestAnOrphanAtFirstSightIsLeftAloneUntilItGrows,
		"wanted by a command line":                TestCommandLineNarrowsWhatIsWanted,
		"without a listing":                       TestWithoutAListingTheSnapshotSaysWhatBelongsToIt,
		"dead attempts":                           TestDeadAttempts,
		"files in the snapshot themselves":        TestAFileMovedIntoTheSnapshotIsFinished,
		"files placed before":                     TestWhatWasPlacedBeforeIsThereAndNotNew,
		"copies of what is known":                 TestACopyOfAKnownBlobIsNoDownload,
		"a directory of its own":                  TestALocalDirIsFollowedFromItsFirstPartialToItsProof,
		"a small model in a directory of its own": TestASmallModelDoneInALocalDirBetweenTwoLooksIsSeen,
		"old clients that write into the root":    TestOldClientsWriteIntoTheRoot,
		"a blob left half copied":                 TestABlobThatWasLeftHalfCopiedIsAFailureWhoeverLinksIt,
		"looked at less often":                    TestWhatOnlyGrowsIsLookedAtLessOften,
		"locks read seldom":                       TestLocksAreReadSeldomWhileNothingComesOrGoes,
		"fetched anew after the verdict":          TestWhatIsFetchedAnewRightAfterTheVerdictIsADownloadOfItsOwn,
	} {
		t.Run(name, test)
	}
}

func TestASecondSmallModelOnTheFileSystemOfANetworkIsSeenToo(t *testing.T) {
	c := newCache(t)
	c.whole("a", 10, commitA, "a.bin")
	c.expect("the first", want{play: true, bytes: 10, arrived: 10, done: 1})
	c.conclude()
	c.expect("once", want{})
	c.whole("b", 20, commitA, "b.bin")
	l := c.expect("the second", want{play: true, bytes: 30, base: 10, arrived: 20, done: 2})
	if l.Failed != 0 {
		t.Errorf("look %+v", l)
	}
}

// The judge is done with a download, and before the look that closes it all of it is
// removed and fetched once more: same names, same sizes.
func TestWhatIsFetchedAnewRightAfterTheVerdictIsADownloadOfItsOwn(t *testing.T) {
	c := newCache(t)
	c.whole("a", mib, commitA, "a.bin")
	c.expect("the first", want{play: true, bytes: mib, arrived: mib, done: 1})
	c.now = c.now.Add(quiet)
	former := c.look()
	c.over = true
	c.nextTick()
	for _, path := range []string{c.in(demo, "blobs", etag("a")), c.in(demo, "snapshots", commitA, "a.bin")} {
		must(t, os.Remove(path))
	}
	c.whole("a", mib, commitA, "a.bin")
	l := c.expect("the second", want{play: true, bytes: mib, arrived: mib, done: 1})
	if l.Play == former.Play {
		t.Errorf("it is of the same play: %+v", l)
	}
}
