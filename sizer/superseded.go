package sizer

import "time"

// Nothing tells of which blob a file in the root is. What a dead attempt has left
// there stands for something that is missing, until another attempt has brought
// it.

// outgrown is how long nothing is written to a file before a later one takes its
// place. Who only stands still for longer counts again as soon as he goes on.
const outgrown = racy

// supersede gives up what nobody writes to while another is written to that
// was begun later: a new attempt begins with a file of its own.
func (p *pass) supersede() {
	for _, t := range p.root.temps.loose {
		for _, next := range p.root.temps.loose {
			later := next != t && !next.born.Before(t.mtime)
			if later && t.owner == p.repo.folder && next.owner == t.owner && p.now.Sub(t.grown) >= outgrown {
				p.release(t)
				p.held.temps--
			}
		}
	}
}

// supersedeByBlobs gives up what nobody writes to where a blob has come that was
// begun later and is no smaller: the new attempt may be over between two looks.
// It could be another blob, that a second writer has brought while this one stood
// still: then this one counts again as soon as it grows.
func (p *pass) supersedeByBlobs(pl *play) {
	for t := range p.root.temps.all() {
		if t.owner != p.repo.folder || t.live && (p.held.any || p.now.Sub(t.grown) < outgrown) {
			continue
		}
		for _, f := range pl.files {
			if f.done && f.isNew && f.size >= t.bytes && p.began(f).After(t.mtime) {
				p.release(t)
				break
			}
		}
	}
}

// began is when a finished blob was begun, zero if that isn't known.
func (p *pass) began(f *file) time.Time {
	if f.loose {
		return time.Time{}
	}
	if !f.bornAt.Equal(f.came) {
		f.bornAt, f.born = f.came, p.root.clock.Ours(p.top.BornPath(p.repo.folder+p.repo.layout.home+"/"+f.etag))
	}
	return f.born
}

// release gives a file up: it is this repository's again if it grows.
func (p *pass) release(t *temp) { release(t, p.now) }

func release(t *temp, now time.Time) { t.owner, t.claimed, t.live = "", now, false }
