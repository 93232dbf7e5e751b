package hub

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"progressd/hfcache"
)

type ref struct {
	Name         string `json:"name"`
	Ref          string `json:"ref"`
	TargetCommit string `json:"targetCommit"`
}

// refsJSON answers {type}/{id}/refs, by which llama.cpp finds the commit.
func (h *Hub) refsJSON(_ http.Header, _ *url.URL, repo hfcache.Repo, _ revision) any {
	h.mu.Lock()
	defer h.mu.Unlock()
	branches := []ref{}
	for _, name := range slices.Sorted(maps.Keys(h.repos[repo].refs)) {
		branches = append(branches, ref{Name: name, Ref: "refs/heads/" + name, TargetCommit: h.repos[repo].refs[name]})
	}
	return struct {
		Branches []ref `json:"branches"`
	}{branches}
}

// commitInfo is the commit that a file came with.
type commitInfo struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Date  string `json:"date"`
}

type pathInfo struct {
	node
	LastCommit commitInfo `json:"lastCommit"`
}

// pathsJSON answers {type}/{id}/paths-info/{rev}, which @huggingface/hub asks
// before each file: of the paths that the body names, those that are there.
func pathsJSON(body io.Reader, rev revision) any {
	var asked struct {
		Paths []string `json:"paths"`
	}
	infos := []pathInfo{}
	if err := json.NewDecoder(io.LimitReader(body, 1<<20)).Decode(&asked); err != nil {
		return infos
	}
	for _, e := range rev.files {
		if slices.Contains(asked.Paths, e.Path) {
			infos = append(infos, pathInfo{nodeOf(e), commitInfo{ID: rev.commit, Title: "made up", Date: "2026-01-01T00:00:00.000Z"}})
		}
	}
	return infos
}
