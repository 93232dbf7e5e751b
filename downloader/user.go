package downloader

import (
	"strconv"
	"strings"
)

// maxPasswd bounds what is read of the list of users, in bytes.
const maxPasswd = 1 << 20

// passwd is where the machine lists its users. Users from elsewhere, such as
// a directory service, are told by their number: asking it could block.
const passwd = "/etc/passwd"

// readUser gives the effective user of a process, by number; empty if that is
// kept from us.
func (d ProcDir) readUser(pid int) string {
	text, err := readBounded(d.file(pid, "status"), maxProcFile)
	if err != nil {
		return ""
	}
	return parseUser(text)
}

// parseUser knows the line "Uid:	real	effective	saved	file system".
func parseUser(status string) string {
	for line := range strings.Lines(status) {
		ids, ok := strings.CutPrefix(line, "Uid:")
		if !ok {
			continue
		}
		f := strings.Fields(ids)
		if len(f) < 2 {
			return ""
		}
		uid, err := strconv.ParseUint(f[1], 10, 32)
		if err != nil {
			return ""
		}
		return strconv.FormatUint(uid, 10)
	}
	return ""
}

// userName gives the name of a user of this machine, or its number where it
// has none that can be shown.
func userName(list, uid string) string {
	if uid == "" {
		return ""
	}
	text, err := readBounded(list, maxPasswd)
	if err != nil {
		return uid
	}
	for line := range strings.Lines(text) {
		f := strings.SplitN(line, ":", 4)
		if len(f) == 4 && f[2] == uid && f[0] != "" && plainName(f[0]) == f[0] {
			return f[0]
		}
	}
	return uid
}
