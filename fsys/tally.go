package fsys

import "hash/maphash"

// A Tally stands for the names in a directory, in whatever order they come: the
// next one differs if any has come or gone. It is of this process alone.
type Tally uint64

var tallySeed = maphash.MakeSeed()

// Add counts one more name.
func (t *Tally) Add(name string) { *t += Tally(maphash.String(tallySeed, name)) }

// Tally reads the names of the directory at path. What can't be read has none.
func (d Dir) Tally(path string) (t Tally) {
	listed, err := d.Sub(path)
	if err != nil {
		return 0
	}
	defer listed.Close()
	if err := listed.Names(func(name string) bool { t.Add(name); return true }); err != nil {
		return 0
	}
	return t
}
