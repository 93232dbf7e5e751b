package daemon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// settleCheck is how often it is looked whether the first looks are over.
	settleCheck = 500 * time.Millisecond
	// secondLooks are over after that time: what was young is looked at again.
	secondLooks = 10 * time.Second
)

// slim gives back what only a start needs: the code for it when the roots are
// watched, and when nothing more is being watched the rest, with the memory
// that the first looks took.
func (p *Pipeline) slim(ctx context.Context) error {
	select {
	case <-p.Ready():
	case <-ctx.Done():
		return nil
	}
	p.shedText()
	for before, settled := 0, false; !settled; {
		if !rest(ctx, settleCheck) {
			return nil
		}
		watched, busy := p.watched()
		before, settled = watched, watched == before && !busy
	}
	p.shed()
	if rest(ctx, secondLooks) {
		p.shed()
	}
	return nil
}

// rest reports false if ctx is done before that time has passed.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// shed gives back what isn't needed now. Go's collector leaves a megabyte of
// room however little there is, and does not return it for minutes: after a
// look at a million blobs, that much would stay. It takes some 10 ms of a
// processor.
func (p *Pipeline) shed() {
	debug.FreeOSMemory()
	p.shedText()
}

// watched counts what is watched; busy: some root is being looked at.
func (p *Pipeline) watched() (n int, busy bool) {
	for _, root := range p.watcher.Status() {
		n += root.Repos + root.Watches
		busy = busy || !root.BusySince.IsZero() && time.Since(root.BusySince) < secondLooks // else it hangs
	}
	return n, busy
}

// shedText takes the program's own code and constants out of this process's
// memory. For each page of a file that is touched the kernel maps the 15 beside
// it as well, so that after a start nearly all of the binary is there (7.3 of
// 8.5 MB, seen), of which a daemon at rest needs a third. What is needed again
// comes back by itself from the page cache. Where that can't be done, no more
// than memory is lost.
func (p *Pipeline) shedText() {
	mappings, err := ownText()
	for _, m := range mappings {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED); errno != 0 {
			err = errno
		}
	}
	if err != nil {
		p.log.Debug("cannot give back the program's code: more memory than needed is used", "err", err)
	}
}

// A mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// ownText finds where the program's code and constants are.
func ownText() ([]mapping, error) {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("cannot find the program's name: %w", err)
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil, fmt.Errorf("cannot find the program in its memory: %w", err)
	}
	defer smaps.Close()
	return cleanMappings(smaps, exe), nil
}

// cleanMappings reads smaps (proc(5)) for where a file is mapped that may not
// be written to there, and of which no page was: that is a debugger's
// breakpoint, or constants that the loader has relocated, and would be lost.
func cleanMappings(smaps io.Reader, file string) []mapping {
	var found []mapping
	var m mapping
	candidate := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		line := lines.Text()
		if value, ok := strings.CutPrefix(line, "Anonymous:"); ok {
			if candidate && strings.TrimSpace(value) == "0 kB" {
				found = append(found, m)
			}
			candidate = false
			continue
		}
		if line != "" && 'A' <= line[0] && line[0] <= 'Z' { // a figure of the mapping above
			continue
		}
		var access, offset, device string
		var inode uint64
		n, _ := fmt.Sscanf(line, "%x-%x %s %s %s %d", &m.start, &m.end, &access, &offset, &device, &inode)
		if n == 6 {
			readOnly := access == "r-xp" || access == "r--p"
			candidate = readOnly && strings.HasSuffix(line, " "+file)
		}
	}
	return found
}
