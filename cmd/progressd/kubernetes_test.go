package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"progressd/internal/client"
	"progressd/internal/inside"
	"progressd/kubepod"
	"progressd/record"
)

// A node of Kubernetes, made up: the kubelet's tree appears while the daemon runs,
// and a real client's writer fills a volume of a pod.
func TestADownloadIntoAVolumeNamesThePod(t *testing.T) {
	if !inside.Namespace(t, 0) {
		return
	}
	const uid = "3d5f4c1e-7a3b-4f0e-9c55-0a1b2c3d4e5f"
	if err := unix.Mount("tmpfs", filepath.Dir(kubepod.Logs), "tmpfs", 0, ""); err != nil {
		t.Skipf("cannot mount in a namespace: %v", err)
	}
	d := newService(t)
	volumes := d.path("kubelet", "pods", "*", "volumes", "kubernetes.io~empty-dir", "*", "hub")
	d.write("config.toml", strings.Replace(d.config(), d.path("hub"), volumes, 1)+"[console]\nformat = \"json\"\n")
	d.start()
	d.until(d.errout, "watching")

	mkdir(t, filepath.Join(kubepod.Logs, "models_llama-0_"+uid))
	volume := strings.NewReplacer("pods/*", "pods/"+uid, "/*/hub", "/cache/hub").Replace(volumes)
	mkdir(t, volume)
	d.until(d.errout, "cache found")
	hh := client.HH{Endpoint: serveHub(t).URL(), Root: volume, Generation: client.Trees, Chunk: mb / 2, Workers: 1}
	cmd, err := client.Command(context.Background(), t.TempDir(), hh, demo.ID)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	d.until(d.out, `"event":"completed"`)
	d.stop(exitOK)
	lines := strings.Split(strings.TrimSpace(d.out.String()), "\n")
	var last record.Record
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if last.Namespace != "models" || last.Pod != "llama-0" || last.Root != volume {
		t.Errorf("it is of %q in %q: %s", last.Pod, last.Namespace, lines[len(lines)-1])
	}
}
