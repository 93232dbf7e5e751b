package downloader

import (
	"fmt"
	"os"
	"strconv"

	"progressd/hfcache"
)

const (
	// maxProcesses bounds how many processes are looked at for what they
	// fetch, maxCommands of how many that is kept.
	maxProcesses = 1 << 15
	maxCommands  = 256
)

// Commands are what the programs that run fetch of one repository, as far as
// their own command lines say so.
type Commands struct {
	// Loader is what one of them loads, nil if none is known to.
	Loader *Loader
	// Requests are what download commands ask for, by the number of the
	// effective user; those of whom that is kept from us are left out.
	Requests map[string][]*Request
}

// Commands reads every process's command line: some 10 microseconds each.
func (d ProcDir) Commands() (map[hfcache.Repo]Commands, error) {
	dir, err := os.Open(string(d))
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxProcesses)
	if len(names) == 0 && err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	found := make(map[hfcache.Repo]Commands)
	for kept := 0; len(names) > 0 && kept < maxCommands; names = names[1:] {
		pid, err := strconv.Atoi(names[0])
		if err == nil && pid > 0 && d.addCommand(found, pid) {
			kept++
		}
	}
	return found, nil
}

// addCommand reports whether the process is known to fetch something.
func (d ProcDir) addCommand(found map[hfcache.Repo]Commands, pid int) bool {
	argv := d.readCommandLine(pid)
	if l := ParseLoader(argv); l != nil {
		c := found[l.Repo]
		c.Loader = l
		found[l.Repo] = c
		return true
	}
	r, user := ParseRequest(argv), ""
	if r != nil {
		user = d.readUser(pid)
	}
	if user == "" {
		return false
	}
	c := found[r.Repo]
	if c.Requests == nil {
		c.Requests = make(map[string][]*Request)
	}
	c.Requests[user] = append(c.Requests[user], r)
	found[r.Repo] = c
	return true
}
