package hub

import (
	"encoding/json"
	"io"
	"slices"
)

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
