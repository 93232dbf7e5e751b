package hfcache

import (
	"fmt"
	"io"
)

const (
	// maxValue bounds one entry of a listing, or one string outside of
	// them, in bytes as written: a decoder holds as much in memory.
	maxValue = 64 << 10
	// entryDepth is how many brackets are open around an entry of a tree
	// file, pageDepth around one of a page.
	entryDepth, pageDepth = 2, 1
)

// guard reads JSON and fails as soon as it is too long as a whole, or as some
// value is that the decoder would have to hold in one piece. Without it, a
// listing of one endless string takes as much memory as the file has bytes.
type guard struct {
	r    io.Reader
	left int64
	// outer is how many brackets are open around an entry.
	outer int

	depth    int
	inString bool
	escaped  bool
	value    int
}

func (g *guard) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	g.left -= int64(n)
	if g.left < 0 {
		return 0, fmt.Errorf("%w: more bytes than allowed", ErrListingTooBig)
	}
	for _, c := range p[:n] {
		g.next(c)
		if g.value > maxValue {
			return 0, fmt.Errorf("%w: one value has more than %d bytes", ErrListingTooBig, maxValue)
		}
	}
	return n, err
}

// next follows the nesting. Whether it is JSON at all is for the decoder to
// find out: on anything else the guard only counts.
func (g *guard) next(c byte) {
	g.value++
	switch {
	case g.escaped:
		g.escaped = false
	case g.inString:
		g.escaped = c == '\\'
		g.inString = c != '"'
	case c == '"':
		g.inString = true
	case c == '{' || c == '[':
		g.depth++
		g.newValue()
	case c == '}' || c == ']':
		g.depth--
		g.newValue()
	case c == ',' || c == ':':
		g.newValue()
	}
}

// newValue begins to count anew outside of entries: within one, all belongs
// to the same value.
func (g *guard) newValue() {
	if g.depth <= g.outer {
		g.value = 0
	}
}
