package sizer

import (
	"progressd/hfcache"
)

// addListed adds the files of a listing; selected says whether any of them
// is wanted.
func (pl *play) addListed(l *listing, key func(hfcache.ListedFile) string) (selected bool) {
	for _, listed := range l.files {
		f := pl.file(key(listed))
		if f.want < 0 { // else a newer revision has said it
			f.want, f.content = listed.Size, listed.Etag
		}
		if pl.wants(listed.Path) {
			f.name(listed.Path)
			selected = true
		} else if f.path == "" {
			f.path = listed.Path
		}
	}
	return selected
}

// attach gives each file the partial that counts for it.
func (pl *play) attach(p *pass) {
	for _, f := range pl.files {
		f.part, f.anew = nil, f.done && !f.isNew && p.held.anew[f.etag]
	}
	for _, part := range p.repo.partials {
		if f := pl.files[part.Etag]; f != nil && part.attached && part.belongs(f) {
			f.take(part)
		}
	}
	for etag := range pl.failed {
		if f := pl.files[etag]; f != nil && f.done || f == nil && p.brought(etag) {
			delete(pl.failed, etag)
		}
	}
}

// count adds up the files and what is staged elsewhere, of which some is fresh,
// and gives what arrived since the last count.
func (pl *play) count(staged, fresh int64) int64 {
	var bytes, arrived int64
	for _, f := range pl.files {
		if !f.wanted {
			continue
		}
		cur := f.now()
		bytes = AddSaturating(bytes, cur)
		if !f.known {
			f.known = true
			f.counted = f.before()
			if !pl.restored || pl.looked {
				pl.Base = AddSaturating(pl.Base, f.counted)
			} else {
				f.counted = cur
			}
		}
		if cur > f.counted && f.foundThere() {
			pl.Base = AddSaturating(pl.Base, cur-f.counted)
		} else if cur > f.counted {
			arrived = AddSaturating(arrived, cur-f.counted)
		}
		f.counted = cur
	}
	came, found := pl.settled.drain()
	if !pl.restored || pl.looked {
		pl.Base = AddSaturating(pl.Base, found)
	}
	arrived = AddSaturating(arrived, came)
	bytes = AddSaturating(AddSaturating(bytes, pl.settled.bytes), staged)
	settled := min(pl.tempDebt, arrived)
	pl.tempDebt -= settled
	arrived = AddSaturating(arrived-settled, fresh)
	if pl.restored && !pl.looked {
		arrived = max(0, bytes-pl.restoredBytes)
	}
	pl.looked, pl.Bytes = true, bytes
	return arrived
}
