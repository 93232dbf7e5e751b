package kubepod

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

const (
	uid    = "3d5f4c1e-7a3b-4f0e-9c55-0a1b2c3d4e5f"
	escape = "3d5f4c1e_7a3b_4f0e_9c55_0a1b2c3d4e5f"
	hash   = "0123456789abcdef0123456789abcdef"
)

func TestThePodOfAProcess(t *testing.T) {
	id := "/cri-containerd-" + hash + hash + ".scope"
	for cgroup, want := range map[string]string{
		// The driver systemd, of each quality of service; as seen from within another container.
		"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + escape + ".slice" + id + "\n": uid,
		"0::/kubepods.slice/kubepods-pod" + escape + ".slice/crio-" + hash + hash + ".scope\n":               uid,
		"0::/../../kubepods-besteffort-pod" + escape + ".slice" + id + "\n":                                  uid,
		// kind, with a cgroup of its own around all of it.
		"0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod" + escape + ".slice" + id: uid,
		// The driver cgroupfs; version 1, where each controller has a line.
		"0::/kubepods/burstable/pod" + uid + "/" + hash + hash + "\n": uid,
		"12:pids:/kubepods/pod" + uid + "/" + hash + "\n0::/\n":       uid,
		// A static pod has a hash for a uid.
		"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + hash + ".slice" + id: hash,
		// Below its own cgroup a container names what it likes.
		"0::/kubepods/pod" + uid + "/x/pod" + hash + "\n": uid,

		"0::/system.slice/docker-" + hash + hash + ".scope\n": "",
		"0::/user.slice/kubepods-pod.slice\n":                 "",
		"0::/podman\n0::/pod1234\n":                           "",
		"0::/kubepods-podx" + escape[1:] + ".slice\n":         "",
		"nonsense\n\n": "",
		"":             "",
	} {
		if got := OfProcess(cgroup); got != want {
			t.Errorf("%q is of %q, not %q", cgroup, got, want)
		}
	}
}

func TestThePodOfADirectory(t *testing.T) {
	for path, want := range map[string]string{
		"/var/lib/kubelet/pods/" + uid + "/volumes/kubernetes.io~empty-dir/cache/hub":         uid,
		"/var/lib/kubelet/pods/" + uid + "/volumes/kubernetes.io~csi/pvc-1/mount":             uid,
		"/var/lib/kubelet/pods/" + uid + "/volume-subpaths/models/server/0":                   uid,
		"/data/k0s/kubelet/pods/" + hash + "/volumes/kubernetes.io~empty-dir/x":               hash,
		"/var/lib/kubelet/pods/" + uid + "/volumes/a/pods/" + hash + "/volumes/kubernetes":    uid,
		"/var/lib/kubelet/pods/" + uid + "/containers/x":                                      "",
		"/var/lib/kubelet/pods/../volumes/x":                                                  "",
		"/home/pods/volumes":                                                                  "",
		"/run/containerd/io.containerd.runtime.v2.task/k8s.io/" + hash + hash + "/rootfs/hub": "",
		"": "",
	} {
		if got := OfDirectory(path); got != want {
			t.Errorf("%q is of %q, not %q", path, got, want)
		}
	}
}

func TestTheNamesAreThoseOfTheLogs(t *testing.T) {
	logs := t.TempDir()
	for _, name := range []string{
		"default_llama-7d9f-x2x1z_" + uid, "kube-system_etcd-node.a_" + hash, // as the kubelet makes them
		"default_llama", "a_b_c_" + uid, "default_Llama_" + uid[1:] + "0", "default_x\n_" + uid, "_" + "_" + uid, "default_x_" + hash[1:],
	} {
		if err := os.Mkdir(filepath.Join(logs, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	got, err := All(logs)
	want := map[string]Pod{uid: {"default", "llama-7d9f-x2x1z"}, hash: {"kube-system", "etcd-node.a"}}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if got, err := All(filepath.Join(logs, "none")); err != nil || len(got) != 0 {
		t.Errorf("without a directory: %v, %v", got, err)
	}
}

func FuzzNames(f *testing.F) {
	f.Add("0::/kubepods.slice/kubepods-pod"+escape+".slice", "/var/lib/kubelet/pods/"+uid+"/volumes/x", "default_a_"+uid)
	f.Fuzz(func(t *testing.T, cgroup, path, directory string) {
		for _, got := range []string{OfProcess(cgroup), OfDirectory(path)} {
			if got != "" && validUID(got) != got {
				t.Errorf("%q is no uid", got)
			}
		}
		if uid, pod, ok := parse(directory); ok && (pod.Namespace+"_"+pod.Name+"_"+uid != directory || !isName(pod.Name)) {
			t.Errorf("%q is %v of %q", directory, pod, uid)
		}
	})
}
