package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
	"progressd/internal/simfs"
)

// The truth about a repository is what was done to it.
type truth struct {
	w    *world
	repo *repository

	mu      sync.Mutex
	records []*record
	deeds   []deed
	losses  []loss
	// counters are what preallocated partials say of themselves.
	counters map[string]int64
	// sizes: how much of a file is written, its length alone tells here: the
	// counts of blocks of network file systems are late, or made up.
	sizes bool
	// lastByte is when one was last written.
	lastByte time.Time
}

// A loss is bytes that were on disk and are no more.
type loss struct {
	at    time.Time
	etag  string
	bytes int64
}

// A deed is what an operator, or a disk, did to the repository.
type deed struct {
	at   time.Time
	what string
}

// A record is what one client truly did.
type record struct {
	*client
	number int

	mu                     sync.Mutex
	beganAt                time.Time
	lockedAt               time.Time // first
	holds                  []*span   // its locks, each for itself
	visibleAt              time.Time // its first partial, or blob
	lastByteAt             time.Time // of those that weren't there
	lastWriteAt            time.Time
	linkedAt               time.Time // last
	failedAt               time.Time // the first of its threads
	doneAt                 time.Time // its work, well or not
	goneAt                 time.Time // the process
	stoppedAt, proceededAt time.Time
	// lastBefore is the last byte before it was stopped.
	lastBefore time.Time
	// disk is what there was when its work was done.
	disk    disk
	outcome error
	over    bool
	bytes   int64
	// times are when bytes were written, to 50 ms.
	times []time.Time
}

// grain is how exactly it is noted when bytes were written.
const grain = 50 * time.Millisecond

// byteBefore is when a byte was last written before some time; zero if none was.
func (r *record) byteBefore(at time.Time) time.Time {
	i, found := slices.BinarySearchFunc(r.times, at, time.Time.Compare)
	switch {
	case found:
		return at
	case i == 0:
		return time.Time{}
	}
	return r.times[i-1]
}

func newTruth(w *world, repo *repository) *truth {
	return &truth{w: w, repo: repo, counters: map[string]int64{}}
}

func (t *truth) begin(c *client) *record {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &record{client: c, number: len(t.records) + 1, beganAt: time.Now()}
	t.records = append(t.records, r)
	return r
}

// name is what the story calls the client.
func (r *record) name() string { return fmt.Sprintf("client %d of %s", r.number, r.repo.key().ID) }

func (r *record) linked() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.linkedAt = time.Now()
}

// failing notes that one of the client's threads has failed: it begins no other file.
func (r *record) failing() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failedAt = time.Now()
}

// opening notes that a partial is about to be opened.
func (r *record) opening(etag, partial string, how int) {
	r.mu.Lock()
	if r.visibleAt.IsZero() {
		r.visibleAt = time.Now()
	}
	r.mu.Unlock()
	if r.habit.Stage == hfcache.InRoot || r.habit.Stage == hfcache.InRootTmp {
		r.repo.truth.w.makes(partial, r, etag)
	}
	if how&simfs.Trunc != 0 {
		r.discarding(etag, partial)
	}
}

// discarding notes that what a partial holds is about to be lost.
func (r *record) discarding(etag, partial string) {
	var st unix.Stat_t
	if r.fs.Lstat(partial, &st) == nil && st.Size > 0 {
		r.losing(etag, st.Size)
	}
}

func (r *record) losing(etag string, bytes int64) { r.repo.truth.lose(etag, bytes) }

func (t *truth) lose(etag string, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.losses = append(t.losses, loss{time.Now(), etag, bytes})
}

// wrote notes bytes that a client has written; fresh: none were there before.
func (r *record) wrote(n int64, fresh bool) { //nolint:revive // two facts of one write
	r.mu.Lock()
	r.bytes += max(n, 0)
	if n > 0 {
		r.lastWriteAt = time.Now()
	}
	if n <= 0 || !fresh {
		r.mu.Unlock()
		return
	}
	r.lastByteAt = time.Now()
	if last := len(r.times) - 1; last < 0 || r.lastByteAt.Sub(r.times[last]) >= grain {
		r.times = append(r.times, r.lastByteAt)
	}
	r.mu.Unlock()
	t := r.repo.truth
	t.mu.Lock()
	t.lastByte = time.Now()
	t.mu.Unlock()
}

// written is how much the client has written.
func (r *record) written() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes
}

// finish notes how the client's work ended.
func (r *record) finish(err error) {
	disk := r.repo.truth.survey()
	r.mu.Lock()
	r.doneAt, r.outcome, r.over, r.disk = time.Now(), err, true, disk
	bytes := r.bytes
	r.mu.Unlock()
	how := "has all it wanted"
	switch {
	case errors.Is(err, errKilled):
		how = "is dead"
	case err != nil:
		how = "gives up"
	}
	r.tell("%s %s, after %d bytes", r.name(), how, bytes)
}

func (r *record) gone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.goneAt = time.Now()
}

func (t *truth) committed(etag string) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counters[etag]
}

func (t *truth) commit(etag string, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counters[etag] = bytes
}

// did notes what was done to the repository.
func (t *truth) did(format string, args ...any) {
	t.mu.Lock()
	t.deeds = append(t.deeds, deed{time.Now(), fmt.Sprintf(format, args...)})
	t.mu.Unlock()
	t.w.tell(format, args...)
}

// A disk is what lies there of a repository at one time.
type disk struct {
	gone bool
	// blobs are the finished files by etag, partials the unfinished ones.
	blobs    map[string]int64
	partials []partialFile
	// links are the etags in a snapshot, by commit and path.
	links map[string]map[string]string
	// places are the files of a directory of its own by their paths, and by commit
	// and path files that lie in a
	// snapshot themselves, by path.
	places   map[string]int64
	listings map[string]bool
	// strays are files in the root that clients write or leave there; open are those of them
	// that may well be this repository's. unnoted are files in a directory of its own that
	// nothing says to be a client's.
	strays, open, unnoted int
}

type partialFile struct {
	path, etag string
	written    int64
	modified   time.Time
}

// survey looks at what is there, by no way of the daemon's.
func (t *truth) survey() disk {
	d := disk{
		blobs: map[string]int64{}, links: map[string]map[string]string{},
		places: map[string]int64{}, listings: map[string]bool{},
	}
	dir := t.repo.dir()
	t.surveyRoot(&d)
	if !t.w.fs.Witness().Has(dir) {
		d.gone = true
		return d
	}
	if t.repo.local != "" {
		t.surveyLocal(&d)
		return d
	}
	for _, name := range t.names(dir + "/blobs") {
		var st unix.Stat_t
		p := dir + "/blobs/" + name
		if t.w.fs.Witness().Lstat(p, &st) != nil {
			continue
		}
		switch b := hfcache.ParseBlob(name); b.Kind {
		case hfcache.Finished:
			if st.Mode&unix.S_IFMT == unix.S_IFLNK {
				_ = t.w.fs.Witness().Lstat(t.repo.root+"/blobs/"+t.storedName(p), &st)
			}
			d.blobs[name] = t.written(st) // what has holes isn't all there
		case hfcache.Partial:
			d.partials = append(d.partials, partialFile{p, b.Etag, t.written(st), time.Unix(st.Mtim.Unix())})
		default:
		}
	}
	for _, commit := range t.names(dir + "/snapshots") {
		d.links[commit] = map[string]string{}
		t.surveySnapshot(&d, commit, "")
	}
	for _, name := range t.names(dir + "/trees") {
		if commit, ok := strings.CutSuffix(name, ".json"); ok {
			d.listings[commit] = true
		}
	}
	return d
}

// written is how much of a file is.
func (t *truth) written(st unix.Stat_t) int64 {
	if t.sizes {
		return st.Size
	}
	return min(st.Size, 512*st.Blocks)
}

// storedName is where the link of a blob in the store leads, within the store.
func (t *truth) storedName(p string) string {
	text := t.w.fs.Witness().Readlink(p)
	return strings.TrimPrefix(text, "../../blobs/")
}

func (t *truth) names(dir string) []string {
	return t.w.fs.Witness().Names(dir)
}

func (t *truth) surveySnapshot(d *disk, commit, beneath string) {
	dir := t.repo.dir() + "/snapshots/" + commit
	for _, name := range t.names(dir + beneath) {
		rel := strings.TrimPrefix(beneath+"/"+name, "/")
		var st unix.Stat_t
		if t.w.fs.Witness().Lstat(dir+"/"+rel, &st) != nil {
			continue
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			t.surveySnapshot(d, commit, "/"+rel)
		case unix.S_IFLNK:
			text := t.w.fs.Witness().Readlink(dir + "/" + rel)
			d.links[commit][rel] = text[strings.LastIndexByte(text, '/')+1:]
		default:
			d.places[commit+"/"+rel] = t.written(st) // what has holes isn't all there
		}
	}
}

// surveyLocal is survey for a directory of its own.
func (t *truth) surveyLocal(d *disk) {
	dir := t.repo.dir()
	var visit func(beneath string)
	visit = func(beneath string) {
		for _, name := range t.names(dir + beneath) {
			rel := strings.TrimPrefix(beneath+"/"+name, "/")
			var st unix.Stat_t
			if t.w.fs.Witness().Lstat(dir+"/"+rel, &st) != nil {
				continue
			}
			if st.Mode&unix.S_IFMT == unix.S_IFDIR {
				visit("/" + rel)
				continue
			}
			if !strings.HasPrefix(rel, hfcache.LocalMeta) {
				d.places[rel] = st.Size
				if !t.w.fs.Witness().Has(dir + "/" + hfcache.LocalStage + "/" + hfcache.LocalNote(rel)) {
					d.unnoted++
				}
			} else if p, ok := hfcache.ParseLocalPartial(name); ok {
				d.partials = append(d.partials, partialFile{dir + "/" + rel, p.Etag, t.written(st), time.Unix(st.Mtim.Unix())})
			}
		}
	}
	visit("")
	for _, name := range t.names(dir + "/" + hfcache.LocalTrees) {
		if commit, ok := strings.CutSuffix(name, ".json"); ok {
			d.listings[commit] = true
		}
	}
}

// has reports whether a file of a revision is in its place, with its size.
func (d disk) has(commit string, f hubFile) bool {
	if size, ok := d.place(commit, f.path); ok && size == f.size {
		return true
	}
	size, ok := d.blobs[f.etag]
	return ok && size == f.size && d.links[commit][f.path] == f.etag
}

// place is how large the file is that lies itself at a path of a revision.
func (d disk) place(commit, path string) (size int64, ok bool) {
	if size, ok = d.places[commit+"/"+path]; !ok {
		size, ok = d.places[path]
	}
	return size, ok
}

// placed are the paths of a revision at which files lie themselves.
func (d disk) placed(r *revision) (paths []string) {
	for _, f := range r.files {
		if _, ok := d.place(r.commit, f.path); ok {
			paths = append(paths, f.path)
		}
	}
	return paths
}

// missing are the wanted files of a revision that aren't in their places.
func (d disk) missing(r *revision, want func(string) bool) []string {
	var missing []string
	for _, f := range r.files {
		if want(f.path) && !d.has(r.commit, f) {
			missing = append(missing, f.path)
		}
	}
	return missing
}

// of is how many bytes of a file are there, finished or not.
func (d disk) of(commit string, f hubFile) int64 {
	if size, ok := d.blobs[f.etag]; ok {
		return min(size, f.size)
	}
	if size, ok := d.place(commit, f.path); ok {
		return min(size, f.size)
	}
	var most int64
	for _, p := range d.partials {
		if p.etag == f.etag {
			most = max(most, min(p.written, f.size))
		}
	}
	return most
}

// bytes is how many are there of some revisions: each content once, and files
// that lie in their places by their paths.
func (d disk) bytes(revisions []*revision, local bool) int64 { //nolint:revive // the two layouts
	seen := map[string]bool{}
	var sum int64
	for _, r := range revisions {
		for _, f := range r.files {
			key := f.etag
			if _, placed := d.place(r.commit, f.path); placed || local {
				key += f.path
			}
			if !seen[key] {
				seen[key] = true
				sum += d.of(r.commit, f)
			}
		}
	}
	return sum
}

// unlinked are finished blobs that no snapshot names.
func (d disk) unlinked() int {
	named := map[string]bool{}
	for _, links := range d.links {
		for _, etag := range links {
			named[etag] = true
		}
	}
	count := 0
	for etag := range d.blobs {
		if !named[etag] {
			count++
		}
	}
	return count
}

// loose are the partials whose file isn't there, in blobs or at a path of its own.
func (d disk) loose(r *repository) int {
	return len(slices.DeleteFunc(slices.Clone(d.partials), func(p partialFile) bool {
		_, there := d.blobs[p.etag]
		return there || slices.ContainsFunc(r.revisions, func(rev *revision) bool {
			return slices.ContainsFunc(rev.files, func(f hubFile) bool { return f.etag == p.etag && d.has(rev.commit, f) })
		})
	}))
}
