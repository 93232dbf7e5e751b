package state

import (
	"bytes"
	"cmp"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"progressd/account"
	"progressd/fsys"
	"progressd/hfcache"
)

// records is what is remembered of one root, kept in a file of its own: what
// happens in the cache of one user makes no work for those of others. Changes
// are appended; when most of the file is out of date, it is written afresh.
type records struct {
	root  string
	owner account.User
	// payer is whom that number is lent to: what is remembered is charged to it.
	payer account.User
	// named: the root is configured by name, not by a pattern.
	named bool
	// found numbers the roots in the order in which they were found in this
	// life; 0 if it wasn't.
	found uint64

	baselines []baseline
	repos     map[hfcache.Repo]*repoRecord
	episodes  map[string]*episode // by id

	// changed is what is to be written.
	changed changes
	// written is how long the file is, afresh how long it was when it was last
	// written afresh; 0 if that isn't known.
	written, afresh int64
}

// baseline finds that of a directory; it prefers what is surely that one.
func (r *records) baseline(home fsys.Identity) int {
	found := -1
	for i, b := range r.baselines {
		if b.Sure(home) {
			return i
		}
		if b.Same(home) {
			found = i
		}
	}
	return found
}

func (r *records) addBaseline(b baseline) {
	r.baselines = slices.DeleteFunc(r.baselines, func(other baseline) bool { return other.Identity == b.Identity })
	r.baselines = append(r.baselines, b)
	r.baselines = r.baselines[max(0, len(r.baselines)-maxBaselines):]
}

// changes are what a file of records lacks.
type changes struct {
	// all: the file is to be written afresh.
	all bool
	// durably: a verdict depends on it.
	durably         bool
	head, baselines bool
	forgotten       []hfcache.Repo
	repos           []*repoRecord
	episodes        []*episode
	closed          []string
}

func (c *changes) some() bool {
	return c.all || c.head || c.baselines || len(c.closed)+len(c.forgotten)+len(c.repos)+len(c.episodes) > 0
}

// episode is one that is open, or over with a verdict pending.
type episode struct {
	episodeRecord
	of    *records
	dirty bool
	size  int // of its line
	// payer is whom its line is charged to.
	payer account.User
}

// played: something of it was seen on disk. Else its memory is empty, and what
// the one before has left stands.
func (e *episode) played() bool { return e.Episode.Play != "" }

func (e *episode) key() hfcache.Place {
	return hfcache.Place{Root: e.Episode.Root, Repo: e.Episode.Repo}
}

func byNumber(a, b *episode) int { return cmp.Compare(a.Number, b.Number) }

func newRecords(root string) *records {
	return &records{
		root: root, owner: account.Unknown, payer: account.Unknown, changed: changes{all: true},
		repos: make(map[hfcache.Repo]*repoRecord), episodes: make(map[string]*episode),
	}
}

// file is where the records lie in the state directory.
func (r *records) file() string { return filepath.Join(rootsDir, hexHash(r.root)[:32]+recordsSuffix) }

func (r *records) touch(rec *repoRecord) {
	if !rec.dirty {
		rec.dirty = true
		r.changed.repos = append(r.changed.repos, rec)
	}
}

func (e *episode) touch() {
	if !e.dirty {
		e.dirty = true
		e.of.changed.episodes = append(e.of.changed.episodes, e)
	}
}

// forget is for a repository of which nothing is remembered any more.
func (r *records) forget(rec *repoRecord) {
	delete(r.repos, rec.Repo)
	r.changed.forgotten = append(r.changed.forgotten, rec.Repo)
}

// end is for an episode that is over and done with.
func (r *records) end(e *episode) {
	delete(r.episodes, e.Episode.ID)
	r.changed.closed = append(r.changed.closed, e.Episode.ID)
}

// slack is by how much a file may grow beyond three times its length, in bytes,
// before it is written afresh.
const slack = 256 << 10

func (r *records) outgrown() bool { return r.written > 3*r.afresh+slack }

// write brings the file up to date. After an error it is written afresh. What is
// too long to be read again is left out: it must not hold up the rest.
func (r *records) write(on disk, path string, accounts *account.Book) error {
	if !r.changed.all && !r.outgrown() {
		w := &recordWriter{r: r, accounts: accounts}
		w.changes()
		if err := on.extend(path, r.written, w.out.Bytes(), r.changed.durably); err == nil {
			r.written += int64(w.out.Len())
			r.clean()
			return nil
		}
	}
	r.changed.all = true // it may be torn, or another's by now
	w := &recordWriter{r: r, accounts: accounts}
	if err := on.rewrite(path, w.everything); err != nil {
		return err
	}
	r.written, r.afresh = w.flushed, w.flushed
	r.clean()
	return nil
}

// clean is when all is on disk.
func (r *records) clean() {
	for _, rec := range r.changed.repos {
		rec.dirty = false
	}
	for _, e := range r.changed.episodes {
		e.dirty = false
	}
	r.changed = changes{}
}

// A recordWriter makes the lines of a file.
type recordWriter struct {
	r        *records
	accounts *account.Book
	out      bytes.Buffer
	flushed  int64
}

// put adds a line.
func (w *recordWriter) put(l line) {
	text, err := encode(l)
	if err != nil {
		w.accounts.Refused(w.r.payer, account.Records)
		return
	}
	_, _ = w.out.Write(text) // a Buffer takes everything
}

// putEpisode leaves out what its user has no room for.
func (w *recordWriter) putEpisode(e *episode) {
	text, err := encode(line{Episode: &e.episodeRecord})
	if err != nil {
		w.accounts.Refused(w.r.payer, account.Records)
		return
	}
	if e.charge(w.accounts, len(text)) {
		_, _ = w.out.Write(text)
	}
}

// charge has an episode's user pay for its line, instead of for the one before.
func (e *episode) charge(accounts *account.Book, size int) bool {
	accounts.Give(e.payer, account.Records, int64(e.size))
	e.payer = e.of.payer
	if accounts.Take(e.payer, account.Records, int64(size)) {
		e.size = size
		return true
	}
	e.size = 0
	return false
}

// changes are the lines of what has changed. A repository's record comes before
// the end of the episode that it came from, so that a kill in between leaves an
// episode that is closed once more, to the same end.
func (w *recordWriter) changes() {
	r := w.r
	if r.changed.head {
		w.put(r.head())
	}
	if r.changed.baselines {
		w.putBaselines()
	}
	for i := range r.changed.forgotten {
		if r.repos[r.changed.forgotten[i]] == nil {
			w.put(line{Forgotten: &r.changed.forgotten[i]})
		}
	}
	for _, rec := range r.changed.repos {
		if r.repos[rec.Repo] == rec {
			w.put(line{Repo: rec})
		}
	}
	slices.SortFunc(r.changed.episodes, byNumber)
	for _, e := range r.changed.episodes {
		if r.episodes[e.Episode.ID] == e {
			w.putEpisode(e)
		}
	}
	for _, id := range r.changed.closed {
		if r.episodes[id] == nil {
			w.put(line{Closed: id})
		}
	}
}

func (w *recordWriter) putBaselines() {
	for i := range w.r.baselines {
		w.put(line{Baseline: &w.r.baselines[i]})
	}
}

func (r *records) head() line {
	return line{Head: &headRecord{Version: version, Root: r.root, Owner: r.owner}}
}

// everything writes all that is remembered of the root, piece by piece.
func (w *recordWriter) everything(out io.Writer) error {
	r := w.r
	w.put(r.head())
	w.putBaselines()
	repos := slices.SortedFunc(maps.Values(r.repos), func(a, b *repoRecord) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
	})
	for _, rec := range repos {
		w.put(line{Repo: rec})
		if err := w.flush(out); err != nil {
			return err
		}
	}
	for _, e := range slices.SortedFunc(maps.Values(r.episodes), byNumber) {
		w.putEpisode(e)
		if err := w.flush(out); err != nil {
			return err
		}
	}
	return w.flush(out)
}

func (w *recordWriter) flush(out io.Writer) error {
	n, err := w.out.WriteTo(out)
	w.flushed += n
	return err
}
