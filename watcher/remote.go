package watcher

import "progressd/fsys"

// remoteNames are the file systems on which other machines, or a program
// behind the kernel's back, write without an event here; and on which one
// hanging server would hold up all events. The numbers are those of
// linux/magic.h and, where that has none, of the file systems' own sources.
var remoteNames = map[uint32]string{
	0x6969: "nfs", 0x517b: "smb", 0xfe534d42: "smb2", 0xff534d42: "cifs", 0x65735546: "fuse",
	0x01021997: "9p", 0x5346414f: "afs", 0x6b414653: "afs", 0x73757245: "coda", 0x564c: "ncp",
	0x00c36400: "ceph", 0x0bd00bd0: "lustre", 0x47504653: "gpfs", 0x20030528: "orangefs",
	0x19830326: "beegfs", 0xaad7aaea: "panfs", 0x01161970: "gfs2", 0x7461636f: "ocfs2",
	0x786f4256: "vboxsf", 0xbacbacbc: "vmhgfs", 0x7c7c6673: "prl_fs",
}

// remote names the network file system that a directory is on; empty if it is
// local.
func remote(d fsys.Dir) (string, error) {
	st, err := d.Statfs()
	if err != nil {
		return "", err
	}
	return remoteNames[uint32(st.Type)], nil //nolint:gosec // the magic numbers have 32 bits
}
