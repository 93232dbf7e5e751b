package sizer

import (
	"testing"
	"time"

	"progressd/fsys"
)

// Blocks that the kernel adds while it writes a file back are no bytes that came:
// they would make a client that is dead look alive.
func TestOnlyAWriteBringsBytes(t *testing.T) {
	began := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return began.Add(d) }
	for name, c := range map[string]struct {
		seen, mtime time.Duration // of the look before, and of the last write
		size        int64
		written     int64
		want        int64
		grown       bool
	}{
		"a block of the kernel's own":              {seen: time.Second, size: 100, written: 44, want: 40},
		"a piece in a hole":                        {seen: time.Second, mtime: 1100 * time.Millisecond, size: 100, written: 44, want: 44, grown: true},
		"a piece in the tick of the look before":   {seen: 5 * time.Millisecond, size: 100, written: 44, want: 44, grown: true},
		"a longer file, whatever its time":         {seen: time.Second, size: 104, written: 44, want: 44, grown: true},
		"old content written over":                 {seen: time.Second, mtime: 1100 * time.Millisecond, size: 100, written: 40, want: 40, grown: true},
		"nothing":                                  {seen: time.Second, size: 100, written: 40, want: 40},
		"blocks given back, and no write since it": {seen: time.Second, size: 100, written: 36, want: 40},
	} {
		t.Run(name, func(t *testing.T) {
			part := partial{ino: 7, size: 100, bytes: 40, mtime: at(0), seen: at(c.seen)}
			now := at(c.seen + 500*time.Millisecond)
			part.measure(fsys.Entry{Inode: 7, Size: c.size, Mtime: at(c.mtime)}, c.written, now)
			if part.bytes != c.want || part.grown.Equal(now) != c.grown {
				t.Errorf("%d bytes, grown at %v; want %d, grown %v", part.bytes, part.grown, c.want, c.grown)
			}
		})
	}
}
