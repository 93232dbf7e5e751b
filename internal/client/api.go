package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"progressd/hfcache"
)

// listed is a file as the listing on disk names it; the fields but for Path
// are empty where the client has no listing.
type listed struct {
	Path      string `json:"-"`
	Size      int64  `json:"size"`
	BlobID    string `json:"blob_id"`
	LFSSHA256 string `json:"lfs_sha256,omitempty"`
	LFSSize   int64  `json:"lfs_size,omitempty"`
	XetHash   string `json:"xet_hash,omitempty"`
}

// tree is the files of a commit in the hub's order.
type tree struct {
	commit string
	files  []listed
}

// json is the text of trees/<commit>.json: sorted by path.
func (t tree) json() ([]byte, error) {
	files := make(map[string]listed, len(t.files))
	for _, f := range t.files {
		files[f.Path] = f
	}
	return json.MarshalIndent(map[string]any{"format_version": 1, "files": files}, "", " ")
}

// list asks for a revision and, if the generation keeps a listing, its tree.
func (d *download) list(ctx context.Context, revision string) (tree, error) {
	api := d.Endpoint + "/api/" + string(d.repo.Type) + "s/" + d.repo.ID
	var info struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Path string `json:"rfilename"`
		} `json:"siblings"`
	}
	if _, err := d.getJSON(ctx, api+"/revision/"+url.PathEscape(revision), &info); err != nil {
		return tree{}, err
	}
	t := tree{commit: info.SHA}
	if !d.listing {
		for _, s := range info.Siblings {
			t.files = append(t.files, listed{Path: s.Path})
		}
		return t, nil
	}
	for page := api + "/tree/" + info.SHA + "?recursive=true&expand=false"; page != ""; {
		var nodes []struct {
			Type, Path, OID string
			Size            int64
			LFS             struct {
				OID  string
				Size int64
			}
			XetHash string
		}
		header, err := d.getJSON(ctx, page, &nodes)
		if err != nil {
			return tree{}, err
		}
		for _, n := range nodes {
			if n.Type == "file" {
				t.files = append(t.files, listed{n.Path, n.Size, n.OID, n.LFS.OID, n.LFS.Size, n.XetHash})
			}
		}
		page = nextPage(header.Get("Link"))
	}
	return t, nil
}

// nextPage reads <URL>; rel="next".
func nextPage(link string) string {
	address, ok := strings.CutSuffix(link, `>; rel="next"`)
	if !ok {
		return ""
	}
	return strings.TrimPrefix(address, "<")
}

func (d *download) getJSON(ctx context.Context, address string, into any) (http.Header, error) {
	answer, err := d.request(ctx, http.MethodGet, address, 0)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return nil, fmt.Errorf("cannot read the answer of %q: %w", address, err)
	}
	return answer.Header, nil
}

// about is what the hub says of one file.
type about struct {
	commit, etag, url string
	size              int64
	xetHash           string
}

func (d *download) fileURL(commit, path string) string {
	prefix := ""
	if d.repo.Type != hfcache.Model {
		prefix = string(d.repo.Type) + "s/"
	}
	return d.Endpoint + "/" + prefix + d.repo.ID + "/resolve/" + url.PathEscape(commit) + "/" + (&url.URL{Path: path}).EscapedPath()
}

// head asks for the facts about a file.
func (d *download) head(ctx context.Context, revision, path string) (about, error) {
	address := d.fileURL(revision, path)
	answer, err := d.request(ctx, http.MethodHead, address, 0)
	if err != nil {
		return about{}, err
	}
	defer answer.Body.Close()
	a := about{commit: answer.Header.Get("X-Repo-Commit"), url: address, size: answer.ContentLength}
	a.etag = answer.Header.Get("X-Linked-Etag")
	if a.etag == "" {
		a.etag = answer.Header.Get("ETag")
	}
	a.etag = strings.Trim(strings.TrimPrefix(a.etag, "W/"), `"`)
	if to := answer.Header.Get("Location"); to != "" {
		a.url = to
		if a.size, err = strconv.ParseInt(answer.Header.Get("X-Linked-Size"), 10, 64); err != nil {
			return about{}, fmt.Errorf("no size in the redirect of %q: %w", address, err)
		}
	}
	if a.commit == "" || a.etag == "" {
		return about{}, fmt.Errorf("no commit or no etag in the answer of %q", address)
	}
	return a, nil
}

// about gives the facts about a listed file: of a Xet file the listing knows
// them all, for others the hub is asked.
func (d *download) about(ctx context.Context, commit string, f listed) (about, error) {
	if f.XetHash == "" {
		return d.head(ctx, commit, f.Path)
	}
	return about{commit: commit, etag: f.LFSSHA256, url: d.fileURL(commit, f.Path), size: f.LFSSize, xetHash: f.XetHash}, nil
}

// statusError is an answer that refuses.
type statusError struct {
	status int
	code   string
	url    string
}

func (e *statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s for %q %s", e.status, http.StatusText(e.status), e.url, e.code))
}

// request asks once, from an offset on. Redirects are left to the caller.
func (d *download) request(ctx context.Context, method, address string, from int64) (*http.Response, error) {
	span := ""
	if from > 0 {
		span = fmt.Sprintf("bytes=%d-", from)
	}
	return d.ask(ctx, method, address, span)
}

// ask is request for a span as the header Range has it, empty for all.
func (d *download) ask(ctx context.Context, method, address, span string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept-Encoding", "identity")
	if span != "" {
		r.Header.Set("Range", span)
	}
	answer, err := d.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		err := &statusError{answer.StatusCode, answer.Header.Get("X-Error-Code"), address}
		return nil, errors.Join(err, answer.Body.Close())
	}
	return answer, nil
}
