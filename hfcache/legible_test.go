package hfcache

import (
	"strings"
	"testing"
)

// Who reads for another one goes by this: whatever is legible is given away.
func TestOnlyListingsAndMetadataAreLegible(t *testing.T) {
	listing := strings.Repeat("a", 40) + ".json"
	for _, c := range []struct {
		dir, name string
		want      bool
	}{
		{"/home/alice/.cache/huggingface/hub/models--org--m/trees", listing, true},
		{"/srv/hub/datasets--d/trees", listing, true},
		{"/srv/data/.cache/huggingface/trees", listing, true},
		{"/srv/data/.cache/huggingface/download", "config.json.metadata", true},
		{"/srv/data/.cache/huggingface/download/sub/dir", "x.metadata", true},
		{"/home/alice/.ssh", "id_ed25519", false},
		{"/home/alice/.ssh", listing, false},
		{"/home/alice/.ssh", "x.metadata", false},
		{"/home/alice/.cache/huggingface", "token", false},
		{"/home/alice/.cache/huggingface/hub/models--org--m/blobs", strings.Repeat("a", 40), false},
		{"/home/alice/.cache/huggingface/hub/models--org--m/trees", "main.json", false},
		{"/home/alice/.cache/huggingface/hub/models--org--m/trees", "../../../token", false},
		{"/home/alice/.cache/huggingface/hub/models--org--m/trees/../../..", listing, false},
		{"/home/alice/models/trees", listing, false},
		{"/trees", listing, false},
		{"/srv/data/.cache/huggingface/download", ".metadata", false},
		{"/srv/data/.cache/huggingface/download", "x.incomplete", false},
		{"/srv/data/.cache/huggingface/downloads", "x.metadata", false},
		{"/srv/data/.cache/huggingface/download/../../.ssh", "x.metadata", false},
		{"(unreachable)/.cache/huggingface/download", "x.metadata", false},
	} {
		if got := Legible(c.dir, c.name); got != c.want {
			t.Errorf("%s, %s: %v", c.dir, c.name, got)
		}
	}
}
