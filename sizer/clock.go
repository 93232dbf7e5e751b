package sizer

import (
	"time"

	"progressd/fsys"
)

// noteClock takes in that a file, which is e, has changed since a look, and reports
// whether the file system's clock was set since: then the file is to be asked for again.
func (p *pass) noteClock(e fsys.Entry, look time.Time, stat func() (fsys.Entry, error)) bool {
	c := p.root.clock
	if !c.Changed(e, look, stat) {
		return false
	}
	for folder, since := range p.root.baselines {
		c.Amend(&since)
		p.root.baselines[folder] = since
	}
	for _, rp := range p.root.repos {
		c.Amend(&rp.baseline)
		c.Amend(&rp.watchedSince)
		if pl := rp.play; pl != nil {
			c.Amend(&pl.baseline)
			c.Amend(&pl.firstBaseline)
			c.Amend(&pl.attemptBegan)
		}
	}
	return true
}
