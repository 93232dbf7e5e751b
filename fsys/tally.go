package fsys

import "hash/maphash"

// A Tally stands for the names in a directory, in whatever order they come: the
// next one differs if any has come or gone. It is of this process alone.
type Tally struct {
	count int
	sum   uint64
}

var tallySeed = maphash.MakeSeed()

// Add counts one more name.
func (t *Tally) Add(name string) {
	t.count++
	t.sum += maphash.String(tallySeed, name)
}

// AddBytes is Add.
func (t *Tally) AddBytes(name []byte) {
	t.count++
	t.sum += maphash.Bytes(tallySeed, name)
}
