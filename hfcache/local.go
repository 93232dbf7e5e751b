package hfcache

import (
	"crypto/sha1" //nolint:gosec // the client's choice for a name, no secret hangs on it
	"encoding/base64"
	"net/url"
	"path"
	"strings"
)

// Local stands in place of a type for a directory that a client fills by
// --local-dir. Nothing on disk names the repository that it comes from, so the
// ID is where the directory lies; see LocalRepo. It is no type of the hub.
const Local RepoType = "local"

// Where huggingface_hub >= 0.23 keeps what belongs to a download by
// --local-dir, relative to the directory: locks, partials and metadata of each
// file beneath LocalStage, listings (>= 1.22) in LocalTrees.
const (
	LocalMeta  = ".cache/huggingface"
	LocalStage = LocalMeta + "/download"
	LocalTrees = LocalMeta + "/trees"
)

// LocalRepo names a directory by its path relative to a root: "." for the root
// itself, else one or two elements. It is false for what is no place for a
// download: hidden directories, folders of a cache, the store that a cache's
// repositories share. The ID is the path with every odd character escaped.
func LocalRepo(rel string) (Repo, bool) {
	if rel == "." {
		return Repo{Type: Local, ID: rel}, true
	}
	elements := strings.Split(rel, "/")
	if len(elements) > 2 || len(elements) == 2 && elements[0] == "blobs" && isHex(elements[1], 2) {
		return Repo{}, false
	}
	for i, e := range elements {
		if e == "" || e[0] == '.' || len(e) > maxName || strings.Contains(e, "\x00") || IsRepoFolderLike(e) {
			return Repo{}, false
		}
		elements[i] = url.PathEscape(e)
	}
	return Repo{Type: Local, ID: strings.Join(elements, "/")}, true
}

// localFolder is the path that LocalRepo made the ID from.
func (r Repo) localFolder() string {
	folder, err := url.PathUnescape(r.ID)
	if err != nil {
		return r.ID
	}
	return folder
}

// Within is the place of a repository for an operator: the root of its cache,
// or the directory of a Local one, odd characters escaped.
func (r Repo) Within(root string) string {
	if r.Type != Local || r.ID == "." {
		return root
	}
	return root + "/" + r.ID
}

// LocalName is what a Local repository in root is called as long as nobody
// knows what is downloaded there: a model with the directory's own name, in
// which "_" stands for all that an id can't hold.
func (r Repo) LocalName(root string) Repo {
	name := path.Base(root)
	if r.ID != "." {
		name = path.Base(r.localFolder())
	}
	clean := []byte(name[:min(len(name), maxIDPart)])
	for i, c := range clean {
		inner := i > 0 && i < len(clean)-1 && (c == '-' || c == '.')
		if !isAlnum(c) && c != '_' && !inner {
			clean[i] = '_'
		}
	}
	return Repo{Type: Model, ID: string(clean)}
}

// LocalPartial is what the name of a partial beneath LocalStage says.
type LocalPartial struct {
	// File is the last element of the path of the file, if the name has it
	// (huggingface_hub 0.26), else empty; Hash is then LocalHash of it
	// (0.36 and newer).
	File, Hash string
	// Etag and Attempt are as in BlobName.
	Etag, Attempt string
}

// ParseLocalPartial knows <hash>.<etag>.incomplete, with 8 hex digits before
// the end from 1.18 on, and <file>.<etag>.incomplete.
func ParseLocalPartial(name string) (LocalPartial, bool) {
	stem, ok := strings.CutSuffix(name, ".incomplete")
	if !ok || len(name) > maxName {
		return LocalPartial{}, false
	}
	var p LocalPartial
	rest, last := cutLast(stem)
	if before, etag := cutLast(rest); isHex(last, 8) && before != "" && (isHash(before) || isHex(etag, 40) || isHex(etag, 64)) {
		p.Attempt, rest, last = last, before, etag
	}
	if p.Etag = last; rest == "" || !validEtag(last) {
		return LocalPartial{}, false
	}
	if isHash(rest) {
		p.Hash = rest
	} else {
		p.File = rest
	}
	return p, true
}

// LocalHash is what stands for a file in the name of its partial: base64url of
// the sha1 of the name of its metadata.
func LocalHash(file string) string {
	sum := sha1.Sum([]byte(file + localNote)) //nolint:gosec // as above
	return base64.URLEncoding.EncodeToString(sum[:])
}

// localNote is the ending of a file's metadata.
const localNote = ".metadata"

// LocalNote is the name, or path, of a file's metadata.
func LocalNote(file string) string { return file + localNote }

// ParseLocalNote returns the file whose metadata has that name.
func ParseLocalNote(name string) (file string, ok bool) {
	file, ok = strings.CutSuffix(name, localNote)
	return file, ok && file != ""
}

// ReadLocalNote reads the metadata of a file: commit, etag and time, a line
// each. A client writes it when the file is in its place, and takes a file that
// has changed since for none of its own.
func ReadLocalNote(text string) (commit, etag string, ok bool) {
	lines := strings.SplitN(text, "\n", 3)
	if len(lines) < 3 || !IsCommit(lines[0]) || !validEtag(lines[1]) {
		return "", "", false
	}
	return lines[0], lines[1], true
}

// cutLast splits at the last dot.
func cutLast(s string) (before, last string) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return "", s
	}
	return s[:i], s[i+1:]
}

// isHash reports whether s has the form of LocalHash.
func isHash(s string) bool {
	if len(s) != 28 || s[27] != '=' {
		return false
	}
	for i := range 27 {
		if !isAlnum(s[i]) && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return true
}
