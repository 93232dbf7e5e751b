package simfs

import (
	"cmp"
	"slices"
)

// blockSize is in what a file system gives out room.
const blockSize = 4096

// extents are the parts of a file that have room, from a block to one behind
// the last, in order and apart from each other.
type extents []extent

type extent struct{ from, to int64 }

// add gives room to the blocks in which bytes lie.
func (x extents) add(from, to int64) extents {
	if to <= from {
		return x
	}
	e := extent{from / blockSize, (to + blockSize - 1) / blockSize}
	// The first that reaches e, and the first that lies behind it.
	first, _ := slices.BinarySearchFunc(x, e.from, func(o extent, from int64) int { return cmp.Compare(o.to, from) })
	last := first
	for ; last < len(x) && x[last].from <= e.to; last++ {
		e.from, e.to = min(e.from, x[last].from), max(e.to, x[last].to)
	}
	if last == first+1 {
		x[first] = e
		return x
	}
	return slices.Replace(x, first, last, e)
}

// lacks is how many of the blocks in which bytes lie have no room yet.
func (x extents) lacks(from, to int64) int64 {
	if to <= from {
		return 0
	}
	first, end := from/blockSize, (to+blockSize-1)/blockSize
	lacks := end - first
	at, _ := slices.BinarySearchFunc(x, first, func(o extent, from int64) int { return cmp.Compare(o.to, from) })
	for ; at < len(x) && x[at].from < end; at++ {
		lacks -= max(min(x[at].to, end)-max(x[at].from, first), 0)
	}
	return lacks
}

// cut takes the room behind a length away.
func (x extents) cut(length int64) extents {
	end := (length + blockSize - 1) / blockSize
	for len(x) > 0 && x[len(x)-1].from >= end {
		x = x[:len(x)-1]
	}
	if len(x) > 0 {
		x[len(x)-1].to = min(x[len(x)-1].to, end)
	}
	return x
}

// blocks is how many blocks there are.
func (x extents) blocks() int64 {
	var sum int64
	for _, e := range x {
		sum += e.to - e.from
	}
	return sum
}

// blocks is st_blocks, in units of 512 bytes.
func (n *inode) blocks() int64 { return (n.extents.blocks() + n.late) * (blockSize / 512) }

// room is how many bytes can be written.
func (v *Volume) room() int64 { return max(v.traits.Size-v.used*512, 0) }
