package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"progressd/tracker"
)

// copied puts a file where rsync -a does: written under a name of its own beside
// its place, then moved there with the times that it has where it comes from.
func (m *made) copied(file string, size int) {
	m.t.Helper()
	blob := m.repo("blobs", madeFiles[file])
	m.put(m.repo("blobs", "."+madeFiles[file]+".Xy12Zw"), string(make([]byte, size)))
	m.must(os.Rename(m.repo("blobs", "."+madeFiles[file]+".Xy12Zw"), blob))
	old := time.Now().Add(-100 * 24 * time.Hour)
	m.must(os.Chtimes(blob, old, old))
	link := m.repo("snapshots", madeCommit, file)
	m.must(os.MkdirAll(filepath.Dir(link), 0o755))
	if _, err := os.Lstat(link); err != nil {
		m.must(os.Symlink("../../blobs/"+madeFiles[file], link))
	}
	m.stamp(filepath.Dir(blob), filepath.Dir(link))
}

// A model that was interrupted, and is made whole from elsewhere, is whole: the
// last line of its log may not say something else for good.
func TestAnInterruptedModelThatIsCopiedInIsComplete(t *testing.T) {
	for name, listed := range map[string]bool{"with a listing": true, "without one": false} {
		for how, leftover := range map[string]bool{"its partial removed": false, "its partial left": true} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				inBubble(t, timings[0], false, func(b *bubble) {
					if listed {
						b.list(map[string]int{"config.json": 700, "model.safetensors": 1_001_000})
					}
					b.begin(true)
					b.proc(false)
					pass(11 * time.Minute)
					copied := time.Now()
					b.copied("config.json", 700)
					b.copied("model.safetensors", 1_001_000)
					if !leftover {
						b.must(os.Remove(b.repo("blobs", madeFiles["model.safetensors"]+".incomplete")))
						b.stamp(b.repo("blobs"))
					}
					pass(15 * time.Minute)
					kinds, after := b.verdictsAfter(copied)
					if len(kinds) != 1 || kinds[0] != string(tracker.Completed) {
						t.Errorf("verdicts %v %v after it was copied", kinds, after)
					}
				})
			})
		}
	}
}

// What is interrupted stays so when its partial is cleaned up: that brings nothing.
func TestAnInterruptedModelThatIsCleanedUpIsNotComplete(t *testing.T) {
	inBubble(t, timings[0], false, func(b *bubble) {
		b.begin(true)
		b.grow("config.json", 700)
		b.finish("config.json")
		b.proc(false)
		pass(11 * time.Minute)
		cleaned := time.Now()
		b.must(os.Remove(b.repo("blobs", madeFiles["model.safetensors"]+".incomplete")))
		b.stamp(b.repo("blobs"))
		pass(15 * time.Minute)
		if kinds, _ := b.verdictsAfter(cleaned); len(kinds) != 0 {
			t.Errorf("verdicts %v after it was cleaned up", kinds)
		}
	})
}
