package downloader

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Here is what a process is called here that a reporter, of that pid here,
// calls pid: another number where the reporter is in a pid namespace of its own,
// as in a container. There it is the child of the reporter that has that number
// in the innermost namespace. It is 0 if that can't be told, or it has ended.
func (d ProcDir) Here(reporter, pid int) int {
	if reporter == 0 {
		return 0
	}
	depth := len(d.pids(reporter))
	if depth <= 1 { // of our namespace, or of a kernel before 4.1, which doesn't say
		return pid
	}
	for _, child := range d.children(reporter) {
		if known := d.pids(child); len(known) == depth && known[depth-1] == pid {
			return child
		}
	}
	return 0
}

// Of what is read of a process, so much at most.
const (
	maxThreads  = 256
	maxChildren = 1024
)

// pids are the numbers of a process in the pid namespaces that it is in, from
// ours inwards; empty if they can't be read.
func (d ProcDir) pids(pid int) []int {
	text, err := readBounded(d.file(pid, "status"), maxProcFile)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(text) {
		if list, ok := strings.CutPrefix(line, "NSpid:"); ok {
			return numbers(list)
		}
	}
	return nil
}

// children are those of all threads of a process: which of them forks is not known.
func (d ProcDir) children(pid int) []int {
	tasks := d.file(pid, "task")
	dir, err := os.Open(tasks)
	if err != nil {
		return nil
	}
	defer dir.Close()
	threads, _ := dir.Readdirnames(maxThreads)
	var all []int
	for _, thread := range threads {
		text, err := readBounded(filepath.Join(tasks, thread, "children"), maxProcFile)
		if err == nil {
			all = append(all, numbers(text)...)
		}
	}
	return all[:min(len(all), maxChildren)]
}

// numbers are those of a list, up to the first that is none.
func numbers(list string) []int {
	var all []int
	for _, field := range strings.Fields(list) {
		n, err := strconv.Atoi(field)
		if err != nil {
			break
		}
		all = append(all, n)
	}
	return all
}
