package tracker

import (
	"testing"

	"progressd/hfcache"
	"progressd/sizer"
)

// Lines call a directory by its own name until a command line tells what is
// downloaded there; the record keeps the directory as its key.
func TestALocalDirectoryIsCalledByWhatIsKnown(t *testing.T) {
	p := play(t, defaults)
	p.see(func(l *sizer.Look) {
		l.Root, l.Repo.Type, l.Repo.ID = "/data", hfcache.Local, "org/my%20llama"
		l.Bytes, l.Arrived, l.Partials = mb, mb, 1
	})
	p.see(func(l *sizer.Look) {
		l.Checkpoint.Name = model
		l.Bytes, l.Arrived = 200*mb, 199*mb
	})
	p.see(func(l *sizer.Look) { *l = sizer.Look{Root: l.Root, Repo: l.Repo, Gone: true} })
	want := []struct {
		kind Kind
		id   string
	}{{Preparing, "my_llama"}, {Started, "my_llama"}, {Progress, "org/name"}, {Removed, "org/name"}}
	if len(p.events) != len(want) {
		t.Fatalf("events %+v", p.events)
	}
	for i, w := range want {
		e := p.events[i]
		if e.Kind != w.kind || e.Repo.ID != w.id || e.Repo.Type != hfcache.Model || e.Root != "/data/org/my%20llama" {
			t.Errorf("event %d: %s of %+v in %s, want %s of %s", i, e.Kind, e.Repo, e.Root, w.kind, w.id)
		}
	}
	if p.d.ep.Repo.Type != hfcache.Local {
		t.Errorf("the record is of %+v", p.d.ep.Repo)
	}
}
