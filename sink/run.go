package sink

import (
	"fmt"

	"progressd/tracker"
	"progressd/untrusted"
)

// sentenceLimit bounds a text of our own that holds a repository's id, which
// may be 193 bytes long.
const sentenceLimit = 512

// output is what the downloader has printed, led by its name.
func output(e tracker.Event) string {
	if e.Exit != nil {
		return exited(e)
	}
	return program(e) + ": " + untrusted.Name(e.Output)
}

// failed names the cause, and what to do about it where that is known.
func failed(e tracker.Event) string {
	return capitalized(noun(e.Repo)) + " download failed: " + whyFailed(e)
}

func whyFailed(e tracker.Event) string {
	switch {
	case e.Reason != "":
		return untrusted.Quoted(e.Reason, sentenceLimit)
	case e.Exit == nil:
		return untrusted.Name(e.Cause)
	}
	switch e.Cause {
	case tracker.CauseMemory:
		return program(e) + " was killed for want of memory" + disk(e)
	case tracker.CauseStall:
		return noNewData(e) + ", so " + program(e) + " was stopped"
	case tracker.CauseStopped:
		return "stopped by " + untrusted.Name(stoppedBy(*e.Exit))
	case tracker.CauseKilled:
		return program(e) + " was killed by " + untrusted.Name(e.Exit.Signal) + disk(e)
	case tracker.CauseIncomplete:
		return fmt.Sprintf("%s, but %d of %s are missing", ended(e), e.Files-e.FilesDone, count(e.Files, "file"))
	case tracker.CauseSize:
		return ended(e) + ", but " + differs(e)
	case tracker.CauseAbsent:
		return ended(e) + ", but nothing of the " + noun(e.Repo) + " is in the cache"
	default:
		return exited(e) + disk(e)
	}
}

func differs(e tracker.Event) string {
	if e.Mismatch == nil {
		return "a file's size differs from the listing"
	}
	return "the size of " + untrusted.Name(e.Mismatch.Path) + " differs from the listing"
}

func stoppedBy(exit tracker.Exit) string {
	if exit.Asked != "" {
		return exit.Asked
	}
	return "SIGINT" // what exit status 130 stands for
}

// exited is how it ended, with its last word.
func exited(e tracker.Event) string {
	if e.Exit.Last == "" {
		return ended(e)
	}
	return ended(e) + ": " + untrusted.Name(e.Exit.Last)
}

func ended(e tracker.Event) string {
	if e.Exit.Signal != "" {
		return program(e) + " was killed by " + untrusted.Name(e.Exit.Signal)
	}
	return fmt.Sprintf("%s ended with exit status %d", program(e), e.Exit.Status)
}

func program(e tracker.Event) string {
	if e.Program == "" {
		return "the downloader"
	}
	return untrusted.Name(e.Program)
}
