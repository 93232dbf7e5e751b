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
	// Requests are what download commands ask for.
	Requests []*Request
}

// FindCommands tells what the programs that run fetch, by repository. It reads
// every process's command line: some 10 microseconds each.
func FindCommands(procDir string) (map[hfcache.Repo]Commands, error) {
	dir, err := os.Open(procDir)
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxProcesses)
	if len(names) == 0 && err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	found, kept := make(map[hfcache.Repo]Commands), 0
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid <= 0 {
			continue
		}
		argv := readCommandLine(procDir, pid)
		if r := ParseRequest(argv); r != nil {
			c := found[r.Repo]
			c.Requests = append(c.Requests, r)
			found[r.Repo] = c
			kept++
		} else if l := ParseLoader(argv); l != nil {
			c := found[l.Repo]
			c.Loader = l
			found[l.Repo] = c
			kept++
		}
		if kept == maxCommands {
			break
		}
	}
	return found, nil
}
