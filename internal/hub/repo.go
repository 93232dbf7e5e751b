package hub

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"hash/fnv"

	"progressd/hfcache"
)

// Storage is how the hub keeps a file; it decides the etag.
type Storage int

// The ways in which the hub keeps files.
const (
	// Git is for small files: the etag is the git blob's sha1.
	Git Storage = iota
	// LFS is for large files: the etag is the sha256.
	LFS
	// Xet is LFS whose listing also names a Xet hash: a client that has
	// hf_xet gets the bytes from the hub's content-addressed store, and may
	// keep them in its store of blobs shared between repositories. All
	// others get them by plain HTTP.
	Xet
)

// File is one file of a revision, its content made up.
type File struct {
	Path    string
	Size    int64
	Storage Storage
	// Seed selects the content: equal Seed and Size are equal bytes. Zero
	// takes one from the repository and the path.
	Seed uint64
	// Text is the content where it must mean something, such as a
	// configuration; Size is its length then, and Seed doesn't count.
	Text string
}

// Entry is a file as it was published.
type Entry struct {
	File
	// Etag is the name that its blob gets in a cache.
	Etag string
	// XetHash is set for Xet files: the name in a shared store.
	XetHash string

	gitOID string
	sha256 string
}

// pointer is the text that git keeps in place of a large file.
func pointer(sha256 string, size int64) []byte {
	return fmt.Appendf(nil, "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", sha256, size)
}

func (e Entry) content() content { return content{seed: e.Seed, size: e.Size, text: e.Text} }

// revision is what one commit holds, in the order in which it was published:
// that is the order in which the real hub's clients start the files.
type revision struct {
	commit string
	files  []Entry
}

func (r revision) find(path string) (Entry, bool) {
	for _, e := range r.files {
		if e.Path == path {
			return e, true
		}
	}
	return Entry{}, false
}

// repository is all that is known of one: commits, and names for them.
type repository struct {
	commits map[string]revision
	refs    map[string]string
}

func (r *repository) at(rev string) (revision, bool) {
	if commit, ok := r.refs[rev]; ok {
		rev = commit
	}
	found, ok := r.commits[rev]
	return found, ok
}

// Publish makes a new commit of files, lets the branch point to it and
// returns its name and its files with their etags. Earlier commits stay
// reachable by their names. The first use of a content hashes it.
func (h *Hub) Publish(repo hfcache.Repo, branch string, files ...File) (string, []Entry, error) {
	entries := make([]Entry, 0, len(files))
	sum := sha1.New()
	sum.Write(fmt.Appendf(nil, "%s %s\n", repo.Type, repo.ID))
	for _, f := range files {
		e, err := h.entry(repo, f)
		if err != nil {
			return "", nil, fmt.Errorf("cannot publish %q of %q: %w", f.Path, repo.ID, err)
		}
		sum.Write(fmt.Appendf(nil, "%q %s\n", f.Path, e.Etag))
		entries = append(entries, e)
	}
	commit := hex.EncodeToString(sum.Sum(nil))

	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.repos[repo]
	if r == nil {
		r = &repository{commits: map[string]revision{}, refs: map[string]string{}}
		h.repos[repo] = r
	}
	r.commits[commit] = revision{commit: commit, files: entries}
	r.refs[branch] = commit
	for _, e := range entries {
		h.blobs[e.Etag] = e
	}
	return commit, entries, nil
}

func (h *Hub) entry(repo hfcache.Repo, f File) (Entry, error) {
	if f.Text != "" {
		f.Seed, f.Size = 0, int64(len(f.Text))
	} else if f.Seed == 0 {
		seed := fnv.New64a()
		seed.Write(fmt.Appendf(nil, "%s %s %s", repo.Type, repo.ID, f.Path))
		f.Seed = seed.Sum64()
	}
	e := Entry{File: f}
	s, err := h.sums(e.content())
	if err != nil {
		return Entry{}, err
	}
	e.Etag, e.gitOID = s.git, s.git
	if f.Storage == Git {
		return e, nil
	}
	e.Etag, e.sha256 = s.sha256, s.sha256
	e.gitOID = gitSum(pointer(s.sha256, f.Size))
	if f.Storage == Xet {
		e.XetHash = xetHash(s.sha256)
	}
	return e, nil
}

// xetHash makes up a name of the right form that is not the etag.
func xetHash(sha256 string) string {
	return gitSum([]byte(sha256)) + sha256[:24]
}

// sums hashes a content once.
func (h *Hub) sums(c content) (sums, error) {
	h.mu.Lock()
	s, ok := h.hashed[c]
	h.mu.Unlock()
	if ok {
		return s, nil
	}
	s, err := c.sums()
	if err != nil {
		return sums{}, err
	}
	h.mu.Lock()
	h.hashed[c] = s
	h.mu.Unlock()
	return s, nil
}
