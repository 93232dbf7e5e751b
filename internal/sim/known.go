package sim

import (
	"slices"
	"strings"
)

// A knownFault is one of the daemon that was found here and is not mended yet:
// a rule that it breaks where something special is so. A life that shows no
// other isn't bad, but is counted. When the fault is mended its entry goes. None
// may hide a false success.
type knownFault struct {
	rules   string // separated by spaces
	special string // part of fault.kind
	why     string
}

// knownFaults are all of them.
var knownFaults = []knownFault{
	{"silence", "copied in", "what scp and rsync bring counts when it is whole, or not before it is linked"},
	{"truth", "copied in, unlinked blobs", "what scp has left half done under a blob's name counts, and so does what a client fetches in its place"},
	{"monotone silence false-stalled", "pruned", "what a client goes on to write to a partial that was taken away under it can't be seen"},
	{"false-interrupted wrong-verdict hasty truth", "forced", "what is fetched anew is told from what is there only while its lock is seen, or its file grows"},
	{"silence monotone", "strays in the root", "of files in the root nothing tells whose they are, where two clients that write in different ways are at one model, or the daemon was restarted twice"},
	{"monotone wrong-verdict", "two ways to write", "what a dead client has left beside the blobs counts, and so does what another one writes for the same into the root: when that is in its place there are fewer bytes"},
	{"silence false-stalled keepalive no-completed", "pieces by size alone", "pieces that fill holes can't be seen on a network file system"},
	{"silence", "staged in the root", "what huggingface_hub 0.19 to 0.22 writes into the root counts only at times beside others"},
	{"truth wrong-verdict no-completed", "no symlinks", "of two clients at files that lie in the snapshot themselves one leaves a blob that is taken for another file"},
	{"truth", "pieces begun anew", "where pieces are written all over a file, one that is begun anew in its place shows only when it is shorter, or has more"},
	{"silence truth monotone percent keepalive no-interrupted wrong-verdict", "local, two revisions", "two revisions that are fetched into one directory at a time take each other's files"},
	{"no-completed", "local", "a listing that comes into a directory of its own whose files came without one isn't taken at once"},
	{"no-keepalive", "a thread has failed", "whose thread has failed and removed what it had begun, and who waits for the hub with the others, shows nothing"},
	{"no-opening no-ended no-completed wrong-verdict cause", "clock set", "the first file that comes after the clock of a server was set back seems to have been there before; what came before that may be told again after a restart"},
	{"no-completed", "two revisions", "of two listed revisions at a time the one that was done last doesn't decide at once, while a program of their clients lives on or times tell little"},
}

// known is the entry that a fault belongs to, nil if it is a new one.
func (f fault) known() *knownFault {
	for i, k := range knownFaults {
		if slices.Contains(strings.Fields(k.rules), f.rule) && strings.Contains(f.kind, k.special) {
			return &knownFaults[i]
		}
	}
	return nil
}

// news are the faults that aren't known.
func news(faults []fault) []fault {
	return slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return f.known() != nil })
}
