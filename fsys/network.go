package fsys

import "golang.org/x/sys/unix"

// networks are the file systems on which other machines, or a program behind the
// kernel's back, write without an event here; and on which one hanging server
// would hold up all events. Directories there may keep their times when names come
// and go. The numbers are those of linux/magic.h and, where that has none, of the
// file systems' own sources.
var networks = map[uint32]struct {
	name string
	// renumbers: a name may have another inode number each time it is looked up.
	renumbers bool
}{
	0x6969: {"nfs", false}, 0x517b: {"smb", true}, 0xfe534d42: {"smb2", true}, 0xff534d42: {"cifs", true},
	0x65735546: {"fuse", true}, 0x01021997: {"9p", true}, 0x5346414f: {"afs", false}, 0x6b414653: {"afs", false},
	0x73757245: {"coda", false}, 0x564c: {"ncp", true}, 0x00c36400: {"ceph", false}, 0x0bd00bd0: {"lustre", false},
	0x47504653: {"gpfs", false}, 0x20030528: {"orangefs", false}, 0x19830326: {"beegfs", false},
	0xaad7aaea: {"panfs", false}, 0x01161970: {"gfs2", false}, 0x7461636f: {"ocfs2", false},
	0x786f4256: {"vboxsf", true}, 0xbacbacbc: {"vmhgfs", true}, 0x7c7c6673: {"prl_fs", true},
}

// numbered are the file systems that keep a number of their own on the disk: what
// statfs(2) calls f_fsid is the number of the device elsewhere, or nothing.
var numbered = map[uint32]bool{unix.EXT4_SUPER_MAGIC: true, unix.BTRFS_SUPER_MAGIC: true}

// Network names the file system of a network that the directory is on; empty if
// it is local.
func (d Dir) Network() (string, error) {
	st, err := d.Statfs()
	if err != nil {
		return "", err
	}
	return networks[magic(&st)].name, nil
}

// Identity tells which directory it is.
func (d Dir) Identity() (Identity, error) {
	st, err := d.Statfs()
	if err != nil {
		return Identity{}, err
	}
	e, err := d.Stat()
	if err != nil {
		return Identity{}, err
	}
	i := Identity{FS: magic(&st)}
	if !networks[i.FS].renumbers {
		i.Inode = e.Inode
	}
	// A directory of a lower layer is born again when it is first written to.
	if networks[i.FS].name == "" && i.FS != unix.OVERLAYFS_SUPER_MAGIC {
		i.Birth = d.kernel.Birth(d.fd, ".")
	}
	if numbered[i.FS] {
		i.Volume = uint64(uint32(st.Fsid.Val[0]))<<32 | uint64(uint32(st.Fsid.Val[1])) //nolint:gosec // 32 bits each
	}
	return i, nil
}

func magic(st *unix.Statfs_t) uint32 { return uint32(st.Type) } //nolint:gosec // the magic numbers have 32 bits
