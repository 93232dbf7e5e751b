package daemon

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"progressd/record"
	"progressd/stream"
	"progressd/tracker"
)

// newBoard makes what is shown to those who watch and ask.
func (p *Pipeline) newBoard() *stream.Board {
	var ended []tracker.Event
	for _, v := range p.opts.Store.Verdicts() {
		e := v.Event
		e.Tenant = p.opts.Store.Tenant(v.Root)
		ended = append(ended, e)
	}
	return stream.NewBoard(stream.Options{
		Epoch: strconv.FormatInt(time.Now().UnixMilli(), 36), Version: p.opts.Version,
		Record: p.form.Record, Ended: ended, Rights: p.rights(), Accounts: p.opts.Accounts,
	})
}

func (p *Pipeline) rights() stream.Rights {
	return stream.Rights{
		User: os.Geteuid(), Owner: p.owner,
		Groups: func() []int { return append(groupsNamed(p.opts.table, groupFile, journalReaders), os.Getegid()) },
		Public: func() bool { return readByAll(p.set.LogDir) },
	}
}

// shown passes on what the tracker publishes: to those who watch, and to those
// who report on that download.
func (p *Pipeline) shown(s tracker.Standing) {
	s.Now.Namespace, s.Now.Pod = p.podOf(s.Root)
	p.board.Shown(s)
	p.server.Shown(s.Root, s.Repo, func() record.Download { return record.StandingOf(s, nil) })
}

// journalReaders is the group that systemd lets read the system's journal, in
// which the lines stand as well.
const journalReaders = "systemd-journal"

const groupFile = "/etc/group"

// groupsNamed are the numbers of a group, as a file of group(5) has them.
func groupsNamed(open func(path string) (*os.File, error), file, name string) []int {
	groups, err := open(file)
	if err != nil {
		return nil
	}
	defer groups.Close()
	var gids []int
	for lines := bufio.NewScanner(groups); lines.Scan(); {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) < 3 || fields[0] != name {
			continue
		}
		if gid, err := strconv.Atoi(fields[2]); err == nil {
			gids = append(gids, gid)
		}
	}
	return gids
}

// owner is the user whose root a path is, or lies in; -1 if none is known.
func (p *Pipeline) owner(path string) int {
	owner, longest := -1, -1
	for _, root := range p.watcher.Status() {
		if root.Present && len(root.Path) > longest && (path == root.Path || strings.HasPrefix(path, root.Path+"/")) {
			owner, longest = root.Owner, len(root.Path)
		}
	}
	return owner
}

// readByAll reports whether everybody can follow the logs in a directory: list
// it, reach it, and read what is made there.
func readByAll(dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil || !filepath.IsAbs(dir) || umask()&0o004 != 0 {
		return false
	}
	const list, enter = 0o004, 0o001
	for path, needed := dir, os.FileMode(list|enter); ; path, needed = filepath.Dir(path), enter {
		info, err := os.Stat(path)
		if err != nil || info.Mode()&needed != needed {
			return false
		}
		if path == filepath.Dir(path) {
			return true
		}
	}
}

// umask is that of this process; where it can't be told, nothing is readable.
func umask() uint64 {
	const nothing = 0o777
	status, err := os.Open("/proc/self/status")
	if err != nil {
		return nothing
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "Umask:"); ok {
			if mask, err := strconv.ParseUint(strings.TrimSpace(value), 8, 32); err == nil {
				return mask
			}
		}
	}
	return nothing
}
