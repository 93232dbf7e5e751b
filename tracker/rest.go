package tracker

import "progressd/sizer"

// AtRest judges a look at a repository in which no download is known to go on,
// taken as if all that there is had just come. whole says that all is there and
// Proof of the event how that is known; quiet reports, where nothing but quiet
// would prove it, whether there is any. last is the event that ended the last
// download, nil if none is remembered: what was proven then of the same files
// holds.
func AtRest(look sizer.Look, last *Event, quiet func() bool) (e Event, whole bool) {
	d := &download{now: look.At, look: look, seen: true}
	d.ep = Episode{Root: look.Root, Repo: look.Repo, Bytes: look.Bytes, Checkpoint: look.Checkpoint}
	d.drop()
	e = d.facts()
	e.Downloader, e.DownloaderAlive = nil, false
	if e.Proof = provenAtRest(look, last, quiet); e.Proof == sizer.NoProof {
		return e, false
	}
	e.Kind = Completed
	return e, true
}

func provenAtRest(look sizer.Look, last *Event, still func() bool) sizer.Proof {
	against := look.Partials > 0 || look.Unfinished > 0 || look.Unclaimed > 0 || look.Doubtful > 0 || look.Failed > 0
	switch {
	case look.Mismatched != nil, look.FilesDone == 0:
		return sizer.NoProof
	case look.Proof != sizer.NoProof:
		return look.Proof
	case against, !quiet(look):
		return sizer.NoProof
	case look.Settled != sizer.NoProof:
		return look.Settled
	case last != nil && unchanged(look, *last):
		return last.Proof
	case listed(look), look.ShardGap, look.Lacking, len(look.Revisions) == 0, !still():
		return sizer.NoProof // without a revision nobody knows what is lacking
	default:
		return ProvenByQuiet
	}
}

// unchanged reports whether the files are those that a download has completed
// with.
func unchanged(look sizer.Look, last Event) bool {
	return last.Kind == Completed && last.Proof != sizer.NoProof && len(look.Revisions) > 0 && look.Revisions[0] == last.Revision &&
		look.Bytes == last.Bytes && look.FilesDone == last.FilesDone
}
