package hub

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// content is a file's bytes as a function of their offset: any part can be
// made at any time, so no file but a text is ever held in memory.
type content struct {
	seed uint64
	size int64
	text string
}

// word is the eight bytes at offset 8*i: the splitmix64 generator, which has
// no state but its counter.
func (c content) word(i int64) uint64 {
	z := c.seed + uint64(i+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// ReadAt fills p with the bytes from off on, as an io.ReaderAt does. The race
// detector would be told of each byte, and nobody but the caller has p: it
// doubled what a test of 40 MB costs.
//
//go:norace
func (c content) ReadAt(p []byte, off int64) (int, error) {
	if off >= c.size {
		return 0, io.EOF
	}
	if c.text != "" {
		return strings.NewReader(c.text).ReadAt(p, off)
	}
	n := int(min(int64(len(p)), c.size-off))
	i := 0
	var buf [8]byte
	for ; i < n && (off+int64(i))%8 != 0; i++ {
		at := off + int64(i)
		binary.LittleEndian.PutUint64(buf[:], c.word(at/8))
		p[i] = buf[at%8]
	}
	for ; i+8 <= n; i += 8 {
		binary.LittleEndian.PutUint64(p[i:], c.word((off+int64(i))/8))
	}
	if i < n {
		binary.LittleEndian.PutUint64(buf[:], c.word((off+int64(i))/8))
		copy(p[i:n], buf[:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// from reads the content from an offset to its end.
func (c content) from(off int64) io.Reader {
	return io.NewSectionReader(c, off, c.size-off)
}

// sums are the names that git and git-lfs give to a content, in hex.
type sums struct {
	git    string // sha1 of the git blob
	sha256 string
}

func (c content) sums() (sums, error) {
	git, lfs := sha1.New(), sha256.New()
	git.Write(fmt.Appendf(nil, "blob %d\x00", c.size))
	buf := make([]byte, 256<<10)
	// The bare reader: CopyBuffer would let a WriterTo choose its own buffer.
	if _, err := io.CopyBuffer(io.MultiWriter(git, lfs), struct{ io.Reader }{c.from(0)}, buf); err != nil {
		return sums{}, fmt.Errorf("cannot hash generated content: %w", err)
	}
	return sums{git: hex.EncodeToString(git.Sum(nil)), sha256: hex.EncodeToString(lfs.Sum(nil))}, nil
}

// gitSum names data as git does.
func gitSum(data []byte) string {
	h := sha1.New()
	h.Write(fmt.Appendf(nil, "blob %d\x00", len(data)))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}
