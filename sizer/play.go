package sizer

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
)

// A play is the time in which a repository moves: from the first sign of a
// download until nothing has moved for long enough. The tracker's episodes
// are made of plays; a play knows nothing of verdicts.
type play struct {
	id string
	// since: finished blobs that came later are this play's.
	since time.Time
	// restored: taken up from the memory of a former life of the daemon;
	// restoredBytes is where that left off.
	restored      bool
	restoredBytes int64

	revisions []string // newest first
	renewed   bool     // they have to be found out again
	justDone  []string // etags finished since that was last done
	files     map[string]*file
	// listed: every revision in flight has a listing.
	listed bool

	downloaders []downloader.Process
	running     []bool
	wanted      []hfcache.Filter // nil: unknown
	match       []func(path string) bool
	unhelpful   bool // what is wanted names nothing that is listed
	lockSeen    bool
	locked      map[string]time.Time // when an etag was last seen locked

	failed       map[string]bool
	formerFailed int
	tempDebt     int64

	base, bytes int64
	looked      bool // counted at least once
	changed     time.Time
	lively      bool
}

// A file is one blob of the download, however many paths name it.
type file struct {
	etag  string
	want  int64 // listed size, -1 if unlisted
	path  string
	paths int
	// wanted: it is part of the download.
	wanted bool

	done  bool
	size  int64
	isNew bool

	part    *partial
	former  *partial // the last one that counted
	counted int64
	known   bool // counted before
}

func newPlay(now, since time.Time) *play {
	return &play{
		id: strconv.FormatInt(now.UnixNano(), 36), since: since, changed: now,
		files: make(map[string]*file), locked: make(map[string]time.Time),
		failed: make(map[string]bool),
	}
}

func restored(m Memory) *play {
	pl := newPlay(time.Time{}, m.Since)
	pl.id, pl.restored, pl.restoredBytes = m.Play, true, m.Bytes
	pl.revisions, pl.base, pl.formerFailed = m.Revisions, m.Base, m.Failed
	pl.downloaders = m.Downloaders
	pl.running = make([]bool, len(pl.downloaders))
	pl.lockSeen = len(pl.downloaders) > 0
	return pl
}

// begin opens a play if there is a sign of one: a live partial, a new blob.
// A lock, a ref or a tree file is none: what is cached takes its lock too.
func (p *pass) begin() bool {
	since := p.repo.since
	sign := len(p.arrivedNew) > 0 || p.held.temps > 0
	for _, part := range p.repo.partials {
		if !part.live {
			continue
		}
		sign = true
		if part.midflight { // what is here now was here before
			since = later(since, p.blobsTime)
		}
	}
	if sign {
		p.repo.play = newPlay(p.now, since)
	}
	return sign
}

// playOn takes stock of a play and ends it when it is over.
func (p *pass) playOn(look *Look) error {
	pl := p.repo.play
	if pl.changed.IsZero() {
		pl.changed = p.now
	}
	pl.people(p)
	news := pl.updateWanted(p.repo.name)
	pl.note(p)
	if p.relisted || !pl.looked || news || pl.renewed || len(pl.justDone) > 0 {
		pl.renewed = false
		if err := p.rebuild(pl); err != nil {
			return err
		}
	}
	pl.attach(p)
	arrived := pl.count(p.countTemps())
	if arrived > 0 || p.held.any {
		pl.changed = p.now
	}
	pl.describe(p, look)
	look.Arrived = arrived
	look.Proof = p.prove(pl, look)
	pl.lively = look.Partials > 0 || look.Locked || p.now.Sub(pl.changed) < 2*livelyAfter
	if look.Proof != NoProof || pl.over(p, look) {
		p.end()
	}
	return nil
}

// livelyAfter is how long after the last change a play is looked at closely.
const livelyAfter = 5 * time.Second

// note keeps what the locks of this look say.
func (pl *play) note(p *pass) {
	pl.lockSeen = pl.lockSeen || p.held.seen
	for etag := range p.held.etags {
		pl.locked[etag] = p.now
	}
}

// newAttempt: another process has taken over from those that are gone. What
// failed before is its business now, and so is which revision is wanted.
func (pl *play) newAttempt() {
	clear(pl.failed)
	pl.formerFailed = 0
	pl.unhelpful = false
	if len(pl.downloaders) > 0 {
		pl.revisions, pl.renewed = nil, true
	}
}

// lost is told of an attached partial that is no more.
func (pl *play) lost(part *partial, now time.Time) {
	pl.changed = now
	if part.live {
		pl.failed[part.Etag] = true
	}
}

// rebuild works out which files the download consists of, and which of them
// are finished.
func (p *pass) rebuild(pl *play) error {
	if err := p.readRevisions(); err != nil {
		return err
	}
	p.chooseRevisions(pl)
	for _, f := range pl.files {
		f.paths, f.wanted, f.want = 0, f.wanted && f.known && f.want < 0, -1
	}
	if err := p.addRevisions(pl); err != nil {
		return err
	}
	for _, part := range p.repo.partials {
		if part.live {
			pl.file(part.Etag).wanted = true
		}
	}
	for _, etag := range p.arrivedNew {
		if pl.files[etag] == nil {
			pl.file(etag).wanted = true
		}
	}
	for _, f := range pl.files {
		pl.listed = pl.listed && (f.want >= 0 || !f.wanted)
	}
	return p.findFinished(pl)
}

// addRevisions adds the files of the revisions in flight.
func (p *pass) addRevisions(pl *play) error {
	pl.listed = len(pl.revisions) > 0
	selected := false
	for _, commit := range pl.revisions {
		rev := p.repo.revs.at(commit)
		if rev.listed() {
			selected = pl.addListed(rev.listing) || selected
			continue
		}
		pl.listed = false
		if err := p.readLinks(rev); err != nil {
			return err
		}
		for path, etag := range rev.links {
			pl.file(etag).name(path)
		}
	}
	if pl.listed && !selected && pl.wanted != nil {
		pl.want(nil)
		pl.unhelpful = true
		return p.addRevisions(pl)
	}
	return nil
}

// chooseRevisions finds the revisions in flight: those of the blobs that are
// written, locked or new. When another one joins, those of which nothing is
// written any more have had their time, unless a downloader still lives.
func (p *pass) chooseRevisions(pl *play) {
	inFlight := p.evidence(pl)
	if pl.restored && !pl.looked && len(inFlight) > 0 {
		pl.revisions = nil // perhaps of an attempt that ended meanwhile
	}
	joined := maps.Clone(inFlight)
	for _, commit := range pl.revisions {
		delete(joined, commit)
	}
	if len(joined) == 0 {
		return
	}
	pl.changed = p.now
	former := len(pl.revisions)
	for _, commit := range pl.revisions {
		if slices.Contains(pl.running, true) || len(pl.downloaders) == 0 && p.writes(commit) {
			inFlight[commit] = true
			former--
		}
	}
	if former > 0 {
		for _, f := range pl.files {
			f.wanted = false // what the former left is not this one's
		}
	}
	pl.revisions = slices.SortedFunc(maps.Keys(inFlight), func(a, b string) int {
		return p.repo.revs.at(b).touched().Compare(p.repo.revs.at(a).touched())
	})
}

// writes reports whether something that the commit lists is being written.
func (p *pass) writes(commit string) bool {
	rev := p.repo.revs.at(commit)
	for _, part := range p.repo.partials {
		if part.live && rev.listed() && rev.listing.byEtag[part.Etag] {
			return true
		}
	}
	return false
}

// evidence is the commits that something is known to be done for.
func (p *pass) evidence(pl *play) map[string]bool {
	commits := make(map[string]bool)
	add := func(etag string) { commits[p.repo.revs.of(etag)] = true }
	for _, part := range p.repo.partials {
		if part.live {
			add(part.Etag)
		}
	}
	for _, etag := range p.arrivedNew {
		add(etag)
	}
	for etag := range p.held.etags {
		add(etag)
	}
	for _, etag := range pl.justDone {
		add(etag)
	}
	pl.justDone = nil
	delete(commits, "")
	return commits
}

func (pl *play) file(etag string) *file {
	f := pl.files[etag]
	if f == nil {
		f = &file{etag: etag, want: -1}
		pl.files[etag] = f
	}
	return f
}

func (pl *play) has(etag string) bool { return pl != nil && pl.files[etag] != nil }

func (f *file) name(path string) {
	f.wanted = true
	f.paths++
	if f.path == "" || path < f.path {
		f.path = path
	}
}

// addListed adds the files of a listing; selected says whether any of them
// is wanted.
func (pl *play) addListed(l *listing) (selected bool) {
	for _, listed := range l.files {
		f := pl.file(listed.Etag)
		f.want = listed.Size
		if pl.wants(listed.Path) {
			f.name(listed.Path)
			selected = true
		} else if f.path == "" {
			f.path = listed.Path
		}
	}
	return selected
}

// findFinished looks which files are finished.
func (p *pass) findFinished(pl *play) error {
	blobs, err := p.top.sub(p.repo.folder + "/blobs")
	if err != nil {
		return notAbsent(err)
	}
	defer blobs.close()
	scans := 0
	for _, f := range pl.files {
		e, err := p.finished(blobs, f.etag)
		if f.done && absent(err) && scans < maxScans {
			scans++
			if blobs.moving(f.etag) {
				continue
			}
			e, err = p.finished(blobs, f.etag)
		}
		switch {
		case err == nil:
			f.isNew = e.after(pl.since)
			if !f.done {
				pl.changed = p.now
				if f.isNew {
					pl.justDone = append(pl.justDone, f.etag)
				}
			}
			f.done, f.size = true, e.size
		case !absent(err):
			return err
		case f.done:
			f.done, f.size = false, 0
			pl.changed = p.now
		}
	}
	return nil
}

// maxScans bounds how often one look searches for blobs on their way; when
// more are missing, somebody is deleting them.
const maxScans = 8

// moving reports whether a client is about to put a link in the place of a
// finished blob that it moves to the shared store. The link is there, under a
// name of its own, before the blob goes.
func (d dir) moving(etag string) bool {
	found := false
	_ = d.names(func(name string) bool {
		b := hfcache.ParseBlob(name)
		found = b.Kind == hfcache.SharedLink && b.Etag == etag
		return !found
	})
	return found
}

// attach gives each file the partial that counts for it.
func (pl *play) attach(p *pass) {
	for _, f := range pl.files {
		f.part = nil
	}
	for _, part := range p.repo.partials {
		if f := pl.files[part.Etag]; f != nil && part.attached {
			f.take(part)
		}
	}
	for etag := range pl.failed {
		if f := pl.files[etag]; f == nil || f.done {
			delete(pl.failed, etag)
		}
	}
}

// take counts part for the file from now on. What another attempt wrote is
// lost; what this one wrote since arrives.
func (f *file) take(part *partial) {
	f.part = part
	if f.former != nil && f.former != part {
		f.counted = min(part.base, f.now())
	}
	f.former = part
}

// finished: its blob is there, and is not just being fetched anew.
func (f *file) finished() bool {
	return f.done && (f.part == nil || !f.part.live || f.isNew)
}

// now is what of the file is on disk.
func (f *file) now() int64 {
	switch {
	case f.finished():
		return f.size
	case f.part == nil:
		return 0
	case f.want >= 0:
		return min(f.part.bytes, f.want)
	default:
		return f.part.bytes
	}
}

// before is what of the file was there before the play.
func (f *file) before() int64 {
	switch {
	case f.finished():
		if f.isNew {
			return 0
		}
		return f.size
	case f.part != nil:
		return min(f.part.base, f.now())
	default:
		return 0
	}
}

// count adds up the files and what is staged elsewhere, of which some is fresh,
// and gives what arrived since the last count.
func (pl *play) count(staged, fresh int64) int64 {
	var bytes, arrived int64
	for _, f := range pl.files {
		if !f.wanted {
			continue
		}
		cur := f.now()
		bytes = addSaturating(bytes, cur)
		if !f.known {
			f.known = true
			f.counted = f.before()
			if !pl.restored {
				pl.base = addSaturating(pl.base, f.counted)
			} else {
				f.counted = cur
			}
		}
		if cur > f.counted {
			arrived = addSaturating(arrived, cur-f.counted)
		}
		f.counted = cur
	}
	bytes = addSaturating(bytes, staged)
	settled := min(pl.tempDebt, arrived)
	pl.tempDebt -= settled
	arrived = addSaturating(arrived-settled, fresh)
	if pl.restored && !pl.looked {
		arrived = max(0, bytes-pl.restoredBytes)
	}
	pl.looked, pl.bytes = true, bytes
	return arrived
}

func addSaturating(a, b int64) int64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return 1<<63 - 1
}

// over reports whether nothing more is to be expected of the play.
func (pl *play) over(p *pass, look *Look) bool {
	if look.Locked || pl.requesterRuns() {
		return false
	}
	still := p.now.Sub(pl.changed)
	if still > p.root.opts.Linger {
		return true
	}
	tidy := look.Partials == 0 && look.Unfinished == 0 && look.Failed == 0
	return tidy && still > p.root.opts.Quiet
}

// end closes the play: what lies there now was told.
func (p *pass) end() {
	p.repo.since = later(p.repo.since, p.blobsTime)
	p.root.since[p.repo.folder] = p.repo.since
	p.repo.play = nil
	p.repo.revs = revisions{}
	p.releaseTemps()
	for _, part := range p.repo.partials {
		part.base, part.grown = part.bytes, time.Time{}
		part.live, part.attached, part.fresh, part.midflight = false, false, false, false
	}
}
