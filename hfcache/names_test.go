package hfcache

import (
	"strings"
	"testing"
)

const (
	sha1Hex   = "0123456789abcdef0123456789abcdef01234567"
	sha256Hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	uuid      = "0f8fad5b-d9cb-469f-a165-70867728950e"
)

func TestFolderRoundTrip(t *testing.T) {
	tests := []struct {
		folder, slug string
		repo         Repo
	}{
		{"models--gpt2", "gpt2", Repo{Model, "gpt2"}},
		{"models--deepseek-ai--deepseek-ocr", "deepseek-ai--deepseek-ocr", Repo{Model, "deepseek-ai/deepseek-ocr"}},
		{"datasets--org--name.v1", "org--name.v1@dataset", Repo{Dataset, "org/name.v1"}},
		{"spaces--_o--n_", "_o--n_@space", Repo{Space, "_o/n_"}},
		{"kernels--org--k", "org--k@kernel", Repo{Kernel, "org/k"}},
		{"models--org.git--name", "org.git--name", Repo{Model, "org.git/name"}},
		{"models--" + strings.Repeat("a", 96), strings.Repeat("a", 96), Repo{Model, strings.Repeat("a", 96)}},
	}
	for _, tt := range tests {
		repo, ok := ParseFolder(tt.folder)
		if !ok || repo != tt.repo {
			t.Errorf("ParseFolder(%q) = %v, %v", tt.folder, repo, ok)
		}
		if got := tt.repo.Folder(); got != tt.folder {
			t.Errorf("%v: folder %q, want %q", tt.repo, got, tt.folder)
		}
		if got := tt.repo.Slug(); got != tt.slug {
			t.Errorf("%v: slug %q, want %q", tt.repo, got, tt.slug)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Run("N2 only valid ids become repos", func(t *testing.T) {
		tests := map[string]bool{ // name -> looks like a repository
			"models--..--..":                     true,
			"models--":                           true,
			"models----":                         true,
			"models----a":                        true,
			"models--a--":                        true,
			"models--a--b--c":                    true,
			"models--a---b":                      true,
			"models--a--b.git":                   true,
			"models--a--.b":                      true,
			"models--a--b-":                      true,
			"models--a..b":                       true,
			"models--a/b":                        true,
			"models--a--b/c":                     true,
			"models--a\nb":                       true,
			"models--a\x1b[31m":                  true,
			"models--caf\u00e9":                  true,
			"models--a\x00":                      true,
			"models--a b":                        true,
			"models--%n":                         true,
			"models--" + strings.Repeat("a", 97): true,
			"model--a--b":                        false,
			"Models--a--b":                       false,
			"models-a":                           false,
			"buckets--a--b":                      false,
			".locks":                             false,
			"blobs":                              false,
			"tmp_" + uuid:                        false,
			"version.txt":                        false,
			"":                                   false,
		}
		for name, like := range tests {
			if repo, ok := ParseFolder(name); ok {
				t.Errorf("ParseFolder(%q) = %v", name, repo)
			}
			if got := IsRepoFolderLike(name); got != like {
				t.Errorf("IsRepoFolderLike(%q) = %v", name, got)
			}
		}
	})
}

func TestNewRepoRefusesUnknownTypes(t *testing.T) {
	for _, typ := range []RepoType{"", "bucket", "models"} {
		if _, ok := NewRepo(typ, "a/b"); ok {
			t.Errorf("type %q accepted", typ)
		}
	}
	if _, ok := NewRepo(Model, "a/b/c"); ok {
		t.Error("three parts accepted")
	}
}

func TestParseBlob(t *testing.T) {
	tests := map[string]BlobName{
		sha1Hex:                              {Kind: Finished, Etag: sha1Hex},
		sha256Hex:                            {Kind: Finished, Etag: sha256Hex},
		`"5f3-1a_b"`:                         {Kind: Finished, Etag: `"5f3-1a_b"`},
		sha256Hex + ".1a2b3c4d.incomplete":   {Kind: Partial, Etag: sha256Hex, Attempt: "1a2b3c4d"},
		sha256Hex + ".incomplete":            {Kind: Partial, Etag: sha256Hex},
		sha256Hex + ".part":                  {Kind: Partial, Etag: sha256Hex},
		sha256Hex + ".sync.part":             {Kind: Partial, Etag: sha256Hex, Preallocated: true},
		sha256Hex + ".downloadInProgress":    {Kind: Partial, Etag: sha256Hex},
		sha1Hex + ".lock":                    {Kind: Lock, Etag: sha1Hex},
		"tmp_" + uuid:                        {Kind: Probe},
		"." + sha256Hex + ".0a1b2c3d.shared": {Kind: SharedLink, Etag: sha256Hex},

		"":                               {},
		".":                              {},
		"..":                             {},
		".incomplete":                    {},
		".lock":                          {},
		".1a2b3c4d.incomplete":           {},
		sha1Hex + ".1a2b3c4.incomplete":  {},
		sha1Hex + ".1A2B3C4D.incomplete": {},
		sha1Hex + ".1a2b3c4d.part":       {},
		sha1Hex + ".metadata":            {},
		"." + sha1Hex + ".x.shared":      {},
		sha1Hex + ".0a1b2c3d.shared":     {},
		"tmp_" + uuid[1:] + ".x":         {},
		"a/b":                            {},
		"../x.incomplete":                {},
		"a\nb":                           {},
		"caf\u00e9":                      {},
		"a b":                            {},
		strings.Repeat("a", 256):         {},
	}
	for name, want := range tests {
		if got := ParseBlob(name); got != want {
			t.Errorf("ParseBlob(%q) = %+v, want %+v", name, got, want)
		}
	}
}

func FuzzParseBlob(f *testing.F) {
	f.Add(sha256Hex + ".1a2b3c4d.incomplete")
	f.Add("." + sha1Hex + ".0a1b2c3d.shared")
	f.Add("tmp_" + uuid)
	f.Fuzz(func(t *testing.T, name string) {
		b := ParseBlob(name)
		if b.Kind == Other || b.Kind == Probe {
			if b.Etag != "" {
				t.Errorf("%q: etag %q", name, b.Etag)
			}
			return
		}
		if !validEtag(b.Etag) || !strings.Contains(name, b.Etag) {
			t.Errorf("%q: etag %q", name, b.Etag)
		}
	})
}

func FuzzParseFolder(f *testing.F) {
	f.Add("models--a--b")
	f.Add("datasets--a")
	f.Fuzz(func(t *testing.T, name string) {
		if repo, ok := ParseFolder(name); ok && repo.Folder() != name {
			t.Errorf("%q became %v, %q", name, repo, repo.Folder())
		}
	})
}

func TestIsRootTemp(t *testing.T) {
	for _, name := range []string{"tmpabcdefgh", "tmp0_9z_a12"} {
		if !IsRootTemp(name) {
			t.Errorf("%q refused", name)
		}
	}
	for _, name := range []string{"tmp", "tmpabcdefg", "tmpabcdefghi", "tmpABCDEFGH", "tmp/bcdefgh", "xmpabcdefgh"} {
		if IsRootTemp(name) {
			t.Errorf("%q accepted", name)
		}
	}
}

func TestIsCommit(t *testing.T) {
	if !IsCommit(sha1Hex) {
		t.Error("commit refused")
	}
	for _, name := range []string{"", "main", sha256Hex, strings.ToUpper(sha1Hex), sha1Hex[:39]} {
		if IsCommit(name) {
			t.Errorf("%q accepted", name)
		}
	}
}

func TestSharedBlobTakesOnlyTheExactForm(t *testing.T) {
	rel, ok := SharedBlob("../../blobs/01/" + sha256Hex)
	if !ok || rel != "blobs/01/"+sha256Hex {
		t.Errorf("got %q, %v", rel, ok)
	}
	for _, link := range []string{
		"", "/etc/passwd", "../../blobs/" + sha256Hex, "../../blobs/02/" + sha256Hex,
		"../../../blobs/01/" + sha256Hex, "../blobs/01/" + sha256Hex, "../../blobs/01//" + sha256Hex[1:],
		"../../blobs/01/" + sha256Hex + "/", "../../blobs/01/" + sha256Hex + "\n", "../../blobs/01/../" + sha256Hex[3:],
		"../../blobs/01/" + strings.ToUpper(sha256Hex), "./../../blobs/01/" + sha256Hex,
	} {
		if rel, ok := SharedBlob(link); ok {
			t.Errorf("SharedBlob(%q) = %q", link, rel)
		}
	}
}

func TestSnapshotBlobMustLeadToTheOwnBlobs(t *testing.T) {
	tests := []struct {
		path, link string
		want       bool
	}{
		{"config.json", "../../blobs/" + sha1Hex, true},
		{"a/b/c.bin", "../../../../blobs/" + sha1Hex, true},
		{"a/c.bin", "../../blobs/" + sha1Hex, false},
		{"config.json", "../../../blobs/" + sha1Hex, false},
		{"config.json", "/root/blobs/" + sha1Hex, false},
		{"config.json", "../../blobs/", false},
		{"config.json", "../../blobs/../x", false},
		{"config.json", "../../blobs/01/" + sha256Hex, false},
		{"config.json", "../../blobs/" + sha1Hex + ".incomplete", false},
	}
	for _, tt := range tests {
		etag, ok := SnapshotBlob(tt.path, tt.link)
		if ok != tt.want || ok && etag != sha1Hex {
			t.Errorf("SnapshotBlob(%q, %q) = %q, %v", tt.path, tt.link, etag, ok)
		}
	}
}

func TestShardGap(t *testing.T) {
	tests := map[string]struct {
		paths []string
		want  bool
	}{
		"nothing":            {nil, false},
		"no numbers":         {[]string{"a.bin", "b-of-c.bin"}, false},
		"all there":          {[]string{"m-00002-of-00002.st", "x", "m-00001-of-00002.st"}, false},
		"first missing":      {[]string{"m-00002-of-00002.st"}, true},
		"counted from zero":  {[]string{"d-00000-of-00002.parquet", "d-00001-of-00002.parquet"}, false},
		"zero based gap":     {[]string{"d-00000-of-00002.parquet", "d-00002-of-00002.parquet"}, true},
		"from zero to all":   {[]string{"m-00000-of-00002.st", "m-00001-of-00002.st", "m-00002-of-00002.st"}, false},
		"gap in that":        {[]string{"m-00000-of-00003.st", "m-00001-of-00003.st", "m-00003-of-00003.st"}, true},
		"two groups":         {[]string{"a-1-of-1.x", "b-1-of-2.x"}, true},
		"suffix separates":   {[]string{"a-1-of-2.bin", "a-2-of-2.st"}, true},
		"folder separates":   {[]string{"p/a-1-of-2.bin", "q/a-2-of-2.bin"}, true},
		"twice the same":     {[]string{"a-1-of-2.bin", "a-1-of-2.bin"}, true},
		"out of range":       {[]string{"a-1-of-2.bin", "a-3-of-2.bin"}, true},
		"of zero":            {[]string{"a-0-of-0.bin"}, false},
		"huge claim":         {[]string{"a-1-of-999999999.bin"}, true},
		"too many digits":    {[]string{"a-1-of-9999999999.bin"}, false},
		"number in a folder": {[]string{"v-1-of-2/a.bin"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := ShardGap(tt.paths); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
