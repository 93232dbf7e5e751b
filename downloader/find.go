package downloader

import (
	"fmt"
	"os"
	"strconv"

	"progressd/hfcache"
)

// maxProcesses bounds how many processes are looked at for what they load.
const maxProcesses = 1 << 15

// FindLoaders tells what the programs that run load, by repository, where
// their own command lines say so. It reads every process's command line: some
// 10 microseconds each.
func FindLoaders(procDir string) (map[hfcache.Repo]*Loader, error) {
	dir, err := os.Open(procDir)
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxProcesses)
	if len(names) == 0 && err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	found := make(map[hfcache.Repo]*Loader)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid <= 0 {
			continue
		}
		if l := ParseLoader(readCommandLine(procDir, pid)); l != nil {
			found[l.Repo] = l
		}
	}
	return found, nil
}
