package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"progressd/hfcache"
	"progressd/internal/client"
	"progressd/internal/hub"
)

var large = hfcache.Repo{Type: hfcache.Model, ID: "org/large"}

// faultD19: a real file system of 24 MiB, and 40 MB that are to go there.
func faultD19(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a small disk")
	}
	for _, tt := range []struct {
		name, verdict string
		gen           client.Generation
		rate          int64
		ahead         bool
	}{
		{"a client that tells how much it will be, and tidies up", `disk was full`, client.Trees, 6 * mb, true},
		{"a client that leaves what it has begun", `disk is full`, client.HH023, 20 * mb, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newService(t)
			d.smallDisk(24 << 20)
			d.start()
			d.until(d.errout, "watching")
			if err := d.fetchLarge(40*mb, tt.rate, tt.gen); err == nil {
				t.Fatal("40 MB fit on a disk of 24 MiB")
			}
			d.until(d.out, "Download interrupted at ")
			d.stop(exitOK)
			log := d.log("org--large.log")
			verdict := regexp.MustCompile(`(?m)^\[WARNING\] Download interrupted at .*: downloader \(pid [0-9]+, (?:hf|huggingface-cli)\) is gone, ` + tt.verdict + `$`)
			if len(verdict.FindAllString(log, -1)) != 1 || strings.Contains(log, "successfully") {
				t.Errorf("log:\n%s", log)
			}
			ahead := regexp.MustCompile(`(?m)^\[WARNING\] Disk space is short: [0-9.]+MB left to download, [0-9.]+MB free$`)
			if told := ahead.FindAllString(log, -1); (len(told) == 1) != tt.ahead || len(told) > 1 {
				t.Errorf("told ahead: %q\nlog:\n%s", told, log)
			}
		})
	}
}

// smallDisk mounts a file system of its own for the cache.
func (d *service) smallDisk(size int) {
	d.t.Helper()
	mkdir(d.t, d.path("hub"))
	if err := syscall.Mount("tmpfs", d.path("hub"), "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		d.t.Skipf("cannot mount a small disk: %v", err)
	}
	d.t.Cleanup(func() {
		if err := syscall.Unmount(d.path("hub"), 0); err != nil {
			d.t.Errorf("cannot unmount: %v", err)
		}
	})
}

// faultD3: what a dead attempt left long ago is told once, also over a restart.
func faultD3(t *testing.T) {
	t.Parallel()
	d := newService(t)
	blobs := d.path("hub", demo.Folder(), "blobs")
	mkdir(t, blobs)
	left := filepath.Join(blobs, strings.Repeat("a", 64)+".01234567.incomplete")
	if err := os.WriteFile(left, make([]byte, mb), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-72*time.Hour - time.Minute)
	if err := os.Chtimes(left, old, old); err != nil {
		t.Fatal(err)
	}
	for life := range 2 {
		d.start()
		d.until(d.errout, "watching")
		if life == 0 {
			d.until(d.out, "Leftovers")
		} else { // for three polls
			if err := d.fetchLarge(8*mb, mb/2, client.Trees); err != nil {
				t.Fatal(err)
			}
			d.until(d.out, "successfully")
		}
		d.stop(exitOK)
	}
	const line = "[WARNING] Leftovers of dead attempts found: 1.0MB in 1 partial file 3 days old, not counted (hf cache prune, or rm, frees the room)\n"
	if log := d.log("org--demo.log"); log != line {
		t.Errorf("log:\n%s", log)
	}
}

// fetchLarge downloads a model of that size, so many bytes a second, and
// returns when the downloader has ended.
func (d *service) fetchLarge(size, rate int64, gen client.Generation) error {
	d.t.Helper()
	h := hub.New(hub.Options{FileRate: rate})
	if err := h.Start(); err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	if _, _, err := h.Publish(large, "main", hub.File{Path: "model.safetensors", Size: size, Storage: hub.LFS}); err != nil {
		d.t.Fatal(err)
	}
	hh := client.HH{Endpoint: h.URL(), Root: d.path("hub"), Generation: gen, Chunk: mb / 2, Workers: 1}
	cmd, err := client.Command(context.Background(), d.t.TempDir(), hh, large.ID)
	if err != nil {
		d.t.Fatal(err)
	}
	return cmd.Run()
}
