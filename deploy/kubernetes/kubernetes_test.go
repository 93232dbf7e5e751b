// Package kubernetes_test holds the manifests in step with the daemon that they
// start. That they are manifests "make kubernetes-check" sees to.
package kubernetes_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"progressd/config"
	"progressd/kubepod"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// mounted are the paths of the host that a file mounts at the same path.
func mounted(text string) []string {
	var paths []string
	for _, m := range regexp.MustCompile(`mountPath: (/[^,} \n]*)`).FindAllStringSubmatch(text, -1) {
		if strings.Contains(text, "{path: "+m[1]+"}") || strings.Contains(text, "{path: "+m[1]+",") {
			paths = append(paths, m[1])
		}
	}
	return paths
}

func TestEveryRootIsMountedWhereTheHostHasIt(t *testing.T) {
	for directory, manifests := range map[string][]string{
		"base": {"base/daemonset.yaml"}, "container-filesystems": {"base/daemonset.yaml", "container-filesystems/kustomization.yaml"},
	} {
		set, err := config.Load(directory + "/config.toml")
		if err != nil {
			t.Fatal(err)
		}
		if set.Journal.Enabled || set.Console.Format != config.JSON {
			t.Errorf("%s: lines go to the journal (%v), and to standard output as %v", directory, set.Journal.Enabled, set.Console.Format)
		}
		var paths []string
		for _, manifest := range manifests {
			paths = append(paths, mounted(read(t, manifest))...)
		}
		for _, root := range set.Roots {
			below := false
			for _, path := range paths {
				below = below || root == path || strings.HasPrefix(root, path+"/")
			}
			if !below {
				t.Errorf("%s: %s is below none of %q", directory, root, paths)
			}
		}
	}
}

func TestWhatNamesPodsIsMounted(t *testing.T) {
	text := read(t, "base/daemonset.yaml")
	if !strings.Contains(text, "mountPath: "+kubepod.Logs+",") || !strings.Contains(text, "hostPID: true") {
		t.Errorf("no pod has a name without %s, no process without the host's /proc", kubepod.Logs)
	}
}

func TestThePodIsAsPoorAsItCanBe(t *testing.T) {
	text := read(t, "base/daemonset.yaml")
	for _, wanted := range []string{
		"automountServiceAccountToken: false", "drop: [ALL]", "add: [DAC_READ_SEARCH]", "allowPrivilegeEscalation: false",
		"readOnlyRootFilesystem: true", "seccompProfile: {type: RuntimeDefault}",
	} {
		if !strings.Contains(text, wanted) {
			t.Errorf("%q isn't there", wanted)
		}
	}
	if strings.Contains(text, "privileged: true") || strings.Contains(text, "hostNetwork") || strings.Contains(text, "serviceAccountName") {
		t.Error("it asks for more than it needs")
	}
	// All that is the host's is read only, but for the daemon's own state.
	for _, line := range regexp.MustCompile(`\{name: (pods|pod-logs|models), mountPath.*\}`).FindAllString(text, -1) {
		if !strings.Contains(line, "readOnly: true") {
			t.Errorf("%s can be written to", line)
		}
	}
}
