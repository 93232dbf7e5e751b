package hub

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"progressd/hfcache"
)

// plural is how a repository type is spelled in paths of the API; models have
// no such prefix in paths of files.
var plural = map[string]hfcache.RepoType{
	"models": hfcache.Model, "datasets": hfcache.Dataset, "spaces": hfcache.Space, "kernels": hfcache.Kernel,
}

// ServeHTTP answers one request.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.enter() {
		panic(http.ErrAbortHandler)
	}
	defer h.handlers.Done()
	// Escaped, since a revision such as refs/pr/1 is one escaped element.
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if rest, ok := strings.CutPrefix(path, "api/"); ok {
		h.serveAPI(w, r, rest)
		return
	}
	if rest, ok := strings.CutPrefix(path, "cdn/"); ok {
		h.serveCDN(w, r, rest)
		return
	}
	if rest, ok := strings.CutPrefix(path, "cas/"); ok {
		h.serveCAS(w, r, rest)
		return
	}
	if where, rest, ok := strings.Cut(path, "/resolve/"); ok {
		repo := hfcache.Repo{Type: hfcache.Model, ID: where}
		if first, id, ok := strings.Cut(where, "/"); ok && plural[first] != "" {
			repo = hfcache.Repo{Type: plural[first], ID: id}
		}
		h.serveResolve(w, r, repo, rest)
		return
	}
	refuse(w, Fault{Status: http.StatusNotFound})
}

// serveAPI answers {type}/{id}, and {type}/{id}/{question}/{rev}.
func (h *Hub) serveAPI(w http.ResponseWriter, r *http.Request, path string) {
	first, rest, ok := strings.Cut(path, "/")
	if !ok || plural[first] == "" {
		refuse(w, Fault{Status: http.StatusNotFound})
		return
	}
	id, rev, answer := rest, "main", h.revisionJSON
	if before, after, ok := strings.Cut(rest, "/revision/"); ok {
		id, rev = before, unescape(after)
	} else if before, after, ok := strings.Cut(rest, "/tree/"); ok {
		id, rev, answer = before, unescape(after), h.treeJSON
	} else if before, after, ok := strings.Cut(rest, "/xet-read-token/"); ok {
		id, rev, answer = before, unescape(after), h.tokenJSON
	} else if before, ok := strings.CutSuffix(rest, "/refs"); ok {
		id, answer = before, h.refsJSON
	} else if before, after, ok := strings.Cut(rest, "/paths-info/"); ok {
		id, rev = before, unescape(after)
		answer = func(_ http.Header, _ *url.URL, _ hfcache.Repo, rev revision) any { return pathsJSON(r.Body, rev) }
	}
	repo := hfcache.Repo{Type: plural[first], ID: id}
	if f := h.fault(repo, ""); f.Status != 0 {
		refuse(w, f)
		return
	}
	found, f := h.lookup(repo, rev)
	if f.Status != 0 {
		refuse(w, f)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Repo-Commit", found.commit)
	if err := json.NewEncoder(w).Encode(answer(w.Header(), r.URL, repo, found)); err != nil {
		// The client has gone; there is nobody to tell.
		return
	}
}

func (h *Hub) lookup(repo hfcache.Repo, rev string) (revision, Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.repos[repo]
	if r == nil {
		// Without a token a missing repository and a private one look alike.
		return revision{}, Fault{Status: http.StatusUnauthorized, ErrorCode: "RepoNotFound"}
	}
	found, ok := r.at(rev)
	if !ok {
		return revision{}, Fault{Status: http.StatusNotFound, ErrorCode: "RevisionNotFound"}
	}
	return found, Fault{}
}

type lfsSibling struct {
	SHA256      string `json:"sha256"`
	Size        int64  `json:"size"`
	PointerSize int    `json:"pointerSize"`
}

type sibling struct {
	Path   string      `json:"rfilename"`
	Size   *int64      `json:"size,omitempty"`
	BlobID string      `json:"blobId,omitempty"`
	LFS    *lfsSibling `json:"lfs,omitempty"`
}

// revisionJSON is the info of a repository at a commit; with ?blobs=true its
// files come with sizes and hashes.
func (h *Hub) revisionJSON(_ http.Header, u *url.URL, repo hfcache.Repo, rev revision) any {
	info := struct {
		ID      string `json:"id"`
		ModelID string `json:"modelId,omitempty"`
		SHA     string `json:"sha"`
		Private bool   `json:"private"`
		// Clients before 0.22 fail without the two counts.
		Downloads int       `json:"downloads"`
		Likes     int       `json:"likes"`
		Tags      []string  `json:"tags"`
		Siblings  []sibling `json:"siblings"`
	}{ID: repo.ID, SHA: rev.commit, Tags: []string{}, Siblings: []sibling{}}
	if repo.Type == hfcache.Model {
		info.ModelID = repo.ID
	}
	for _, e := range rev.files {
		s := sibling{Path: e.Path}
		if blobs, err := strconv.ParseBool(u.Query().Get("blobs")); err == nil && blobs {
			s.Size, s.BlobID = &e.Size, e.gitOID
			if e.sha256 != "" {
				s.LFS = &lfsSibling{e.sha256, e.Size, len(pointer(e.sha256, e.Size))}
			}
		}
		info.Siblings = append(info.Siblings, s)
	}
	return info
}

type lfsNode struct {
	OID         string `json:"oid"`
	Size        int64  `json:"size"`
	PointerSize int    `json:"pointerSize"`
}

type node struct {
	Type    string   `json:"type"`
	OID     string   `json:"oid"`
	Size    int64    `json:"size"`
	Path    string   `json:"path"`
	LFS     *lfsNode `json:"lfs,omitempty"`
	XetHash string   `json:"xetHash,omitempty"`
}

// treeJSON is one page of the tree; the header Link leads to the next.
func (h *Hub) treeJSON(header http.Header, u *url.URL, _ hfcache.Repo, rev revision) any {
	nodes := nodesOf(rev, u)
	from, err := strconv.Atoi(u.Query().Get("cursor"))
	if err != nil || from < 0 {
		from = 0
	}
	from = min(from, len(nodes))
	to := len(nodes)
	if h.opts.PageSize > 0 {
		to = min(to, from+h.opts.PageSize)
	}
	if to < len(nodes) {
		q := u.Query()
		q.Set("cursor", strconv.Itoa(to))
		header.Set("Link", fmt.Sprintf("<%s%s?%s>; rel=\"next\"", h.url, u.EscapedPath(), q.Encode()))
	}
	return nodes[from:to]
}

// nodesOf are all files, or without ?recursive=true those at the top and its
// directories, as the file system of huggingface_hub asks for them.
func nodesOf(rev revision, u *url.URL) []node {
	recursive, err := strconv.ParseBool(u.Query().Get("recursive"))
	nodes := []node{}
	for _, e := range rev.files {
		if dir, _, beneath := strings.Cut(e.Path, "/"); beneath && err == nil && !recursive {
			if !slices.ContainsFunc(nodes, func(n node) bool { return n.Path == dir }) {
				nodes = append(nodes, node{Type: "directory", OID: gitSum([]byte(dir)), Path: dir})
			}
			continue
		}
		nodes = append(nodes, nodeOf(e))
	}
	return nodes
}

func nodeOf(e Entry) node {
	n := node{Type: "file", OID: e.gitOID, Size: e.Size, Path: e.Path, XetHash: e.XetHash}
	if e.sha256 != "" {
		n.LFS = &lfsNode{e.sha256, e.Size, len(pointer(e.sha256, e.Size))}
	}
	return n
}

// unescape undoes the escapes of a part of a path that was already accepted.
func unescape(part string) string {
	plain, err := url.PathUnescape(part)
	if err != nil {
		return part
	}
	return plain
}

// refuse answers with an error as the hub's API does.
func refuse(w http.ResponseWriter, f Fault) {
	text := f.ErrorCode
	if text == "" {
		text = http.StatusText(f.Status)
	}
	if f.ErrorCode != "" {
		w.Header().Set("X-Error-Code", f.ErrorCode)
	}
	w.Header().Set("X-Error-Message", text)
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	_, _ = fmt.Fprintf(w, "{\"error\":%q}\n", text)
}
