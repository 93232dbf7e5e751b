package downloader

import (
	"strconv"
	"strings"
)

// shortID is how many digits of a container's id its tools show and take.
const shortID = 12

// parseContainer finds the container in the lines of /proc/PID/cgroup, the
// innermost if they are nested: the first 12 digits of its id, or its name
// where the machine has named it. Empty if there is none.
func parseContainer(text string) string {
	for line := range strings.Lines(text) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		_, path, _ := strings.Cut(rest, ":")
		if name := innermostContainer(path); name != "" {
			return name
		}
	}
	return ""
}

func innermostContainer(path string) string {
	found, above := "", ""
	for element := range strings.SplitSeq(path, "/") {
		if name := containerOf(element, above); name != "" {
			found = name
		}
		above = element
	}
	return found
}

// scopes are how systemd names the scope of a container by its id: Docker,
// Podman, containerd and CRI-O. The monitors beside them (libpod-conmon-,
// crio-conmon-) have ids that are none.
var scopes = []string{"docker-", "libpod-", "cri-containerd-", "crio-", "nerdctl-"}

// containerOf reads one element of a path, below another one.
func containerOf(element, above string) string {
	stem := strings.TrimSuffix(element, ".scope")
	for _, prefix := range scopes {
		if id, ok := strings.CutPrefix(stem, prefix); ok && isContainerID(id) {
			return id[:shortID]
		}
	}
	// Without systemd: /docker/<id>, /kubepods/burstable/pod<uid>/<id>.
	if isContainerID(element) {
		return element[:shortID]
	}
	// systemd-nspawn by its machine, and LXC by its name.
	if name, ok := strings.CutPrefix(stem, "machine-"); ok && stem != element {
		return plainName(unescapeUnit(name))
	}
	if name, ok := strings.CutPrefix(element, "lxc.payload."); ok {
		return plainName(name)
	}
	if above == "lxc" || above == "lxc.payload" {
		return plainName(element)
	}
	return ""
}

func isContainerID(s string) bool {
	const digits = 64
	return len(s) == digits && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'f')
	})
}

// plainName is s if it may be the name of a host or a user, else empty.
func plainName(s string) string {
	if len(s) > maxShortName || strings.ContainsFunc(s, func(r rune) bool {
		alnum := '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		return !alnum && !strings.ContainsRune("-_.", r)
	}) {
		return ""
	}
	return s
}

// unescapeUnit takes back what systemd-escape does to a byte: "\x2d" is "-".
func unescapeUnit(s string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, `\x`)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		if len(after) < 2 {
			return ""
		}
		n, err := strconv.ParseUint(after[:2], 16, 8)
		if err != nil {
			return ""
		}
		b.WriteByte(byte(n))
		s = after[2:]
	}
}
