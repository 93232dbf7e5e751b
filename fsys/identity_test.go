package fsys

import (
	"encoding/json"
	"testing"
)

func TestIdentity(t *testing.T) {
	const ext4, fuse = 0xef53, 0x65735546
	disk := Identity{FS: ext4, Volume: 7, Inode: 2, Birth: 100}
	for _, c := range []struct {
		name       string
		a, b       Identity
		same, sure bool
	}{
		{"the same directory", disk, disk, true, true},
		{"another directory of that file system", disk, Identity{FS: ext4, Volume: 7, Inode: 3, Birth: 200}, false, false},
		{"an inode that is used again", disk, Identity{FS: ext4, Volume: 7, Inode: 2, Birth: 200}, false, false},
		{"the root of another disk, formatted in the same second", disk, Identity{FS: ext4, Volume: 8, Inode: 2, Birth: 100}, false, false},
		{"another type of file system", disk, Identity{FS: fuse}, false, false},
		{"no birth is kept", Identity{FS: ext4, Inode: 2}, Identity{FS: ext4, Inode: 2}, true, false},
		{"no inode number is kept", Identity{FS: fuse}, Identity{FS: fuse}, true, false},
		{"a record of an older version knows the inode alone", Identity{Inode: 2}, disk, true, false},
		{"a record that knows another inode", Identity{Inode: 9}, disk, false, false},
		{"nothing known", Identity{}, disk, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, pair := range [][2]Identity{{c.a, c.b}, {c.b, c.a}} {
				if got := pair[0].Same(pair[1]); got != c.same {
					t.Errorf("%+v.Same(%+v) is %v", pair[0], pair[1], got)
				}
				if got := pair[0].Sure(pair[1]); got != c.sure {
					t.Errorf("%+v.Sure(%+v) is %v", pair[0], pair[1], got)
				}
			}
		})
	}
}

func TestIdentityIsKeptAsJSON(t *testing.T) {
	for _, want := range []Identity{{}, {FS: 1 << 31, Volume: 1<<64 - 1, Inode: 1<<64 - 1, Birth: 1 << 62}} {
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Identity
		if err := json.Unmarshal(data, &got); err != nil || got != want {
			t.Errorf("%s gives %+v (%v)", data, got, err)
		}
	}
}
