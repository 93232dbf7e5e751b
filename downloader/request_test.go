package downloader

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"progressd/hfcache"
)

func model(id string, include ...string) *Request {
	return &Request{Repo: hfcache.Repo{Type: hfcache.Model, ID: id}, Filter: hfcache.Filter{Include: include}}
}

func dataset(id string, include ...string) *Request {
	r := model(id, include...)
	r.Repo.Type = hfcache.Dataset
	return r
}

func (r *Request) at(revision string) *Request {
	r.Revision = revision
	return r
}

func (r *Request) without(exclude ...string) *Request {
	r.Filter.Exclude = exclude
	return r
}

func (r *Request) into(dir string) *Request {
	r.LocalDir = dir
	return r
}

// split cuts at spaces: no argument of these tests has one.
func split(line string) []string {
	return strings.Split(line, " ")
}

func TestCommandLinesThatAreUnderstood(t *testing.T) {
	tests := map[string]*Request{
		"hf download o/m":                             model("o/m"),
		"hf download gpt2":                            model("gpt2"),
		"/venv/bin/hf download o/m config.json":       model("o/m", "config.json"),
		"hf download o/m a.json b/c.bin":              model("o/m", "a.json", "b/c.bin"),
		"hf download o/m a[1].json":                   model("o/m", "a[[]1].json"),
		"hf download o/m art/":                        model("o/m", "art/"),
		"hf download o/m art/ a.json":                 model("o/m", "art/", "a.json"),
		"hf download o/m --include *.json":            model("o/m", "*.json"),
		"hf download o/m --include=*.json":            model("o/m", "*.json"),
		"hf download --include *.json o/m":            model("o/m", "*.json"),
		"hf download --include *.json -- o/m":         model("o/m", "*.json"),
		"hf download o/m --exclude *.bin":             model("o/m").without("*.bin"),
		"hf download o/m --exclude a* --exclude b*":   model("o/m").without("a*", "b*"),
		"hf download o/m --include a* --include b*":   model("o/m", "a*", "b*"),
		"hf download o/m --include a* b*":             model("o/m", "a*", "b*"),
		"hf download o/m a.json --include b*":         model("o/m", "a.json"),
		"hf download o/m --revision v1":               model("o/m").at("v1"),
		"hf download o/m --revision=refs/pr/3":        model("o/m").at("refs/pr/3"),
		"hf download o/m --revision v1 --revision v2": model("o/m").at("v2"),
		"hf download --repo-type dataset o/d x":       dataset("o/d", "x"),
		"hf download --repo-type=dataset o/d":         dataset("o/d"),
		"hf download o/d --type dataset":              dataset("o/d"),
		"hf download datasets/o/d x":                  dataset("o/d", "x"),
		"hf download hf://o/m":                        model("o/m"),
		"hf download hf://models/o/m@v1":              model("o/m").at("v1"),
		"hf download hf://datasets/o/d":               dataset("o/d"),
		"hf download hf://datasets/o/d@refs/pr/3/a/b": dataset("o/d", "a/b").at("refs/pr/3"),
		"hf download hf://o/m@a%2Fb/c@d.txt":          model("o/m", "c@d.txt").at("a/b"),
		"hf download hf://o/m/data/":                  model("o/m", "data/"),
		"hf download o/m --token hf_x --max-workers=4 --cache-dir /c --force-download --quiet": model("o/m"),
		"hf download -q o/m":                          model("o/m"),
		"hf download o/m --format json --no-truncate": model("o/m"),
		"hf download o/m --no-dry-run":                model("o/m"),
		"hf download o/m --local-dir d":               model("o/m").into("d"),
		"hf download o/m a --local-dir=/srv/d":        model("o/m", "a").into("/srv/d"),
		"hf download o/m --local-dir a --local-dir b": model("o/m").into("b"),

		"python3 /venv/bin/hf download o/m":                                 model("o/m"),
		"/usr/bin/python3.12 -s -Xutf8 -W ignore /venv/bin/hf download o/m": model("o/m"),
		"python -m huggingface_hub.cli.hf download o/m":                     model("o/m"),
		"python -Im huggingface_hub.cli.hf download o/m":                    model("o/m"),

		"huggingface-cli download o/m --include a b":                              model("o/m", "a", "b"),
		"huggingface-cli download o/m --include a b --exclude c d --quiet":        model("o/m", "a", "b").without("c", "d"),
		"huggingface-cli download o/m --include=a b":                              model("o/m", "b"),
		"huggingface-cli download o/m --exclude":                                  model("o/m"),
		"huggingface-cli download o/m --resume-download":                          model("o/m"),
		"python3 /x/huggingface-cli download o/m a --local-dir-use-symlinks auto": model("o/m", "a"),
		"python -m huggingface_hub.commands.huggingface_cli download o/m":         model("o/m"),
	}
	for line, want := range tests {
		if got := ParseRequest(split(line)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", line, got, want)
		}
	}
}

func TestCommandLinesThatAreNot(t *testing.T) {
	lines := []string{
		"",
		"hf",
		"hf download",
		"hf upload o/m",
		"hf auth login",
		"hf --version download o/m",
		"vllm serve o/m",
		"python3",
		"python3 -m",
		"python3 -",
		"python3 -c download o/m",
		"python3 -c x /venv/bin/hf download o/m",
		"python3 -mx download o/m",
		"python3 --unknown /venv/bin/hf download o/m",
		"python3 /venv/bin/hfx download o/m",
		"hf download --help",
		"hf download -h o/m",
		"hf download o/m --local-dir d --dry-run",
		"hf download o/m --local-dir",
		"hf download o/m --local-dir=",
		"hf download o/m --local-dir=a\x01b",
		"hf download o/m --dry-run",
		"hf download o/m --unknown",
		"hf download o/m --unknown=1 x",
		"hf download o/m --rev v1",
		"hf download o/m --revision",
		"hf download o/m --revision=",
		"hf download o/m --quiet=1",
		"hf download o/m --include",
		"hf download o/m --include=",
		"hf download o/m --token -x",
		"hf download o/m/x",
		"hf download o--m",
		"hf download ../m",
		"hf download buckets/o/m",
		"hf download datasets/o/d --type model",
		"hf download o/m --repo-type bucket",
		"hf download o/m --type model --repo-type model",
		"hf download hf://buckets/o/m",
		"hf download hf://m",
		"hf download hf://",
		"hf download hf://o/m@",
		"hf download hf://o/m@%zz",
		"hf download hf://o/m --revision v1",
		"hf download hf://datasets/o/m --type dataset",
		"hf download hf://o/m/a b",
		"hf download hf://o/m/a//b",
		"hf download https://huggingface.co/o/m",
		"hf download o/m *.json",
		"hf download o/m art/ --include x",
		`hf download o/m --include a\*`,
		"hf download o/m --include a\n",
		"hf download o/m --include \xff",
		"hf download o/m --revision a\x1b",
		// Two readings: a file b, or two patterns.
		"hf download o/m --include a b",
		"hf download o/m --include a* b c",
		"huggingface-cli download o/m --include a --include b",
		"huggingface-cli download o/m --include",
		"huggingface-cli download o/m --type model",
		"huggingface-cli download datasets/o/m",
		"hf download o/m --include " + strings.Repeat("a", maxPattern+1),
		"hf download o/m " + strings.Repeat("b ", 10) + strings.Repeat("*"+strings.Repeat("a", 500)+" ", 9) + "c",
	}
	for _, line := range lines {
		if got := ParseRequest(split(line)); got != nil {
			t.Errorf("%.100s\n got %+v", line, got)
		}
	}
	if got := ParseRequest(nil); got != nil {
		t.Errorf("no arguments: %+v", got)
	}
}

func TestRequestKeepsNoToken(t *testing.T) {
	for _, line := range []string{
		"hf download o/m --token hf_secret a",
		"hf download --token=hf_secret o/m",
		"huggingface-cli download o/m a b --token hf_secret",
	} {
		r := ParseRequest(split(line))
		if r == nil {
			t.Fatalf("%s: not understood", line)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "secret") {
			t.Errorf("%s: %s", line, text)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add("hf\x00download\x00o/m\x00--include\x00*.json")
	f.Add("python3\x00-Im\x00huggingface_hub.cli.hf\x00download\x00hf://datasets/o/d@v1/x")
	f.Add("huggingface-cli\x00download\x00o/m\x00--exclude\x00a\x00b\x00--token=x")
	f.Fuzz(func(t *testing.T, line string) {
		argv := strings.Split(line, "\x00")
		shortName("python3", argv)
		r := ParseRequest(argv)
		if r == nil {
			return
		}
		if _, ok := hfcache.NewRepo(r.Repo.Type, r.Repo.ID); !ok {
			t.Errorf("repo %+v", r.Repo)
		}
		for _, s := range append(append([]string{r.Revision}, r.Filter.Include...), r.Filter.Exclude...) {
			if !utf8.ValidString(s) || !validText(s) {
				t.Errorf("text %q", s)
			}
		}
	})
}
