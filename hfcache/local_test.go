package hfcache

import (
	"strings"
	"testing"
	"unicode"
)

func TestDirectoriesThatMayHoldADownloadOfTheirOwn(t *testing.T) {
	for rel, id := range map[string]string{
		".":              ".",
		"llama":          "llama",
		"org/model-7b":   "org/model-7b",
		"blobs":          "blobs",
		"a b/c\n\x1b[2J": "a%20b/c%0A%1B%5B2J",
		"50%/\xff":       "50%25/%FF",
	} {
		repo, ok := LocalRepo(rel)
		if !ok || repo.Type != Local || repo.ID != id {
			t.Errorf("%q: %+v, %v, want %q", rel, repo, ok, id)
		}
		if got := repo.Folder(); got != rel {
			t.Errorf("%q comes back as %q", rel, got)
		}
	}
	for _, rel := range []string{
		"", "..", "../x", "a/..", ".cache", "a/.git", "/", "/a", "a/", "a//b", "a/b/c", "a\x00b",
		"models--org--demo", "hub/models--org--demo", "datasets--x/y", "blobs/0f", strings.Repeat("x", 256),
	} {
		if repo, ok := LocalRepo(rel); ok {
			t.Errorf("%q is taken for %+v", rel, repo)
		}
	}
}

func TestWhatALocalDirIsCalledWhileNobodyKnows(t *testing.T) {
	for rel, want := range map[string]string{
		".": "models", "llama": "llama", "org/llama": "llama", "a b": "a_b", "-x.": "_x_",
		"\x1b[2J": "__2J", "\u202eevil": "___evil", strings.Repeat("y", 200): strings.Repeat("y", 96),
	} {
		repo, ok := LocalRepo(rel)
		got := repo.LocalName("/data/models")
		if _, valid := NewRepo(got.Type, got.ID); !ok || !valid && !strings.Contains(got.ID, "__") || got.ID != want {
			t.Errorf("%q is called %+v, want %q", rel, got, want)
		}
	}
	llama, _ := LocalRepo("a b/llama")
	if got := llama.Within("/data"); got != "/data/a%20b/llama" {
		t.Errorf("it lies at %q", got)
	}
	root, _ := LocalRepo(".")
	if got := root.Within("/data"); got != "/data" {
		t.Errorf("the root lies at %q", got)
	}
}

// Names as the real clients made them (0.26.5, 0.36.2, 2.4.0).
func TestPartialsOfALocalDir(t *testing.T) {
	const (
		sha1   = "713d0e4bfb450293c31bae59ec33a90a41a62c08"
		sha256 = "eae5ffd834d12946a11b3d9bb147389b91bfd339bacaf6be81ad1c55382b2d0d"
		hash   = "8_PA_wEVGiVa2goH2H4KQOQpvVY="
	)
	if got := LocalHash("config.json"); got != hash {
		t.Errorf("hash %q, want %q", got, hash)
	}
	for name, want := range map[string]LocalPartial{
		"config.json." + sha1 + ".incomplete":                  {File: "config.json", Etag: sha1},
		"LICENSE." + sha256 + ".incomplete":                    {File: "LICENSE", Etag: sha256},
		hash + "." + sha1 + ".incomplete":                      {Hash: hash, Etag: sha1},
		hash + "." + sha256 + ".508381b7.incomplete":           {Hash: hash, Etag: sha256, Attempt: "508381b7"},
		hash + ".mirror-1.508381b7.incomplete":                 {Hash: hash, Etag: "mirror-1", Attempt: "508381b7"},
		"a.b.0123abcd.incomplete":                              {File: "a.b", Etag: "0123abcd"},
		"x.incomplete." + sha1 + ".incomplete":                 {File: "x.incomplete", Etag: sha1},
		"w.lock." + sha256 + ".0123abcd.incomplete":            {File: "w.lock", Etag: sha256, Attempt: "0123abcd"},
		"\x1b." + sha1 + ".incomplete":                         {File: "\x1b", Etag: sha1},
		"no-hash-of-28-characters----." + sha1 + ".incomplete": {File: "no-hash-of-28-characters----", Etag: sha1},
	} {
		if got, ok := ParseLocalPartial(name); !ok || got != want {
			t.Errorf("%q: %+v, %v", name, got, ok)
		}
	}
	for _, name := range []string{
		"", ".incomplete", "a.incomplete", "." + sha1 + ".incomplete", "a..incomplete", "a.b/c.incomplete",
		"config.json.lock", "config.json.metadata", strings.Repeat("a", 250) + ".b.incomplete",
	} {
		if got, ok := ParseLocalPartial(name); ok {
			t.Errorf("%q is taken for %+v", name, got)
		}
	}
}

func TestMetadataOfALocalDir(t *testing.T) {
	const commit = "335aa428eceeaad7d2953f38efdc11cab6b64760"
	if c, e, ok := ReadLocalNote(commit + "\nabc\n1795387278.201938\n"); !ok || c != commit || e != "abc" {
		t.Errorf("%q %q %v", c, e, ok)
	}
	for _, text := range []string{"", "\n\n\n", commit, commit + "\nabc", "main\nabc\n1.0\n", commit + "\n../x\n1.0\n", commit + "\n\n1.0\n"} {
		if c, e, ok := ReadLocalNote(text); ok {
			t.Errorf("%q is read as %q %q", text, c, e)
		}
	}
	if file, ok := ParseLocalNote("a.bin.metadata"); !ok || file != "a.bin" {
		t.Errorf("%q %v", file, ok)
	}
	if _, ok := ParseLocalNote(".metadata"); ok {
		t.Error("metadata of nothing")
	}
}

func FuzzLocalNames(f *testing.F) {
	for _, seed := range []string{"llama", "a/b", "8_PA_wEVGiVa2goH2H4KQOQpvVY=.ab.508381b7.incomplete", "x.y.incomplete"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if repo, ok := LocalRepo(text); ok {
			if repo.Folder() != text || strings.ContainsFunc(repo.ID, func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("%q: id %q, folder %q", text, repo.ID, repo.Folder())
			}
			if id := repo.LocalName("/r").ID; id == "" || strings.ContainsFunc(id, func(r rune) bool { return r > unicode.MaxASCII || !isAlnum(byte(r)) && !strings.ContainsRune("._-", r) }) {
				t.Errorf("%q is called %q", text, id)
			}
		}
		if p, ok := ParseLocalPartial(text); ok {
			if !validEtag(p.Etag) || (p.File == "") == (p.Hash == "") || !strings.HasPrefix(text, p.File+p.Hash+"."+p.Etag+".") {
				t.Errorf("%q: %+v", text, p)
			}
		}
		if commit, etag, ok := ReadLocalNote(text); ok && (!IsCommit(commit) || !validEtag(etag)) {
			t.Errorf("%q: %q %q", text, commit, etag)
		}
	})
}
