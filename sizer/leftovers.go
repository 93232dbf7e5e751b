package sizer

import "time"

// leftAlone is how long nobody must have written to a partial that lies in a
// repository at rest before it is reported: a download may be paused, or its
// client be one that shows no lock.
const leftAlone = 24 * time.Hour

// leftovers fills in what dead attempts have left in a repository at rest,
// where no partial is live. It costs no more than the look does anyway, but
// for a stat when names came or went.
func (p *pass) leftovers(look *Look) {
	for _, part := range p.repo.partials {
		if p.now.Sub(part.mtime) < leftAlone {
			continue
		}
		look.addOrphan(part, p.now)
		if part.Attempt == "" && !p.spent(part) {
			look.Resumable++
		}
	}
}

// spent reports whether the blob of a partial is there. It is asked for again
// only when names in blobs/ came or went.
func (p *pass) spent(part *partial) bool {
	if p.relisted || !part.asked {
		_, err := p.top.LstatPath(p.repo.folder + p.repo.layout.home + "/" + part.Etag)
		part.asked, part.spent = true, err == nil
	}
	return part.spent
}

// addOrphan counts one partial of a dead attempt.
func (l *Look) addOrphan(part *partial, now time.Time) {
	l.Orphans++
	l.OrphanBytes = addSaturating(l.OrphanBytes, part.bytes)
	l.OrphanAge = max(l.OrphanAge, now.Sub(part.mtime))
}

// drop forgets a repository that is gone, and what it had claimed in the root.
func (r *Root) drop(rp *repo, now time.Time) {
	delete(r.repos, rp.folder)
	delete(r.since, rp.folder)
	delete(r.rested, rp.folder)
	for t := range r.temps.all() {
		if t.owner == rp.folder {
			release(t, now)
			t.forsaken = true
		}
	}
}
