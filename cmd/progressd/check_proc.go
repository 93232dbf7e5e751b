package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"progressd/config"
)

// hidesProcesses reports whether /proc keeps other users' processes from the service.
// From root, who asks, it keeps nothing: so it goes by how it is mounted for the
// service, or here if that doesn't run.
func (h host) hidesProcesses(s running, set config.Settings) bool {
	if !h.isSystem(set) {
		return false // it is the daemon of whoever asks
	}
	process := filepath.Join(h.proc, "self")
	if s.pid != 0 {
		process = filepath.Join(h.proc, strconv.Itoa(s.pid))
	}
	mounts, err := os.ReadFile(filepath.Join(process, "mountinfo"))
	if err != nil {
		return false
	}
	options := procOptions(string(mounts))
	if hides := options["hidepid"]; hides == "" || hides == "0" || hides == "off" {
		return false
	}
	group := options["gid"]
	if group == "" {
		return true
	}
	status, err := os.ReadFile(filepath.Join(process, "status"))
	return s.pid != 0 && err == nil && !slices.Contains(groups(string(status)), group)
}

// procOptions are those with which /proc is mounted, by proc(5), as of the last of
// several mounts: "22 27 0:21 / /proc rw,relatime - proc proc rw,gid=4,hidepid=invisible".
func procOptions(mounts string) map[string]string {
	options := map[string]string{}
	for line := range strings.Lines(mounts) {
		const mountPoint = 4
		about, source, _ := strings.Cut(strings.TrimSpace(line), " - ")
		if fields := strings.Fields(about); len(fields) <= mountPoint || fields[mountPoint] != "/proc" {
			continue
		}
		clear(options)
		for _, option := range strings.Split(source[strings.LastIndex(source, " ")+1:], ",") {
			name, value, _ := strings.Cut(option, "=")
			options[name] = value
		}
	}
	return options
}

// groups are those of a process, by its status.
func groups(status string) (all []string) {
	for line := range strings.Lines(status) {
		name, numbers, _ := strings.Cut(line, ":")
		if name == "Gid" || name == "Groups" {
			all = append(all, strings.Fields(numbers)...)
		}
	}
	return all
}
