package sim

import (
	"slices"
	"strings"
)

// A knownFault is one of the daemon that was found here and is not mended yet:
// a rule that it breaks where something special is so. A life that shows no
// other isn't bad, but is counted. When the fault is mended its entry goes.
type knownFault struct {
	rules   string // separated by spaces; "*" is any
	special string // part of fault.kind
	why     string
}

// knownFaults are all of them.
var knownFaults = []knownFault{
	{"known", "", "a repository's folder that was renamed to another valid name is told as a download of that name"},
	{"cause keepalive silence", "renamed", "a folder that is moved away and back is told again"},
	{"false-completed hasty wrong-verdict truth silence", "copied in", "what scp and rsync bring isn't linked yet, or grows under its own name"},
	{"silence monotone percent truth false-stalled no-stalled no-completed no-keepalive wrong-verdict moving", "pruned", "a partial that is taken away under its client isn't told as such"},
	{"false-interrupted no-completed keepalive silence monotone truth percent hasty wrong-verdict", "forced", "what is fetched anew counts as there already"},
	{"false-ended false-completed", "hub waits", "a living script that waits for the hub is told as done"},
	{"wrong-verdict false-completed", "no weights, no symlinks", "files that lie in the snapshot themselves aren't asked whether they are weights"},
	{"wrong-verdict false-completed", "no weights, local", "files of a directory of its own aren't asked whether they are weights"},
	{"no-completed", "local", "in a directory of its own a model isn't known as whole by its kind, nor a newer listing at once"},
	{"silence keepalive false-completed no-completed no-ended no-interrupted wrong-verdict hasty truth total", "strays in the root", "of files in the root nothing tells whose they are"},
	{"silence no-completed false-stalled keepalive", "pieces by size alone", "pieces that fill holes can't be seen on a network file system"},
	{"no-opening false-stalled silence keepalive monotone truth", "staged in the root", "what huggingface_hub 0.19 to 0.22 writes into the root counts only at times"},
	{"*", "hub <= 0.18", "files in the root whose locks lie beside the blobs aren't claimed"},
	{"false-completed wrong-verdict hasty", "unlinked blobs", "blobs that no snapshot names count as complete"},
	{"truth monotone wrong-verdict false-interrupted false-completed false-ended percent no-interrupted no-completed keepalive silence", "no symlinks", "a second client at files that lie in the snapshot themselves"},
	{"*", "clock set", "times that lie ahead or behind are believed"},
	{"keepalive no-interrupted false-stalled moving silence wrong-verdict", "late blocks", "blocks that come after death are taken for bytes"},
	{"false-ended false-interrupted no-completed wrong-verdict", "two revisions", "of two listed revisions at a time the one that was done last doesn't decide"},
}

// known is the entry that a fault belongs to, nil if it is a new one.
func (f fault) known() *knownFault {
	for i, k := range knownFaults {
		rule := k.rules == "*" || slices.Contains(strings.Fields(k.rules), f.rule)
		if rule && strings.Contains(f.kind, k.special) {
			return &knownFaults[i]
		}
	}
	return nil
}

// news are the faults that aren't known.
func news(faults []fault) []fault {
	return slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return f.known() != nil })
}
