package hublist

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"progressd/hfcache"
	"progressd/internal/hub"
)

func TestAListingIsFetchedPageByPageAndKept(t *testing.T) {
	h := hub.New(hub.Options{PageSize: 2})
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	for _, repo := range []hfcache.Repo{demo, {Type: hfcache.Dataset, ID: "org/data"}, {Type: hfcache.Space, ID: "plain"}} {
		commit, entries, err := h.Publish(repo, "main",
			hub.File{Path: "a.json", Size: 10}, hub.File{Path: "b/c.bin", Size: 3000, Storage: hub.LFS},
			hub.File{Path: "d.bin", Size: 3001, Storage: hub.Xet}, hub.File{Path: "e", Size: 0}, hub.File{Path: "f", Size: 1})
		if err != nil {
			t.Fatal(err)
		}
		var want hfcache.Listing
		for _, e := range entries {
			want.Files = append(want.Files, hfcache.ListedFile{Path: e.Path, Etag: e.Etag, Size: e.Size})
		}
		dir := t.TempDir()
		asked := request{repo, commit}
		if got := run(t, h.URL(), dir).until(t, asked); !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %+v, want %+v", repo, got, want)
		}
		again := run(t, h.URL()+"0", dir) // another endpoint, which is none
		if _, err := again.shelf.load(asked); err == nil {
			t.Errorf("%v: another endpoint's answer is taken", repo)
		}
		if got := run(t, h.URL(), dir).until(t, asked); !reflect.DeepEqual(got, want) {
			t.Errorf("%v: kept %+v, want %+v", repo, got, want)
		}
	}
}

func TestTheTokenGoesWithEachRequest(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/m/api/models/org/demo/"):
			http.Redirect(w, r, "/m/api/models/new/name/tree/"+commitA+"?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
		case r.URL.Query().Get("cursor") == "":
			say(200, page("a"), "Link", "<"+r.URL.Path+`?cursor=2>; rel="next", <x>; rel="last"`)(w, r)
		default:
			say(200, page("b"))(w, r)
		}
	})
	got := run(t, s.URL+"/m", t.TempDir()).until(t, demoA)
	if len(got.Files) != 2 {
		t.Errorf("got %+v", got)
	}
	want := []string{
		"/m/api/models/org/demo/tree/" + commitA + "?recursive=true&expand=false",
		"/m/api/models/new/name/tree/" + commitA + "?recursive=true&expand=false",
		"/m/api/models/new/name/tree/" + commitA + "?cursor=2",
	}
	if !reflect.DeepEqual(s.requests(), want) {
		t.Errorf("asked %q", s.requests())
	}
	for _, token := range s.tokens {
		if token != "Bearer "+secret {
			t.Errorf("known as %q", token)
		}
	}
}

func TestOnlyValidNamesAreAskedFor(t *testing.T) {
	s := serve(t, say(200, page("a")))
	g := run(t, s.URL, t.TempDir())
	for _, r := range []request{
		{demo, "main"},
		{demo, "../" + commitA[3:]},
		{hfcache.Repo{Type: hfcache.Model, ID: "../x"}, commitA},
		{hfcache.Repo{Type: "x", ID: "a/b"}, commitA},
	} {
		g.Listing(r.repo, r.commit)
	}
	g.until(t, demoA)
	if len(s.requests()) != 1 {
		t.Errorf("asked %q", s.requests())
	}
}

func TestAnAnswerOnDiskThatCannotBeUsedIsReplaced(t *testing.T) {
	s := serve(t, say(200, page("a")))
	other := shelf{dir: t.TempDir()}
	elsewhere := other.path(demoA)
	if err := other.save(demoA, listingOf("x", "y")); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(path string) error{
		"empty":     func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"truncated": func(path string) error { return os.Truncate(path, 40) },
		"NULs":      func(path string) error { return os.WriteFile(path, make([]byte, 100), 0o600) },
		"no file":   func(path string) error { return os.WriteFile(path, []byte(`{"format_version":1,"files":{}}`), 0o600) },
		"a link":    func(path string) error { return os.Symlink(elsewhere, path) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			run(t, s.URL, dir).until(t, demoA)
			g := run(t, s.URL, dir)
			path := g.shelf.path(demoA)
			if name == "a link" {
				_ = os.Remove(path)
			}
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			if l := g.until(t, demoA); len(l.Files) != 1 {
				t.Errorf("taken: %+v", l)
			}
			if l, err := g.shelf.load(demoA); err != nil || len(l.Files) != 1 {
				t.Errorf("not replaced: %v", err)
			}
		})
	}
}

func TestAnAnswerThatCannotBeKeptIsGivenAllTheSame(t *testing.T) {
	s := serve(t, say(200, page("a")))
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := run(t, s.URL, dir)
	g.until(t, demoA)
	g.hurry()
	g.until(t, demoB)
	if n := strings.Count(g.logs.String(), "cannot keep an answer"); n != 1 {
		t.Errorf("said %d times:\n%s", n, g.logs)
	}
}

func TestTheShelfIsBoundedAndTheOldestGo(t *testing.T) {
	s := shelf{dir: t.TempDir(), endpoint: "x"}
	foreign := filepath.Join(s.dir, "mine.json")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range maxShelved + 10 {
		r := request{demo, hexCommit(i)}
		if err := s.save(r, listingOf("a")); err != nil {
			t.Fatal(err)
		}
		age(t, s.path(r), i)
	}
	for i, want := range map[int]bool{0: false, 8: false, 10: true, maxShelved + 9: true} {
		if _, err := s.load(request{demo, hexCommit(i)}); (err == nil) != want {
			t.Errorf("answer %d: %v", i, err)
		}
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error("somebody else's file was removed")
	}
	big := listingOf(strings.Repeat("x", 4000))
	for i := range 9000 {
		big.Files = append(big.Files, hfcache.ListedFile{Path: strings.Repeat("y", 4000) + hexCommit(i), Etag: sha1Hex, Size: 1})
	}
	for _, r := range []request{demoA, demoB} {
		if err := s.save(r, big); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil || len(entries) > maxShelved {
		t.Errorf("%d files, %v", len(entries), err)
	}
	var bytes int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
	}
	if bytes > maxShelvedBytes {
		t.Errorf("%d bytes are kept", bytes)
	}
}

func hexCommit(i int) string { return fmt.Sprintf("%040x", i) }

// age makes a file the newer the later it came.
func age(t *testing.T, path string, i int) {
	t.Helper()
	at := time.Now().Add(time.Duration(i)*time.Second - time.Hour)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}
