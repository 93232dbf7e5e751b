// Package hfcache knows how a Hugging Face cache is laid out: folder names,
// blob and partial names, tree listings, the shared blob store. It is pure
// knowledge: nothing here touches a file system. Every name it is given is
// untrusted.
package hfcache

import "strings"

// RepoType is the kind of a repository, in the singular as users say it.
type RepoType string

// The repository types that clients cache.
const (
	Model   RepoType = "model"
	Dataset RepoType = "dataset"
	Space   RepoType = "space"
	Kernel  RepoType = "kernel"
)

// repoTypes are all types there are, the most frequent first.
var repoTypes = [...]RepoType{Model, Dataset, Space, Kernel}

// separator stands for the slash of an id in a folder's name.
const separator = "--"

// maxIDPart is the longest organisation or name that clients accept.
const maxIDPart = 96

// Repo names one repository as the downloader asked for it.
type Repo struct {
	Type RepoType `json:"type"`
	// ID is "org/name", or "name" for the few without an organisation.
	ID string `json:"id"`
}

// Place is a repository in a cache root: there is one download at a time in each.
type Place struct {
	// Root is the path of the cache root.
	Root string
	Repo Repo
}

// NewRepo returns the repository of a type and an id, and false if either is
// not valid by the rules that huggingface_hub applies before it downloads.
func NewRepo(t RepoType, id string) (Repo, bool) {
	if !validType(t) || !validID(id) {
		return Repo{}, false
	}
	return Repo{Type: t, ID: id}, true
}

// ParseRepo returns the repository that a user names: "org/name" is a model,
// others are as the hub's URLs have them, "datasets/org/name".
func ParseRepo(name string) (Repo, bool) {
	for _, t := range [...]RepoType{Dataset, Space, Kernel} {
		if id, ok := strings.CutPrefix(name, string(t)+"s/"); ok {
			return NewRepo(t, id)
		}
	}
	return NewRepo(Model, name)
}

// String is what ParseRepo reads.
func (r Repo) String() string {
	if r.Type == Model || r.Type == "" {
		return r.ID
	}
	return string(r.Type) + "s/" + r.ID
}

// ParseFolder returns the repository that a folder directly in a cache root
// holds. It is false for every name that does not decode to a valid id, so
// that what it returns is safe as a path, in a log and on a terminal.
func ParseFolder(name string) (Repo, bool) {
	t, rest, ok := cutType(name)
	if !ok {
		return Repo{}, false
	}
	// An id with a slash of its own would decode like one that has none.
	if strings.Contains(rest, "/") {
		return Repo{}, false
	}
	return NewRepo(t, strings.Replace(rest, separator, "/", 1))
}

// IsRepoFolderLike reports whether a name claims to be a repository's folder.
// One that claims it and does not parse is worth a warning, anything else in
// a root is not.
func IsRepoFolderLike(name string) bool {
	_, _, ok := cutType(name)
	return ok
}

// Folder is the name of the repository's folder in a cache root; of a Local
// one it is the path relative to the root.
func (r Repo) Folder() string {
	if r.Type == Local {
		return r.localFolder()
	}
	return string(r.Type) + "s" + separator + strings.Replace(r.ID, "/", separator, 1)
}

// Slug names the repository in one path element: "org--name" for a model,
// "org--name@dataset" and the like for others. No two repositories share one,
// since no id holds "--" or "@".
func (r Repo) Slug() string {
	slug := strings.Replace(r.ID, "/", separator, 1)
	if r.Type == Model {
		return slug
	}
	return slug + "@" + string(r.Type)
}

// cutType splits the type from a folder's name.
func cutType(name string) (RepoType, string, bool) {
	for _, t := range repoTypes {
		if rest, ok := strings.CutPrefix(name, string(t)+"s"+separator); ok {
			return t, rest, true
		}
	}
	return "", "", false
}

func validType(t RepoType) bool {
	for _, known := range repoTypes {
		if t == known {
			return true
		}
	}
	return false
}

// validID follows validate_repo_id of huggingface_hub 2.4.
func validID(id string) bool {
	if strings.Contains(id, separator) || strings.Contains(id, "..") || strings.HasSuffix(id, ".git") {
		return false
	}
	org, name, two := strings.Cut(id, "/")
	if !two {
		return validIDPart(org)
	}
	return validIDPart(org) && validIDPart(name)
}

func validIDPart(s string) bool {
	if s == "" || len(s) > maxIDPart {
		return false
	}
	for i := range len(s) {
		c := s[i]
		inner := c == '-' || c == '.'
		if !isAlnum(c) && c != '_' && !inner {
			return false
		}
		if inner && (i == 0 || i == len(s)-1) {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// isHex reports whether s is n lower-case hexadecimal digits.
func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
