package downloader

import (
	"io"
	"os"
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
func userName(open func(path string) (*os.File, error), list, uid string) string {
	if uid == "" {
		return ""
	}
	file, err := open(list)
	if err != nil {
		return uid
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxPasswd))
	if err != nil {
		return uid
	}
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(line, ":", 4)
		if len(f) == 4 && f[2] == uid && f[0] != "" && plainName(f[0]) == f[0] {
			return f[0]
		}
	}
	return uid
}
