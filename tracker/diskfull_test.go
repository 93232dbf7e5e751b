package tracker

import (
	"testing"
	"time"

	"progressd/sizer"
)

// failed is what a client leaves that removes what it had begun.
func failed(n int64) func(*sizer.Look) {
	return also(tidy, bytes(n), func(l *sizer.Look) { l.Failed = 1 })
}

func testDiskFull(t *testing.T) {
	tests := []struct {
		name string
		play func(p *player)
		kind Kind
		want Disk
	}{
		{"killed with nothing free", func(p *player) {
			p.see(also(by(cli), sized(gb, 500*mb), free(0)))
			p.see(killed)
		}, Interrupted, DiskFull},
		{"failed at the brim, and removed what it had begun", func(p *player) {
			p.see(also(by(cli), sized(gb, 500*mb), free(100*mb)))
			p.see(also(bytes(590*mb), free(10*mb)))
			p.see(also(failed(mb), free(600*mb)))
		}, Interrupted, DiskWasFull},
		{"the same without a total", func(p *player) {
			p.see(also(by(cli), bytes(590*mb), free(10*mb)))
			p.see(also(failed(mb), free(600*mb)))
		}, Interrupted, DiskWasFull},
		{"the same over a restart", func(p *player) {
			p.see(also(by(cli), sized(gb, 590*mb), free(10*mb)))
			p.restart(time.Second)
			p.see(also(failed(mb), free(600*mb)))
		}, Interrupted, DiskWasFull},
		{"failed unseen, where it doesn't fit", func(p *player) {
			p.see(also(by(cli), sized(gb, 500*mb), free(100*mb)))
			p.see(also(failed(mb), free(600*mb)))
		}, Interrupted, DiskShort},
		{"an upper bound that doesn't fit proves nothing", func(p *player) {
			p.see(also(by(cli), upTo(gb, 500*mb), free(100*mb)))
			p.see(also(failed(mb), free(600*mb)))
		}, Interrupted, DiskUnknown},
		{"killed with room", func(p *player) {
			p.see(also(by(cli), sized(gb, 500*mb), free(600*mb)))
			p.see(killed)
		}, Interrupted, DiskUnknown},
		{"little free, and still enough", func(p *player) {
			p.see(also(by(cli), sized(gb, 999*mb), free(2*mb)))
			p.see(killed)
		}, Interrupted, DiskUnknown},
		{"full once, and gone on with room", func(p *player) {
			p.see(also(by(cli), sized(gb, 500*mb), free(0)))
			p.see(also(bytes(501*mb), free(600*mb)))
			p.see(killed)
		}, Interrupted, DiskUnknown},
		{"a file system that says nothing", func(p *player) {
			p.see(also(by(cli), sized(gb, 500*mb)))
			p.see(killed)
		}, Interrupted, DiskUnknown},
		{"stalled with nothing free", func(p *player) {
			p.see(also(by(cli), sized(gb, 500*mb), free(0)))
		}, Stalled, DiskFull},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := play(t, defaults)
			tt.play(p)
			p.until(15 * time.Minute)
			e := p.last(tt.kind)
			if e.Disk != tt.want {
				t.Errorf("%s with disk %q, want %q", e.Kind, e.Disk, tt.want)
			}
			if room := p.look.Room; e.Disk != DiskUnknown && (e.Free != room.Free || e.Needed != p.d.left()) {
				t.Errorf("told %d free and %d needed, it is %d and %d", e.Free, e.Needed, room.Free, p.d.left())
			}
			if p.count(tt.kind) != 1 {
				t.Errorf("told %v", p.told())
			}
		})
	}
}
