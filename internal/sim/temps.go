package sim

import (
	"time"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
)

// A rootTemp is a file in the root that is to become a blob.
type rootTemp struct {
	by   *record
	etag string
}

// makes notes that a client makes a file in the root.
func (w *world) makes(path string, by *record, etag string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.temps == nil {
		w.temps = map[string]rootTemp{}
	}
	w.temps[path] = rootTemp{by, etag}
}

// maker is who made a file in the root.
func (w *world) maker(path string) (rootTemp, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.temps[path]
	return t, ok
}

// surveyRoot looks at the files in the root.
func (t *truth) surveyRoot(d *disk) {
	for _, name := range t.names(t.repo.root + "/tmp") {
		t.surveyTemp(d, t.repo.root+"/tmp/"+name)
	}
	for _, name := range t.names(t.repo.root) {
		if hfcache.IsRootTemp(name) {
			t.surveyTemp(d, t.repo.root+"/"+name)
		}
	}
}

// surveyTemp looks at one of them. It isn't this repository's where another one's client
// holds its lock, or did so for long enough to be seen, and where what it was to be is there.
func (t *truth) surveyTemp(d *disk, path string) {
	var st unix.Stat_t
	if t.w.fs.Witness().Lstat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return
	}
	d.strays++
	made, known := t.w.maker(path)
	another := known && made.by.repo != t.repo && made.by.locks() && made.by.shown()
	if !known || !another && !t.w.fs.Witness().Has(made.by.blob(made.etag)) {
		d.open++
	}
}

// shown: it holds its locks, or has held some for long enough to be seen with them.
func (r *record) shown() bool {
	together, _ := r.held(time.Now())
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.goneAt.IsZero() || together >= 5*time.Second
}
