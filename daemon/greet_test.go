package daemon

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

// A pattern may match nothing, as on a machine where root has no cache; a place that
// is named in full was meant.
func TestTheGreetingMissesWhatIsNamedInFull(t *testing.T) {
	for pattern, missed := range map[string]bool{"root*/hub": false, "root/hub": true} {
		g := newRig(t, "hub")
		g.roots = append(g.roots, filepath.Join(g.dir, pattern))
		g.start()
		var said bytes.Buffer
		(&Pipeline{opts: g.p.opts, set: g.p.set, watcher: g.p.watcher, log: slog.New(slog.NewTextHandler(&said, nil))}).Greet()
		if got := strings.Contains(said.String(), "level=WARN"); got != missed || strings.Contains(said.String(), "missing="+g.roots[1]) != missed {
			t.Errorf("%s: a warning: %t, want %t\n%s", pattern, got, missed, said.String())
		}
		if !strings.Contains(said.String(), "msg=watching caches=1") {
			t.Errorf("%s: %s", pattern, said.String())
		}
	}
}
