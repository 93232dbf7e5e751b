package web

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"

	"progressd/hfcache"
	"progressd/live"
	"progressd/socket"
)

// A list is all downloads: those that go on, those that need somebody, and what
// has ended within a day.
type list = snapshot

// listDownloads answers how all downloads stand.
func (s *Server) listDownloads(w http.ResponseWriter, r *http.Request) {
	n, ok := s.heard(w, r)
	if ok {
		writeJSON(w, r, list{Version: n.version, Downloads: n.downloads})
	}
}

// heard is how all stand, if the daemon says so: else that was answered.
func (s *Server) heard(w http.ResponseWriter, r *http.Request) (now, bool) {
	n, err := s.relay.now(r.Context())
	if err == nil && n.lost != nil {
		err = n.lost.Err
	}
	if err != nil {
		nobody(w, r, err)
		return n, false
	}
	return n, true
}

// A stand is how a repository stands in each cache that is watched.
type stand struct {
	Model    string            `json:"model"`
	RepoType string            `json:"repo_type"`
	Answers  []socket.Answered `json:"answers"`
}

// askModel answers how a repository stands: the daemon looks at it now.
func (s *Server) askModel(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("name")
	if org := r.PathValue("org"); org != "" {
		id = org + "/" + id
	}
	repo, ok := hfcache.NewRepo(hfcache.RepoType(r.PathValue("type")), id)
	if !ok || repo.Type == hfcache.Local {
		problem(w, r, http.StatusBadRequest, "that is no repository: expected /v1/models/TYPE/ORG/NAME, where TYPE is model, dataset or space")
		return
	}
	leave, ok := enterSoon(r.Context(), s.asks)
	if !ok {
		busy(w, r, "too many ask")
		return
	}
	defer leave()
	all, err := live.Ask(r.Context(), s.opts.Sockets, repo.String())
	switch {
	case err != nil && r.Context().Err() == nil:
		nobody(w, r, err)
	case err != nil: // who asked is gone
	case len(all) == 0:
		problem(w, r, http.StatusNotFound, fmt.Sprintf("%s is in no cache that is watched and may be seen from here", repo))
	default:
		writeJSON(w, r, stand{Model: repo.ID, RepoType: string(repo.Type), Answers: all})
	}
}

// health answers whether the daemon does.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.heard(w, r); ok {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	}
}

//go:embed openapi.json
var openapi []byte

// describe answers what there is, as OpenAPI has it.
func (s *Server) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openapi)
}

func writeJSON(w http.ResponseWriter, r *http.Request, value any) {
	text, err := json.Marshal(value)
	if err != nil { // it can't be: there are only texts, numbers and times
		problem(w, r, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n'))
}
