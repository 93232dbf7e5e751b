package sizer

import (
	"cmp"
	"slices"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
)

// Look is what one pass over one repository found. It is a value: nothing in
// it changes after it was handed on.
type Look struct {
	// Root is the path of the cache root.
	Root string
	Repo hfcache.Repo
	// At is when the pass began; it carries a monotonic reading.
	At time.Time

	// Gone: the repository's folder is no more. No other fact is set.
	Gone bool
	// Unreadable holds why the pass failed (EIO, EACCES, ...): the last
	// facts stand. Nil otherwise.
	Unreadable error
	// Rest is for how long no other look follows, for what this one has cost; 0
	// where it comes as it is ordered. Who looks fills it in.
	Rest time.Duration
	// InPlay: a download is, or lately was, under way. False for a repo
	// that merely lies there; then only Root, Repo, At and, of partials
	// that nobody has written to for a day, the orphans are set.
	InPlay bool
	// Play identifies this play among those of the repository; empty if
	// not InPlay. New bytes after a verdict may come in the same play.
	Play string

	// Revisions are the commits in flight, newest first; empty if unknown.
	Revisions []string
	// Base is how many of Bytes lay there before this play began.
	Base int64
	// Bytes of the download on disk, each unique blob once.
	Bytes int64
	// Arrived is what was newly written since the previous look, >= 0.
	Arrived int64
	// Total is in bytes; 0 means unknown.
	Total       int64
	TotalSource Source
	// Asked: the hub was asked for a listing in flight, and may yet answer.
	Asked bool
	// FilesDone and Files count paths where there is a listing, else
	// blobs; Files is 0 if unknown.
	FilesDone, Files int
	// Listed counts all paths of the listing that may be wanted: more than
	// Files where the total was narrowed. 0 without a listing.
	Listed int
	// InFlight are the files being written now, by name. At most 8: Partials
	// counts them all.
	InFlight []InFlight
	// Partials counts the live partials; Locked says that some lock of
	// this repository is held now.
	Partials int
	Locked   bool
	// Downloaders are the processes seen holding a lock in this play, and
	// Alive those of them that still run, by index.
	Downloaders []downloader.Process
	Alive       []bool
	// Stopped are the pids of those that live and do nothing until they are
	// continued (SIGSTOP, Ctrl-Z).
	Stopped []int

	// Orphans are partials of dead attempts; Unfinished counts those of
	// them whose blob isn't there, which speaks against completion.
	Orphans     int
	OrphanBytes int64
	Unfinished  int
	// OrphanAge is how long ago the orphan that is the longest untouched was
	// written to. Resumable counts those, of a repo at rest, that a client
	// which resumes would continue.
	OrphanAge time.Duration
	Resumable int
	// Failed counts the attempts seen to fail in this play: a partial
	// vanished and no blob came of it, and nothing has mended it since.
	Failed int
	Unsure
	Wanted
	// Mismatched is a finished blob whose size differs from the listing, or
	// that has holes.
	Mismatched *Mismatch
	// Room on the file system of the blobs; zero if unknown. Ahead is what
	// the partials take of it beyond what of them is written.
	Room  Room
	Ahead int64
	// Proof that the download is complete, if this look is one.
	Proof Proof
	Completeness

	// Checkpoint is what this package wants to be given back after a restart.
	Checkpoint Checkpoint `json:"Memory"` // as recordings have it
}

// Unsure is what a look can't tell for sure: why silence, or fewer bytes than before,
// prove nothing, and what may be of the download or not.
type Unsure struct {
	// Unseen: bytes may be coming that can't be counted, so that silence
	// proves nothing: a partial is written to and doesn't grow (hf_xet <= 1.2
	// over old content), one grows that doesn't count (its blob is there; another
	// revision has other content at its path), a file was put in its place, as
	// great as what was there of it, a client fetches outside of the cache (swift), a file grows in the
	// root that may be this repository's (Rust <= 0.3; huggingface_hub <= 0.22 at
	// several at once).
	Unseen bool
	// Recounting: of very many files only numbers are kept, and something has changed
	// since these were last counted anew. No end can rest on them yet.
	Recounting bool
	// Vanished: finished files are gone that were there at the look before. No
	// client does that: somebody deletes, and may not be done with it.
	Vanished bool
	// Doubled: a file that counted while it lay in the root has taken the place of
	// one that was there, and counted as well. What no longer counts isn't lost.
	Doubled bool
	// Unclaimed counts files in the root that were written to in this play
	// and may be its own: if so, it isn't complete.
	Unclaimed int
	// Doubtful counts what may be a file of this download that its client has left half
	// done, or nothing of the kind, and nobody will ever know: without a listing it isn't
	// called complete then. A file in the root that was written to in this play, and that
	// nobody was seen to write; a partial that has vanished where a file has another number
	// and time in its place (rclone).
	Doubtful int
}

// Wanted is what is wanted of a listing, and isn't there.
type Wanted struct {
	// WantedKnown: some command line says what is wanted.
	WantedKnown bool
	// Missing counts wanted listed files (all listed files if not
	// WantedKnown) that are not there; ShardGap says that numbered shards
	// (-00003-of-00012) are missing where there is no listing.
	Missing  int
	ShardGap bool
	// Absent are the largest files of the listing that are not there, at most 3.
	Absent []Absent
}

// Completeness is what speaks for and against an end, where no listing proves it.
type Completeness struct {
	// Unlinked counts finished blobs of it that no snapshot names, where there
	// is no listing: no client is done before its links are. Whole: what is
	// there is a whole model by its kind. Both only where nothing is in flight.
	Unlinked int
	Whole    bool
	// Settled is the proof that the download is complete, if it stays quiet.
	Settled Proof
	// Lacking: a program is known to load this model, and not all weights
	// are there that it surely wants; or nobody knows what is wanted of a
	// model, and there are none at all. Awaited: the program is known, and runs.
	Lacking, Awaited bool
}

// Mismatch is a finished blob of another size than listed, or one of which
// not all was ever written: then Holes is set, Got is what was, and Want what
// st_size says.
type Mismatch struct {
	Path      string
	Got, Want int64
	Holes     bool `json:",omitempty"`
}

// Absent is a listed file that is not there. Path is untrusted text, Size what
// is listed.
type Absent struct {
	Path string
	Size int64
}

// maxAbsent bounds how many files that are not there a look names.
const maxAbsent = 3

// InFlight is a file that is being written.
type InFlight struct {
	// Etag tells one file from another; Name is its path where known, else
	// its etag. Both are untrusted text.
	Etag, Name string
	// Bytes of it on disk, and its listed size; 0 if unknown.
	Bytes, Size int64
}

// maxInFlight bounds how many files in flight a look names.
const maxInFlight = 8

// named sorts files in flight by name and keeps the first of them.
func named(files []InFlight) []InFlight {
	slices.SortFunc(files, func(a, b InFlight) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Etag, b.Etag))
	})
	return slices.Clone(files[:min(len(files), maxInFlight)])
}

// Proof says why a download is known to be complete.
type Proof string

// The proofs that one look can give; see the tracker for the third.
const (
	NoProof Proof = ""
	// ProvenByListing: every file of the listing is there with its size.
	ProvenByListing Proof = "listing"
	// ProvenByRequest: every listed file that the downloader was seen to
	// want is there with its size.
	ProvenByRequest Proof = "request"
	// ProvenByLoader: all weights that the program is known to load are
	// there with their sizes; see Settled.
	ProvenByLoader Proof = "loader"
)

// Source says where a total comes from.
type Source string

// The sources of a total.
const (
	NoTotal Source = ""
	// FromListing is a tree listing, narrowed to what the downloader is
	// known to want.
	FromListing Source = "listing"
	// FromListingAtMost is a tree listing of which perhaps not all is
	// wanted: an upper bound.
	FromListingAtMost Source = "listing-upper-bound"
	// FromLoader is a tree listing narrowed to the weights that the program
	// is known to load, and what else of it has come so far: right for the
	// weights, an estimate for the small files.
	FromLoader Source = "listing-loader"
	// FromHabits is a tree listing without what is probably not wanted, by
	// what the downloader has begun: an estimate, which may prove too low.
	FromHabits Source = "listing-estimate"
	// FromHub and the others are the same of a listing that is not in the
	// cache: the hub was asked for it.
	FromHub       Source = "hub"
	FromHubAtMost Source = "hub-upper-bound"
	FromHubLoader Source = "hub-loader"
	FromHubHabits Source = "hub-estimate"
)

// AtMost reports whether a total of that source is an upper bound: perhaps
// not all of it is wanted.
func (s Source) AtMost() bool { return s == FromListingAtMost || s == FromHubAtMost }

// Loader reports whether a total of that source is what a program loads:
// exact but for small files.
func (s Source) Loader() bool { return s == FromLoader || s == FromHubLoader }

// Estimate reports whether a total of that source may prove too low.
func (s Source) Estimate() bool { return s.Loader() || s == FromHabits || s == FromHubHabits }
