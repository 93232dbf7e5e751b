package hub

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"progressd/hfcache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var demo = hfcache.Repo{Type: hfcache.Model, ID: "org/demo"}

func started(t *testing.T, opts Options) *Hub {
	t.Helper()
	h := New(opts)
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("cannot close the hub: %v", err)
		}
	})
	return h
}

func publish(t *testing.T, h *Hub, repo hfcache.Repo, files ...File) (string, []Entry) {
	t.Helper()
	commit, entries, err := h.Publish(repo, "main", files...)
	if err != nil {
		t.Fatal(err)
	}
	return commit, entries
}

type answer struct {
	status int
	header http.Header
	body   []byte
	err    error // of reading the body
}

func ask(t *testing.T, method, url string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	got, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body := bytes.NewBuffer(make([]byte, 0, bytes.MinRead+max(got.ContentLength, 0)))
	_, err = body.ReadFrom(got.Body)
	return answer{got.StatusCode, got.Header, body.Bytes(), err}
}

func TestContentIsTheSameFromAnyOffset(t *testing.T) {
	c := content{seed: 7, size: 1003}
	whole, err := io.ReadAll(c.from(0))
	if err != nil || int64(len(whole)) != c.size {
		t.Fatalf("got %d bytes, %v", len(whole), err)
	}
	for off := range c.size {
		part, err := io.ReadAll(io.LimitReader(c.from(off), 19))
		if err != nil {
			t.Fatal(err)
		}
		if want := whole[off:min(off+19, c.size)]; !bytes.Equal(part, want) {
			t.Fatalf("from %d: got %x, want %x", off, part, want)
		}
	}
	other, err := io.ReadAll(content{seed: 8, size: 1003}.from(0))
	if err != nil || bytes.Equal(whole, other) {
		t.Errorf("another seed gives the same bytes (%v)", err)
	}
}

func TestEtagsAreTheHashesOfWhatIsServed(t *testing.T) {
	h := started(t, Options{})
	_, entries := publish(t, h, demo,
		File{Path: "a.json", Size: 1001}, File{Path: "b.bin", Size: 300_001, Storage: LFS}, File{Path: "empty", Size: 0})
	for _, e := range entries {
		got := ask(t, http.MethodGet, h.URL()+"/org/demo/resolve/main/"+e.Path)
		want := sha256.Sum256(got.body)
		name := hex.EncodeToString(want[:])
		if e.Storage == Git {
			git := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(got.body)), got.body...))
			name = hex.EncodeToString(git[:])
		}
		if e.Etag != name || got.header.Get("ETag") != `"`+name+`"` || int64(len(got.body)) != e.Size {
			t.Errorf("%s: etag %s, header %s, %d bytes; want %s, %d bytes", e.Path, e.Etag, got.header.Get("ETag"), len(got.body), name, e.Size)
		}
		if h.Served(e.Etag) != e.Size || h.Requests(e.Etag) != 1 {
			t.Errorf("%s: served %d in %d requests", e.Path, h.Served(e.Etag), h.Requests(e.Etag))
		}
	}
}

func TestTreeComesInPages(t *testing.T) {
	h := started(t, Options{PageSize: 2})
	commit, entries := publish(t, h, demo,
		File{Path: "z"}, File{Path: "sub/a", Size: 5, Storage: LFS}, File{Path: "b", Size: 9, Storage: Xet})
	var paths []string
	for url := h.URL() + "/api/models/org/demo/tree/" + commit + "?recursive=true"; url != ""; {
		got := ask(t, http.MethodGet, url)
		var page []node
		if err := json.Unmarshal(got.body, &page); err != nil {
			t.Fatalf("%s: %v", got.body, err)
		}
		for _, n := range page {
			e := entries[len(paths)]
			paths = append(paths, n.Path)
			if n.OID != e.gitOID || n.Size != e.Size || n.XetHash != e.XetHash || (n.LFS != nil) != (e.Storage != Git) {
				t.Errorf("%+v does not tell of %+v", n, e)
			}
			if n.LFS != nil && (n.LFS.OID != e.Etag || n.LFS.PointerSize < 100 || n.OID == e.Etag) {
				t.Errorf("lfs of %s: %+v", n.Path, n.LFS)
			}
		}
		url, _ = strings.CutSuffix(strings.TrimPrefix(got.header.Get("Link"), "<"), `>; rel="next"`)
	}
	if got := strings.Join(paths, " "); got != "z sub/a b" {
		t.Errorf("listed %q, not in the order of publishing", got)
	}
}

func TestRevisionNamesCommitAndFiles(t *testing.T) {
	h := started(t, Options{})
	for _, repo := range []hfcache.Repo{demo, {Type: hfcache.Dataset, ID: "org/data"}, {Type: hfcache.Space, ID: "org/app"}, {Type: hfcache.Model, ID: "gpt2"}} {
		commit, entries := publish(t, h, repo, File{Path: "f.bin", Size: 10, Storage: LFS})
		base := h.URL() + "/api/" + string(repo.Type) + "s/" + repo.ID + "/revision/main"
		var info struct {
			SHA      string
			Siblings []sibling
		}
		if err := json.Unmarshal(ask(t, http.MethodGet, base).body, &info); err != nil {
			t.Fatal(err)
		}
		if info.SHA != commit || len(info.Siblings) != 1 || info.Siblings[0].Size != nil {
			t.Errorf("%v: got %+v, want commit %s and one bare file", repo, info, commit)
		}
		if err := json.Unmarshal(ask(t, http.MethodGet, base+"?blobs=true").body, &info); err != nil {
			t.Fatal(err)
		}
		if s := info.Siblings[0]; s.Size == nil || *s.Size != 10 || s.LFS == nil || s.LFS.SHA256 != entries[0].Etag {
			t.Errorf("%v with blobs: got %+v", repo, s)
		}
		prefix := map[hfcache.RepoType]string{hfcache.Dataset: "datasets/", hfcache.Space: "spaces/"}[repo.Type]
		head := ask(t, http.MethodHead, h.URL()+"/"+prefix+repo.ID+"/resolve/"+commit+"/f.bin")
		if head.status != http.StatusOK || head.header.Get("X-Repo-Commit") != commit || head.header.Get("Content-Length") != "10" {
			t.Errorf("%v: HEAD gave %+v", repo, head)
		}
	}
}

func TestRevisionsShareBlobsAndStayReachable(t *testing.T) {
	h := started(t, Options{})
	first, old := publish(t, h, demo, File{Path: "a", Size: 10}, File{Path: "b", Size: 20})
	second, renewed := publish(t, h, demo, File{Path: "a", Size: 10}, File{Path: "b", Size: 20, Seed: 99})
	if first == second || old[0].Etag != renewed[0].Etag || old[1].Etag == renewed[1].Etag {
		t.Fatalf("commits %s, %s; blobs %v, %v", first, second, old, renewed)
	}
	for rev, want := range map[string]string{first: old[1].Etag, second: renewed[1].Etag, "main": renewed[1].Etag} {
		if got := ask(t, http.MethodHead, h.URL()+"/org/demo/resolve/"+rev+"/b").header.Get("ETag"); got != `"`+want+`"` {
			t.Errorf("b at %s has etag %s, want %s", rev, got, want)
		}
	}
}

func TestRangesAndRedirects(t *testing.T) {
	h := started(t, Options{CDN: true})
	_, entries := publish(t, h, demo, File{Path: "small", Size: 100}, File{Path: "dir/large file", Size: 1000, Storage: LFS})
	moved := ask(t, http.MethodHead, h.URL()+"/org/demo/resolve/main/dir/large%20file")
	if moved.status != http.StatusFound || moved.header.Get("X-Linked-Size") != "1000" || moved.header.Get("X-Linked-Etag") != `"`+entries[1].Etag+`"` {
		t.Fatalf("no redirect with size and etag: %+v", moved)
	}
	large := moved.header.Get("Location")
	if strings.HasPrefix(large, h.URL()) {
		t.Errorf("%s is on the same origin: clients would follow and miss the headers", large)
	}
	whole := ask(t, http.MethodGet, large).body
	for _, c := range []struct {
		asked  string
		status int
		want   []byte
	}{
		{"bytes=0-", http.StatusPartialContent, whole},
		{"bytes=900-", http.StatusPartialContent, whole[900:]},
		{"bytes=10-19", http.StatusPartialContent, whole[10:20]},
		{"bytes=990-5000", http.StatusPartialContent, whole[990:]},
		{"bytes=1000-", http.StatusRequestedRangeNotSatisfiable, nil},
		{"bytes=x-", http.StatusOK, whole},
		{"bytes=-5", http.StatusOK, whole},
	} {
		got := ask(t, http.MethodGet, large, "Range", c.asked)
		if got.status != c.status || c.want != nil && !bytes.Equal(got.body, c.want) {
			t.Errorf("%s: got %d and %d bytes, want %d and %d", c.asked, got.status, len(got.body), c.status, len(c.want))
		}
	}
	h.Break(demo, "dir/large file", Fault{IgnoreRange: true})
	if got := ask(t, http.MethodGet, large, "Range", "bytes=900-"); got.status != http.StatusOK || !bytes.Equal(got.body, whole) {
		t.Errorf("range not ignored: %d, %d bytes", got.status, len(got.body))
	}
	if small := ask(t, http.MethodGet, h.URL()+"/org/demo/resolve/main/small"); small.status != http.StatusOK {
		t.Errorf("a small file was redirected: %d", small.status)
	}
}

func TestRefusals(t *testing.T) {
	h := started(t, Options{})
	gated := hfcache.Repo{Type: hfcache.Model, ID: "org/gated"}
	publish(t, h, demo, File{Path: "a", Size: 10}, File{Path: "b", Size: 10})
	publish(t, h, gated, File{Path: "a", Size: 10})
	h.Break(gated, "", Fault{Status: http.StatusForbidden, ErrorCode: "GatedRepo"})
	h.Break(demo, "b", Fault{Status: http.StatusTooManyRequests, RetryAfter: "7", Times: 1})
	for _, c := range []struct {
		path   string
		status int
		code   string
	}{
		{"/api/models/org/gated/revision/main", http.StatusForbidden, "GatedRepo"},
		{"/org/gated/resolve/main/a", http.StatusForbidden, "GatedRepo"},
		{"/api/models/org/none/revision/main", http.StatusUnauthorized, "RepoNotFound"},
		{"/api/models/org/demo/revision/v9", http.StatusNotFound, "RevisionNotFound"},
		{"/org/demo/resolve/main/none", http.StatusNotFound, "EntryNotFound"},
		{"/org/demo/resolve/main/b", http.StatusTooManyRequests, ""},
		{"/org/demo/resolve/main/b", http.StatusOK, ""}, // once only
		{"/api/agent-harnesses", http.StatusNotFound, ""},
		{"/", http.StatusNotFound, ""},
	} {
		got := ask(t, http.MethodGet, h.URL()+c.path)
		if got.status != c.status || got.header.Get("X-Error-Code") != c.code {
			t.Errorf("%s: got %d %q, want %d %q", c.path, got.status, got.header.Get("X-Error-Code"), c.status, c.code)
		}
		if c.status == http.StatusTooManyRequests && got.header.Get("Retry-After") != "7" {
			t.Errorf("%s: no Retry-After", c.path)
		}
	}
}

func TestConnectionsAreCutAndBodiesShort(t *testing.T) {
	h := started(t, Options{})
	publish(t, h, demo, File{Path: "a", Size: 500_000}, File{Path: "b", Size: 500_000})
	h.Break(demo, "a", Fault{CutAt: 100_001, Times: 1})
	h.Break(demo, "b", Fault{Short: 1234})
	cut := ask(t, http.MethodGet, h.URL()+"/org/demo/resolve/main/a")
	if !errors.Is(cut.err, io.ErrUnexpectedEOF) || len(cut.body) != 100_001 {
		t.Errorf("got %d bytes and %v, want 100001 and a broken connection", len(cut.body), cut.err)
	}
	if again := ask(t, http.MethodGet, h.URL()+"/org/demo/resolve/main/a"); again.err != nil || len(again.body) != 500_000 {
		t.Errorf("not mended: %d bytes, %v", len(again.body), again.err)
	}
	if short := ask(t, http.MethodGet, h.URL()+"/org/demo/resolve/main/b"); short.err != nil || len(short.body) != 1234 {
		t.Errorf("got %d bytes and %v, want a clean end at 1234", len(short.body), short.err)
	}
}

func TestGateHoldsUntilItIsOpened(t *testing.T) {
	h := started(t, Options{})
	_, entries := publish(t, h, demo, File{Path: "a", Size: 300_000})
	gate := NewGate()
	h.Break(demo, "a", Fault{Gate: gate, GateAt: 200_000})
	done := make(chan answer, 1)
	go func() { done <- ask(t, http.MethodGet, h.URL()+"/org/demo/resolve/main/a") }()
	<-gate.Reached()
	if got := h.Served(entries[0].Etag); got != 200_000 {
		t.Errorf("%d bytes passed the gate, want 200000", got)
	}
	select {
	case <-done:
		t.Fatal("the closed gate held nothing back")
	default:
	}
	gate.Open()
	gate.Open()
	if got := <-done; got.err != nil || len(got.body) != 300_000 {
		t.Errorf("after the gate: %d bytes, %v", len(got.body), got.err)
	}
}

func TestCloseEndsWhatStandsAtAGate(t *testing.T) {
	h := New(Options{})
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	publish(t, h, demo, File{Path: "a", Size: 300_000})
	gate := NewGate()
	h.Break(demo, "a", Fault{Gate: gate})
	done := make(chan answer, 1)
	go func() { done <- ask(t, http.MethodGet, h.URL()+"/org/demo/resolve/main/a") }()
	<-gate.Reached()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if got := <-done; got.err == nil {
		t.Errorf("got %d bytes and no error from a closed hub", len(got.body))
	}
}

func TestRateSpreadsBytesOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{rate: 1000}
		began := time.Now()
		done := make(chan error)
		for range 2 {
			go func() {
				for range 5 {
					if err := b.take(t.Context(), 500); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		if err := errors.Join(<-done, <-done); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("5000 bytes at 1000 a second took %v", took)
		}
	})
}

func TestFileRateIsForEachResponseAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{FileRate: 1 << 20})
		_, entries := publish(t, h, demo, File{Path: "a", Size: 4 << 20}, File{Path: "b", Size: 4 << 20})
		began := time.Now()
		var both sync.WaitGroup
		for _, e := range entries {
			both.Go(func() { h.send(t.Context(), httptest.NewRecorder(), e, span{0, e.Size}, Fault{}) })
		}
		both.Wait()
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("4 MiB at 1 MiB a second took %v, twice at once", took)
		}
	})
}

func TestWhatLoadersAskFor(t *testing.T) {
	h := started(t, Options{})
	commit, entries := publish(t, h, demo, File{Path: "config.json", Text: `{"a": 1}`}, File{Path: "sub/a", Size: 5}, File{Path: "sub/b/c", Size: 6})
	base := h.URL() + "/api/models/org/demo"
	for _, tt := range []struct{ name, url, want string }{
		{"a text", h.URL() + "/org/demo/resolve/main/config.json", `{"a": 1}`},
		{"branches, for llama.cpp", base + "/refs", `{"branches":[{"name":"main","ref":"refs/heads/main","targetCommit":"` + commit + `"}]}` + "\n"},
		{
			"the top alone, for vLLM", base + "/tree/main?recursive=false",
			`[{"type":"file","oid":"` + entries[0].Etag + `","size":8,"path":"config.json"},{"type":"directory","oid":"` + gitSum([]byte("sub")) + `","size":0,"path":"sub"}]` + "\n",
		},
	} {
		if got := string(ask(t, http.MethodGet, tt.url).body); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}
