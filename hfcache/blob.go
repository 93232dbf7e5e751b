package hfcache

import (
	"slices"
	"strings"
)

// BlobKind says what an entry of a blobs directory is by its name.
type BlobKind int

// The kinds of entries in blobs/.
const (
	// Other is anything no known client writes.
	Other BlobKind = iota
	// Finished is a complete blob: the name is its etag.
	Finished
	// Partial is a blob that is being written, or was.
	Partial
	// Lock is a lock file that old clients put beside the blob.
	Lock
	// Probe is the empty file with which a client asks for the umask.
	Probe
	// SharedLink is the link that is about to be renamed onto the blob:
	// the blob is being moved to, or taken from, the shared store, and its
	// own name may be missing for an instant.
	SharedLink
)

// BlobName is what the name of an entry in blobs/ says.
type BlobName struct {
	Kind BlobKind
	// Etag is the name that the blob has or will have when finished.
	Etag string
	// Attempt is the random part of a partial that no other attempt
	// continues (huggingface_hub >= 1.18); empty for one that is resumed.
	Attempt string
	// Preallocated is set for a partial whose st_size is the final size
	// plus 8 from the start (Rust hf-hub with tokio): only its allocated
	// blocks tell how much is written.
	Preallocated bool
}

// maxName is the longest name a directory entry can have, in bytes.
const maxName = 255

// partialSuffixes are the endings of partials of all clients, the longest first:
// ".sync.part" also ends in ".part".
var partialSuffixes = suffixesOf(Habits)

func suffixesOf(habits []Habit) (suffixes []string) {
	for _, h := range habits {
		if h.Suffix != "" && !slices.Contains(suffixes, h.Suffix) {
			suffixes = append(suffixes, h.Suffix)
		}
	}
	slices.SortFunc(suffixes, func(a, b string) int { return len(b) - len(a) })
	return suffixes
}

// ParseBlob classifies the name of an entry in blobs/. The Etag of anything
// but Other and Probe is safe as a path element. It knows the partials of all
// Habits.
func ParseBlob(name string) BlobName {
	if len(name) > maxName {
		return BlobName{}
	}
	if isProbe(name) {
		return BlobName{Kind: Probe}
	}
	if etag, ok := parseSharedLink(name); ok {
		return BlobName{Kind: SharedLink, Etag: etag}
	}
	for _, suffix := range partialSuffixes {
		if stem, ok := strings.CutSuffix(name, suffix); ok {
			return parsePartial(stem, suffix)
		}
	}
	if etag, ok := strings.CutSuffix(name, ".lock"); ok {
		return named(Lock, etag)
	}
	return named(Finished, name)
}

// IsRootTemp reports whether a name directly in a cache root is that of a
// download by huggingface_hub <= 0.22: "tmp" and eight characters of Python's
// tempfile. It may as well be a directory with which that client probes for
// symlinks: only lstat tells.
func IsRootTemp(name string) bool {
	random, ok := strings.CutPrefix(name, "tmp")
	if !ok || len(random) != 8 {
		return false
	}
	for i := range len(random) {
		if c := random[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
}

// IsCommit reports whether a name is that of a commit: a directory in
// snapshots/, or the content of a ref.
func IsCommit(name string) bool {
	return isHex(name, 40)
}

// SharedBlob reads the link text of an entry blobs/<etag>. Where it is
// exactly ../../blobs/<2 hex>/<64 hex>, the way huggingface_hub 2.4 links
// into the store that all repositories of a root share, it returns the path
// of the content relative to the root.
func SharedBlob(linkText string) (rel string, ok bool) {
	rel, ok = strings.CutPrefix(linkText, "../../")
	if !ok {
		return "", false
	}
	hash, ok := strings.CutPrefix(rel, "blobs/")
	if !ok || len(hash) != 2+1+64 || hash[2] != '/' {
		return "", false
	}
	// The client takes the directory from the hash, and trusts no other.
	if !isHex(hash[3:], 64) || hash[:2] != hash[3:5] {
		return "", false
	}
	return rel, true
}

// SnapshotBlob reads the link text of snapshots/<commit>/<path>, path with
// slashes, and returns the etag of the blob of the same repository that it
// points to; false if it points anywhere else.
func SnapshotBlob(path, linkText string) (etag string, ok bool) {
	up := strings.Repeat("../", 2+strings.Count(path, "/"))
	rest, ok := strings.CutPrefix(linkText, up)
	if !ok {
		return "", false
	}
	etag, ok = strings.CutPrefix(rest, "blobs/")
	if !ok || !validEtag(etag) {
		return "", false
	}
	return etag, true
}

func parsePartial(stem, suffix string) BlobName {
	b := BlobName{Kind: Partial, Preallocated: suffix == ".sync.part"}
	if i := strings.LastIndexByte(stem, '.'); i >= 0 && suffix == ".incomplete" && isHex(stem[i+1:], 8) {
		stem, b.Attempt = stem[:i], stem[i+1:]
	}
	if !validEtag(stem) {
		return BlobName{}
	}
	b.Etag = stem
	return b
}

// parseSharedLink knows ".<etag>.<8hex>.shared".
func parseSharedLink(name string) (etag string, ok bool) {
	stem, ok := strings.CutSuffix(name, ".shared")
	if !ok || !strings.HasPrefix(stem, ".") {
		return "", false
	}
	etag, random, _ := strings.Cut(stem[1:], ".")
	return etag, validEtag(etag) && isHex(random, 8)
}

func named(kind BlobKind, etag string) BlobName {
	if !validEtag(etag) {
		return BlobName{}
	}
	return BlobName{Kind: kind, Etag: etag}
}

// isProbe knows "tmp_<uuid>".
func isProbe(name string) bool {
	uuid, ok := strings.CutPrefix(name, "tmp_")
	if !ok {
		return false
	}
	parts := strings.Split(uuid, "-")
	return len(parts) == 5 && isHex(parts[0], 8) && isHex(parts[1], 4) &&
		isHex(parts[2], 4) && isHex(parts[3], 4) && isHex(parts[4], 12)
}

// validEtag accepts a sha1, a sha256 and what mirrors make up: anything
// printable that is neither a path, nor hidden, nor followed by a suffix.
func validEtag(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte(`_-+=:~"`, s[i]) < 0 {
			return false
		}
	}
	return true
}
