// Package kubepod tells in which pod of Kubernetes a process runs, or to which a
// directory belongs, by names that every node has: of cgroups, of the kubelet's
// directories, of the directories of the pods' logs. The API is not asked, so no
// token is needed. It is pure knowledge of these names, and one listing.
package kubepod

import (
	"errors"
	"io"
	"os"
	"strings"
)

// Logs is where the kubelet has a directory for each pod of its node, named
// <namespace>_<name>_<uid>, from before its first container is started.
const Logs = "/var/log/pods"

const (
	// maxPods bounds what is read of the directories of logs. A node has 110
	// pods by default; 500 are the most that is known to be run.
	maxPods = 10_000
	// maxName is how long the names of pods and namespaces may be (RFC 1123).
	maxName = 253
)

// A Pod is what people call a pod by. Its names are valid, so printable ASCII.
type Pod struct{ Namespace, Name string }

// OfProcess is the uid of the pod that the text of a /proc/PID/cgroup names;
// empty if it names none. The outermost counts: what lies below, a container may
// name itself.
func OfProcess(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		// hierarchy:controllers:path
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for element := range strings.SplitSeq(parts[2], "/") {
			if uid := uidOfCgroup(element); uid != "" {
				return uid
			}
		}
	}
	return ""
}

// uidOfCgroup knows one element of a path. With the kubelet's driver "systemd" it
// is kubepods-burstable-pod<uid>.slice, with an underscore for each dash of the
// uid, perhaps led by another slice's name (kubelet-kubepods-pod<uid>.slice in
// kind); with the driver "cgroupfs" pod<uid>.
func uidOfCgroup(element string) string {
	if uid, ok := strings.CutPrefix(element, "pod"); ok {
		return validUID(uid)
	}
	stem, ok := strings.CutSuffix(element, ".slice")
	if !ok || !strings.HasPrefix(stem, "kubepods-") && !strings.Contains(stem, "-kubepods-") {
		return ""
	}
	_, uid, _ := strings.Cut(stem, "-pod")
	return validUID(strings.ReplaceAll(uid, "_", "-"))
}

// OfDirectory is the uid of the pod whose volume a path lies in, as
// /var/lib/kubelet/pods/<uid>/volumes/<plugin>/<volume>, wherever the kubelet's
// own directory is; empty if it is in none.
func OfDirectory(path string) string {
	elements := strings.Split(path, "/")
	for i := 0; i+2 < len(elements); i++ {
		kind := elements[i+2]
		if elements[i] != "pods" || kind != "volumes" && kind != "volume-subpaths" {
			continue
		}
		if uid := validUID(elements[i+1]); uid != "" {
			return uid
		}
	}
	return ""
}

// validUID is s if it has the form of a pod's uid: a UUID, or for a pod that the
// kubelet reads from a file the 32 digits of a hash. Else it is empty.
func validUID(s string) string {
	const digits = 32
	plain := s
	if len(s) == digits+4 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		plain = strings.ReplaceAll(s, "-", "")
	}
	if len(plain) != digits || strings.Trim(plain, "0123456789abcdef") != "" {
		return ""
	}
	return s
}

// All are the pods of the node by their uids, as the names of the directories in
// logs (Logs) tell. Where there is no such directory there are none. Other names in
// it are left out, and of more than 10 000 the rest.
func All(logs string) (map[string]Pod, error) {
	dir, err := os.Open(logs)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxPods)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	pods := make(map[string]Pod, len(names))
	for _, name := range names {
		if uid, pod, ok := parse(name); ok {
			pods[uid] = pod
		}
	}
	return pods, nil
}

// parse knows the name of a directory of logs. Neither of the names may have an
// underscore in it.
func parse(directory string) (uid string, pod Pod, ok bool) {
	parts := strings.Split(directory, "_")
	if len(parts) != 3 {
		return "", Pod{}, false
	}
	pod = Pod{Namespace: parts[0], Name: parts[1]}
	uid = validUID(parts[2])
	return uid, pod, uid != "" && isName(pod.Namespace) && isName(pod.Name)
}

func isName(s string) bool {
	return s != "" && len(s) <= maxName && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}
