package tracker

import (
	"slices"
	"testing"
	"time"

	"progressd/sizer"
)

func TestAStalledDownloadTellsWhetherItsDownloaderIsStopped(t *testing.T) {
	for name, stopped := range map[string][]int{
		"running":                  nil,
		"stopped":                  {vllm.PID},
		"another one, not the one": {vllm.PID + 1},
	} {
		p := play(t, defaults)
		p.see(also(by(vllm), bytes(50*mb), func(l *sizer.Look) { l.Stopped = stopped }))
		p.until(11 * time.Minute)
		if e := p.last(Stalled); e.DownloaderStopped != (name == "stopped") || !e.DownloaderAlive {
			t.Errorf("%s: stopped %v, alive %v", name, e.DownloaderStopped, e.DownloaderAlive)
		}
	}
}

func TestAnEndedDownloadNamesWhatIsNotThere(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb), listing(gb, 9, 5)))
	p.see(also(tidy, func(l *sizer.Look) { l.Absent = []sizer.Absent{{Path: "b.bin", Size: mb}, {Path: "README.md"}} }))
	p.until(time.Hour)
	if e := p.last(Ended); !slices.Equal(e.Absent, []string{"b.bin", "README.md"}) {
		t.Errorf("not there: %q", e.Absent)
	}
	if e := p.last(Started); e.Absent != nil {
		t.Errorf("not there at the start: %q", e.Absent)
	}
}

func TestEmptyLeftoversAreNoMatter(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	p.see(also(tidy, proof, func(l *sizer.Look) { l.Orphans = 2 }))
	p.want("0s preparing 50", "0s started 50", "0s completed 50")
}
