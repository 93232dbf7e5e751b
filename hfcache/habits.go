package hfcache

// A Habit is how one generation of a client writes a cache: what it leaves
// there, in which order, and what becomes of it when it is ended. Where
// nothing is said, it was seen with the real client; the rest was read in its
// source.
type Habit struct {
	// Name of the generation, as people say it, with its versions.
	Name string
	// Source says which version was seen or read, and where.
	Source string
	// Suffix is how the name of a partial in blobs/ ends; empty where none
	// lies there.
	Suffix string
	Stage  Stage
	Lock   LockPlace
	Fill   Fill
	Link   LinkTime
	// Atonce is how many files are in flight at most.
	AtOnce int
	Ways   Ways
	// LocalName is how it names the partials of a download into a directory
	// of its own.
	LocalName LocalNaming
}

// Stage is where a file lies until it is whole.
type Stage int

// The stages.
const (
	// InBlobs: beside the blobs.
	InBlobs Stage = iota
	// InRoot: tmpXXXXXXXX in the root of the cache.
	InRoot
	// InRootTmp: tmp/XXXXXXX in the root of the cache.
	InRootTmp
	// Outside of the cache; then it is copied to its blob, under the blob's
	// own name from the first byte on.
	Outside
)

// LockPlace is where the lock of a file lies while it is fetched.
type LockPlace int

// The places of locks.
const (
	NoLock LockPlace = iota
	// LockInDir: .locks/<folder>/<etag>.lock.
	LockInDir
	// LockBeside: blobs/<etag>.lock.
	LockBeside
	// LockOutside: .locks/<folder>/blobs/<etag>.lock.
	LockOutside
)

// Fill is how bytes get into a partial.
type Fill int

// The ways to fill a partial.
const (
	// Append: in order, a chunk at a time.
	Append Fill = iota
	// Bursts: in order, after pauses in which nothing comes up to 1.5 GiB at
	// once.
	Bursts
	// Scattered: in pieces that are written where they belong, in any order,
	// so that the length says nothing.
	Scattered
)

// LinkTime is when the link of a file in the snapshot is made.
type LinkTime int

// The times of links.
const (
	// LinkEach: when its file is whole, while the lock is held, if there is
	// one.
	LinkEach LinkTime = iota
	// LinkUnlocked: when its file is whole and its lock given back.
	LinkUnlocked
	// LinkAtEnd: when all files are whole.
	LinkAtEnd
	// LinkBatches: as LinkEach, but files that come by Xet are renamed and
	// linked when all of them are whole.
	LinkBatches
)

// LocalNaming is how the partial of a download into a directory of its own is
// named.
type LocalNaming int

// The namings.
const (
	// NoLocal: it does no such download, or none that lies there.
	NoLocal LocalNaming = iota
	// LocalByFile: <file>.<etag>.incomplete.
	LocalByFile
	// LocalByHash: <LocalHash of the file>.<etag>.incomplete.
	LocalByHash
)

// Ways are what else a client does, any of them together.
type Ways uint32

// The ways of clients.
const (
	// RandomName: each attempt has a partial of its own, <etag>.<8 hex>, and
	// goes on with none.
	RandomName Ways = 1 << iota
	// Resumes: it goes on with the partial that an attempt before has left.
	Resumes
	// KeepsOld: it writes from the beginning over what an attempt before has
	// left, without cutting it off.
	KeepsOld
	// Preallocates: the partial has its full length, and 8 bytes, at once.
	Preallocates
	// FullLength: the partial has its full length at once.
	FullLength
	// RemovesFailed: it removes the partial of a file that fails.
	RemovesFailed
	// Lists: it leaves a listing of the whole revision before the first byte,
	// unless it was asked for one file by name.
	Lists
	// FinishesFiles: at Ctrl-C the files in flight are finished.
	FinishesFiles
	// LocksLinks: it takes the lock of a file also where only the link is
	// missing.
	LocksLinks
	// RefLast: the ref is written after each file, not before. RefAtEnd: when
	// all are there.
	RefLast
	RefAtEnd
	// NoRef: it writes none.
	NoRef
	// RemovesLocks: the lock file goes when the blob is in its place.
	RemovesLocks
	// TwinsTwice: one content under two paths is fetched twice.
	TwinsTwice
	// LateSnapshot: the directory of the snapshot is made with the first link.
	LateSnapshot
	// Stores: what comes by Xet goes to the store that all repositories share.
	Stores
	// Commands: it has a command line that says what is wanted.
	Commands
)

// Has reports whether all of some ways are its.
func (h Habit) Has(ways Ways) bool { return h.Ways&ways == ways }

// hub is what all of huggingface_hub does.
const hub = FinishesFiles | Commands

// Habits are all generations that are known, by family and age.
var Habits = []Habit{
	{
		Name:   "huggingface_hub <= 0.18",
		Source: "0.17.3 seen: tmpXXXXXXXX in the root, blobs/<etag>.lock",
		Stage:  InRoot, Lock: LockBeside, AtOnce: 8, Ways: hub | TwinsTwice,
	}, {
		Name:   "huggingface_hub 0.19 to 0.22",
		Source: "0.21.4 seen",
		Stage:  InRoot, Lock: LockInDir, AtOnce: 8, Ways: hub | TwinsTwice,
	}, {
		Name:   "huggingface_hub <= 0.22 with resume_download",
		Source: "0.21.4 read: file_download.py, hf_hub_download",
		Suffix: ".incomplete", Lock: LockInDir, AtOnce: 8, Ways: hub | Resumes | TwinsTwice,
	}, {
		Name:   "huggingface_hub 0.23 to 0.35",
		Source: "0.26.5 seen",
		Suffix: ".incomplete", Lock: LockInDir, AtOnce: 8, Ways: hub | Resumes, LocalName: LocalByFile,
	}, {
		Name:   "huggingface_hub 0.36 to 1.17",
		Source: "0.36.2 and 1.16.4 seen",
		Suffix: ".incomplete", Lock: LockInDir, AtOnce: 8, Ways: hub | Resumes | LocksLinks, LocalName: LocalByHash,
	}, {
		Name:   "huggingface_hub 0.36 with hf_transfer",
		Source: "hf_transfer 0.1.9 seen",
		Suffix: ".incomplete", Lock: LockInDir, Fill: Scattered, AtOnce: 1, Ways: hub | RemovesFailed | LocksLinks, LocalName: LocalByHash,
	}, {
		Name:   "huggingface_hub 0.36 to 1.17 with hf_xet <= 1.2",
		Source: "hf_xet 1.2.0 in 0.36.2 seen",
		Suffix: ".incomplete", Lock: LockInDir, Fill: Scattered, AtOnce: 8, Ways: Commands | KeepsOld | LocksLinks, LocalName: LocalByHash,
	}, {
		Name:   "huggingface_hub 1.18 to 1.21",
		Source: "1.18 and 1.21.0 seen",
		Suffix: ".incomplete", Lock: LockInDir, AtOnce: 8, Ways: hub | RandomName | RemovesFailed | LocksLinks, LocalName: LocalByHash,
	}, {
		Name:   "huggingface_hub 1.18 to 1.21 with hf_xet <= 1.2",
		Source: "put together of the two",
		Suffix: ".incomplete", Lock: LockInDir, Fill: Scattered, AtOnce: 8, Ways: Commands | RandomName | RemovesFailed | LocksLinks, LocalName: LocalByHash,
	}, {
		Name:   "huggingface_hub >= 1.22",
		Source: "1.28.0 and 2.4.0 seen",
		Suffix: ".incomplete", Lock: LockInDir, AtOnce: 8, Ways: hub | RandomName | RemovesFailed | Lists | LocksLinks, LocalName: LocalByHash,
	}, {
		Name:   "huggingface_hub >= 1.22 with hf_xet >= 1.3",
		Source: "hf_xet 1.8.0 in 2.4.0 seen",
		Suffix: ".incomplete", Lock: LockInDir, Fill: Bursts, AtOnce: 8, Ways: hub | RandomName | RemovesFailed | Lists | LocksLinks, LocalName: LocalByHash,
	}, {
		Name:   "huggingface_hub >= 2.4 with the shared store",
		Source: "2.4.0 seen",
		Suffix: ".incomplete", Lock: LockInDir, Fill: Bursts, AtOnce: 8, Ways: hub | RandomName | RemovesFailed | Lists | LocksLinks | Stores, LocalName: LocalByHash,
	}, {
		Name:   "Rust hf-hub <= 0.3",
		Source: "0.3.2 read: api/sync.rs",
		Stage:  InRootTmp, AtOnce: 1, Ways: RefLast | TwinsTwice | LateSnapshot,
	}, {
		Name:   "Rust hf-hub <= 0.3 on tokio",
		Source: "0.3.2 read: api/tokio.rs",
		Stage:  InRootTmp, Fill: Scattered, AtOnce: 1, Ways: FullLength | RefLast | TwinsTwice | LateSnapshot,
	}, {
		Name:   "Rust hf-hub 0.4 and 0.5",
		Source: "0.5.0 seen",
		Suffix: ".part", Lock: LockBeside, Link: LinkUnlocked, AtOnce: 1, Ways: Resumes | RefLast | TwinsTwice | LateSnapshot,
	}, {
		Name:   "Rust hf-hub 0.4 and 0.5 on tokio",
		Source: "0.5.0 seen",
		Suffix: ".sync.part", Lock: LockBeside, Fill: Scattered, Link: LinkUnlocked, AtOnce: 1,
		Ways: Resumes | Preallocates | RefLast | TwinsTwice | LateSnapshot,
	}, {
		Name:   "Rust hf-hub >= 1.0",
		Source: "1.0.0 seen",
		Suffix: ".incomplete", Lock: LockInDir, AtOnce: 8, Ways: RefAtEnd | LateSnapshot,
	}, {
		Name:   "Rust hf-hub >= 1.0 by Xet",
		Source: "1.0.0 seen",
		Suffix: ".incomplete", Lock: LockInDir, Fill: Bursts, Link: LinkBatches, AtOnce: 8, Ways: RefAtEnd | LateSnapshot,
	}, {
		Name:   "huggingface.js",
		Source: "@huggingface/hub 2.17.5 seen",
		Suffix: ".incomplete", AtOnce: 1,
	}, {
		Name:   "llama.cpp",
		Source: "0.7.0 of Debian seen",
		Suffix: ".downloadInProgress", Link: LinkAtEnd, AtOnce: 8, Ways: Resumes | LateSnapshot,
	}, {
		Name:   "swift-huggingface",
		Source: "0.8.1 read: HubClient+Files.swift",
		Stage:  Outside, Lock: LockOutside, AtOnce: 8, Ways: RefLast | LateSnapshot,
	}, {
		Name:   "go-huggingface",
		Source: "0.3.1 seen",
		Suffix: ".downloading", Lock: LockBeside, Link: LinkUnlocked, AtOnce: 20, Ways: RemovesFailed | NoRef | RemovesLocks,
	},
}

// HabitOf is the habit of that name.
func HabitOf(name string) (Habit, bool) {
	for _, h := range Habits {
		if h.Name == name {
			return h, true
		}
	}
	return Habit{}, false
}
