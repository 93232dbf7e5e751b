// Package client writes a Hugging Face cache as huggingface_hub (HH) and the
// other clients (Other) do: the same files, locks, transients and renames in
// the same order, with the bytes from a hub over HTTP. It is for tests and the
// demo. What HH does was seen with the real versions, see Generation; what the
// others do was read in their sources, each named where it is.
package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"progressd/hfcache"
)

// Generation names a version of huggingface_hub from which on the cache is
// written in one way.
type Generation string

// The generations. The zero value is the newest.
const (
	// Trees (seen in 2.4) leaves a listing of the whole repository before
	// the first byte, gives each attempt a partial of its own and resumes
	// only within the attempt.
	Trees Generation = ""
	// HH118 (seen in 1.18) has partials of its own and no listing.
	HH118 Generation = "1.18"
	// HH036 (seen in 0.36) resumes <etag>.incomplete, as does what follows.
	HH036 Generation = "0.36"
	// HH023 (seen in 0.26) takes no lock for a mere symlink, and names the
	// partials of a download into a directory of its own by their files.
	HH023 Generation = "0.23"
	// HH022 (seen in 0.21) writes to tmpXXXXXXXX in the cache's root.
	HH022 Generation = "0.22"
)

// traits are in what the generations differ.
type traits struct {
	listing      bool // trees/<commit>.json
	atomicRef    bool // refs by rename, and not at all if unchanged
	cacheTag     bool // CACHEDIR.TAG
	ownPartial   bool // <etag>.<8hex>.incomplete, removed on failure
	rootPartial  bool // tmpXXXXXXXX in the root
	probeInBlobs bool // tmp_<uuid> lies in blobs/, else in the repo's folder
	lockForLink  bool // takes the lock for a mere symlink
	mendsCuts    bool // goes on after a broken connection
	localHash    bool // a hash stands for the file in a partial's name
}

var generations = map[Generation]traits{
	Trees: {listing: true, atomicRef: true, cacheTag: true, ownPartial: true, probeInBlobs: true, lockForLink: true, mendsCuts: true, localHash: true},
	HH118: {cacheTag: true, ownPartial: true, probeInBlobs: true, lockForLink: true, localHash: true},
	HH036: {lockForLink: true, localHash: true},
	HH023: {},
	HH022: {rootPartial: true},
}

// Stage is a moment of a download at which a test can look.
type Stage int

// The stages, in their order. The first two belong to the whole download.
const (
	// Listed: the listing is there (Trees only).
	Listed Stage = iota
	// Referred: refs/<revision> is there.
	Referred
	// Waiting: somebody else holds the file's lock. Once, if at all.
	Waiting
	// Locked: the file's lock is held, its partial is not yet there.
	Locked
	// Opened: the partial is there, empty or with what is to be resumed.
	Opened
	// Written: one more chunk is in the partial.
	Written
	// Probed: the umask probe lies beside the full partial.
	Probed
	// Renamed: the finished blob has its name; its symlink is not yet there.
	Renamed
	// Moved: the blob went to the shared store and nothing has its name.
	Moved
	// Linked: the symlink in the snapshot is there, the lock is held still.
	Linked
	// Unlocked: the file is done.
	Unlocked
)

// What ends a download before its time. Given as the cause of a cancelled
// context or returned by Pause.
var (
	// ErrKilled is SIGKILL: everything stops where it is, nothing is
	// tidied up but what the kernel does: files closed, locks gone. A
	// context cancelled without a cause means the same.
	ErrKilled = errors.New("killed")
	// ErrInterrupted is Ctrl-C: files in flight are finished, no other is
	// begun.
	ErrInterrupted = errors.New("interrupted")
)

// HH is a downloader. Its fields are not changed while it works; one HH may
// run several downloads, also at a time.
type HH struct {
	// Endpoint is the hub's address, Root the root of the cache.
	Endpoint, Root string
	// LocalDir is where the files go; empty is the cache. Only the ref of
	// the revision goes there in either case.
	LocalDir   string
	Generation Generation
	// Workers is how many files are in flight at most; 0 is 8.
	Workers int
	// Chunk is how many bytes are appended at a time; 0 is 10 MiB.
	Chunk int
	// Include selects files by their path; nil takes all.
	Include func(path string) bool
	// SharedStore publishes Xet files to ROOT/blobs and takes them from
	// there (Trees only).
	SharedStore bool
	// Transfer is how bytes get into a partial; Ahead and Burst are its
	// scale.
	Transfer Transfer
	// Ahead is how many pieces of Chunk bytes HFTransfer and XetSparse have
	// in flight, written in any order; 0 is 100.
	Ahead int
	// Burst is how many bytes XetBurst writes at once; 0 is 1.5 GiB.
	Burst int64
	// NoSymlinks leaves no link in the snapshot but the file itself, as on
	// a file system without symlinks, or with HF_HUB_DISABLE_SYMLINKS=1.
	NoSymlinks bool
	// RemoveLocks removes lock files when they are released, as some
	// versions of the lock library do.
	RemoveLocks bool
	// Pause is called at every stage, by several goroutines at a time. The
	// path is empty at the first two. An error of it fails the file.
	Pause func(ctx context.Context, at Stage, path string) error
	// Retries is how often in a row a broken connection is mended without
	// a byte gained, RetryWait how long that waits; 0 is 5 and 1 s.
	Retries   int
	RetryWait time.Duration
}

// download is one run of an HH over one repository.
type download struct {
	HH
	traits
	repo      hfcache.Repo
	dir       string // the repository's folder
	locks     string // the folder of its locks
	transport *http.Transport

	repoProbe, rootProbe sync.Once
}

func (h *HH) begin(repo hfcache.Repo) (*download, error) {
	t, ok := generations[h.Generation]
	if !ok {
		return nil, fmt.Errorf("cannot download %q: no generation %q", repo.ID, h.Generation)
	}
	folder := repo.Folder()
	d := &download{
		HH: *h, traits: t, repo: repo,
		dir:       filepath.Join(h.Root, folder),
		locks:     filepath.Join(h.Root, ".locks", folder),
		transport: &http.Transport{DisableCompression: true},
	}
	if d.Workers == 0 {
		d.Workers = 8
	}
	if d.Transfer == HFTransfer {
		d.Workers = 1
	}
	if d.Chunk == 0 {
		d.Chunk = 10 << 20
	}
	if d.Ahead == 0 {
		d.Ahead = 100
	}
	if d.Burst == 0 {
		d.Burst = 3 << 29
	}
	if d.Retries == 0 {
		d.Retries = 5
	}
	if d.RetryWait == 0 {
		d.RetryWait = time.Second
	}
	if d.Pause == nil {
		d.Pause = func(context.Context, Stage, string) error { return nil }
	}
	return d, nil
}

// Download brings a revision of a repository into the cache, as hf download
// and snapshot_download do, and returns the path of its snapshot.
func (h *HH) Download(ctx context.Context, repo hfcache.Repo, revision string) (string, error) {
	d, err := h.begin(repo)
	if err != nil {
		return "", err
	}
	defer d.transport.CloseIdleConnections()
	tree, err := d.list(ctx, revision)
	if err != nil {
		return "", fmt.Errorf("cannot list %q: %w", repo.ID, err)
	}
	if err := d.saveListing(ctx, tree); err != nil {
		return "", err
	}
	if err := d.saveRef(ctx, revision, tree.commit); err != nil {
		return "", err
	}
	var wanted []listed
	for _, f := range tree.files {
		if h.Include == nil || h.Include(f.Path) {
			wanted = append(wanted, f)
		}
	}
	return filepath.Join(d.dir, "snapshots", tree.commit), d.each(ctx, wanted, func(ctx context.Context, f listed) error {
		return d.bring(ctx, tree.commit, f)
	})
}

// DownloadFile brings one file, as hf_hub_download does: without a listing.
func (h *HH) DownloadFile(ctx context.Context, repo hfcache.Repo, revision, path string) (string, error) {
	d, err := h.begin(repo)
	if err != nil {
		return "", err
	}
	defer d.transport.CloseIdleConnections()
	about, err := d.head(ctx, revision, path)
	if err != nil {
		return "", fmt.Errorf("cannot ask about %q: %w", path, err)
	}
	if err := d.saveRef(ctx, revision, about.commit); err != nil {
		return "", err
	}
	return filepath.Join(d.dir, "snapshots", about.commit, filepath.FromSlash(path)),
		d.each(ctx, []listed{{Path: path}}, func(ctx context.Context, f listed) error {
			return d.bring(ctx, about.commit, f)
		})
}

// each does all files, some at a time, in their order. After a failure or an
// interrupt what is in flight is finished; after a kill all stops.
func (d *download) each(ctx context.Context, files []listed, do func(context.Context, listed) error) error {
	work, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	defer kill(nil)
	defer context.AfterFunc(ctx, func() {
		if !errors.Is(context.Cause(ctx), ErrInterrupted) {
			kill(ErrKilled)
		}
	})()
	var (
		group  sync.WaitGroup
		mu     sync.Mutex
		next   int
		failed error
	)
	take := func() (listed, bool) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil || ctx.Err() != nil || next == len(files) {
			return listed{}, false
		}
		next++
		return files[next-1], true
	}
	for range min(d.Workers, len(files)) {
		group.Go(func() {
			for f, ok := take(); ok; f, ok = take() {
				if err := do(work, f); err != nil {
					if errors.Is(err, ErrKilled) {
						kill(ErrKilled)
					}
					mu.Lock()
					failed = errors.Join(failed, fmt.Errorf("cannot download %q of %q: %w", f.Path, d.repo.ID, err))
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil && failed == nil {
		return context.Cause(ctx)
	}
	return failed
}

// killed reports whether an error is the end of the process rather than one
// that the real client would see and tidy up after.
func killed(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, ErrKilled)
}

// saveListing writes trees/<commit>.json unless it is there. Its mode stays
// that of a temporary file.
func (d *download) saveListing(ctx context.Context, tree tree) error {
	dir := d.dir
	if d.LocalDir != "" {
		dir = d.meta()
	}
	path := filepath.Join(dir, "trees", tree.commit+".json")
	if _, err := os.Stat(path); !d.listing || err == nil {
		return nil
	}
	text, err := tree.json()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(path), tempName()+".tmp")
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return d.Pause(ctx, Listed, "")
}

// saveRef writes refs/<revision>, in the manner of the generation.
func (d *download) saveRef(ctx context.Context, revision, commit string) error {
	if revision == commit {
		return nil
	}
	path := filepath.Join(d.dir, "refs", filepath.FromSlash(revision))
	if old, err := os.ReadFile(path); err == nil && string(old) == commit && d.atomicRef {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	target := path
	if d.atomicRef {
		target = path + "." + hex8() + ".tmp"
	}
	if err := os.WriteFile(target, []byte(commit), 0o666); err != nil {
		return err
	}
	if d.atomicRef {
		if err := os.Rename(target, path); err != nil {
			return err
		}
	}
	return d.Pause(ctx, Referred, "")
}
