package downloader

import (
	"net/url"
	"regexp"
	"strings"

	"progressd/hfcache"
)

// specialRevision are the revisions that hold a slash.
var specialRevision = regexp.MustCompile(`^refs/(?:convert/[\w.-]+|pr/\d+)`)

// parseURI reads what follows hf:// in [<types>/]org/name[@revision][/path],
// as parse_hf_uri of huggingface_hub 2.4 does. A path in it is the one file,
// or the one folder, that is wanted.
func parseURI(body string, names []string) (target, bool) {
	t := target{repoType: string(hfcache.Model), names: names}
	if prefix, rest, ok := strings.Cut(body, "/"); ok {
		if _, known := hfcache.NewRepo(hfcache.RepoType(typeOfPrefix(prefix)), "x"); known || prefix == "buckets" {
			t.repoType, body = typeOfPrefix(prefix), rest
		}
	}
	folder := strings.HasSuffix(body, "/")
	body = strings.Trim(body, "/")
	org, rest, _ := strings.Cut(body, "/")
	end := strings.IndexAny(rest, "@/")
	if end < 0 {
		end = len(rest)
	}
	t.id = org + "/" + rest[:end]
	var path string
	if after, ok := strings.CutPrefix(rest[end:], "@"); ok {
		revision := specialRevision.FindString(after)
		if revision == "" {
			revision, _, _ = strings.Cut(after, "/")
		}
		path = strings.TrimPrefix(after[len(revision):], "/")
		var err error
		if t.revision, err = url.PathUnescape(revision); err != nil || t.revision == "" {
			return target{}, false
		}
	} else {
		path = strings.TrimPrefix(rest[end:], "/")
	}
	if path == "" {
		return t, true
	}
	if len(names) > 0 || strings.HasPrefix(path, "/") || strings.Contains(path, "//") {
		return target{}, false
	}
	if folder {
		path += "/"
	}
	t.names = []string{path}
	return t, true
}
