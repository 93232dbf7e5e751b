package tracker

import (
	"testing"
	"time"

	"progressd/sizer"
)

// asked is a change after which the hub's answer is waited for.
func asked(l *sizer.Look) { l.Asked = true }

func TestTheFirstLinesWaitAMomentForTheHubsTotal(t *testing.T) {
	t.Run("which comes", func(t *testing.T) {
		p := play(t, defaults)
		p.see(also(by(cli), asked, bytes(1*mb)))
		p.want()
		p.jump(500 * time.Millisecond)
		p.see(also(listing(500*mb, 4, 4), bytes(2*mb), func(l *sizer.Look) { l.Asked = false }))
		p.want("1s preparing 2", "1s started 2")
		if total := p.last(Started).Total; total != 500*mb {
			t.Errorf("total %d", total)
		}
	})
	t.Run("which doesn't", func(t *testing.T) {
		p := play(t, defaults)
		p.see(also(by(cli), asked))
		p.jump(hubPatience)
		p.see(bytes(1 * mb))
		p.want("1s preparing 1", "1s started 1")
		p.see(bytes(2 * mb))
		p.want("1s preparing 1", "1s started 1")
	})
	t.Run("and not where all is there", func(t *testing.T) {
		p := play(t, defaults)
		p.see(also(asked, bytes(1*mb)))
		p.want("0s preparing 1", "0s started 1")
	})
	t.Run("and nothing is told of what is removed meanwhile", func(t *testing.T) {
		p := play(t, defaults)
		p.see(also(by(cli), asked))
		p.see(func(l *sizer.Look) { l.Gone = true })
		p.want()
		if !p.d.ep.Over() {
			t.Error("it goes on")
		}
	})
	t.Run("over a restart", func(t *testing.T) {
		p := play(t, defaults)
		p.see(also(by(cli), asked, bytes(1*mb)))
		p.restart(time.Second)
		p.see(func(l *sizer.Look) { l.Asked = false })
		p.want("1s preparing 1", "1s started 1")
	})
}
