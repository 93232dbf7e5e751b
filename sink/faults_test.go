package sink

import "testing"

// TestFaults holds the rows of the fault matrix that sinks answer for.
func TestFaults(t *testing.T) {
	t.Run("N1 hostile names", testHostileNames)
	t.Run("O1 journald gone", testJournalGone)
	t.Run("O1 socket full", testJournalFull)
	t.Run("O2 directory removed", testLogDirRemoved)
	t.Run("O2 disk full", testDiskFull)
	t.Run("O2 read-only", testReadOnly)
	t.Run("O3 short write", testShortWrite)
	t.Run("O4 rotation", testRotation)
	t.Run("O4 removed between opening and writing", testRemovedMeanwhile)
	t.Run("O5 refused", testRefused)
	t.Run("D14 killed anywhere", testKilledAnywhere)
	t.Run("N3 two logs", testTwoLogs)
	t.Run("O3 console torn", testConsoleTorn)
	t.Run("O6 closed pipe", testClosedPipe)
	t.Run("T3 zone changed", testZoneChanged)
}
