package sizer

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"progressd/internal/inside"
)

// A repository's folder may be a mount point itself.
func TestWhatAnotherFileSystemHidesIsNotRemoved(t *testing.T) {
	if !inside.Namespace(t, 0) {
		return
	}
	mount := func(t *testing.T, source, at, kind string, flags uintptr) {
		t.Helper()
		if err := unix.Mount(source, at, kind, flags, ""); err != nil {
			t.Skipf("cannot mount in a namespace: %v", err)
		}
		t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	}
	for _, c := range []struct {
		name string
		hide func(t *testing.T, folder, disk string)
		show func(t *testing.T, folder, disk string)
	}{
		{"unmounted", func(t *testing.T, folder, _ string) { must(t, unix.Unmount(folder, 0)) }, func(t *testing.T, folder, disk string) { mount(t, disk, folder, "", unix.MS_BIND) }},
		{"mounted over", func(t *testing.T, folder, _ string) {
			mount(t, "tmpfs", folder, "tmpfs", 0)
			must(t, os.Mkdir(folder+"/blobs", 0o755))
		}, func(t *testing.T, folder, _ string) { must(t, unix.Unmount(folder, 0)) }},
		{"its blobs mounted over", func(t *testing.T, folder, _ string) { mount(t, "tmpfs", folder+"/blobs", "tmpfs", 0) },
			func(t *testing.T, folder, _ string) { must(t, unix.Unmount(folder+"/blobs", 0)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache, disk := newCache(t), t.TempDir()
			mount(t, "tmpfs", disk, "tmpfs", 0)
			folder := cache.in(demo)
			must(t, os.Mkdir(folder, 0o755))
			mount(t, disk, folder, "", unix.MS_BIND)
			cache.partial("a", ".incomplete", mib)
			cache.expect("under way", want{play: true, bytes: mib, arrived: mib, partials: 1})
			c.hide(t, folder, disk)
			for range 3 {
				if l := cache.look(); l.Gone || l.InPlay || !errors.Is(l.Unreadable, errHidden) {
					t.Fatalf("hidden: %+v", l)
				}
			}
			c.show(t, folder, disk)
			cache.partial("a", ".incomplete", 2*mib)
			cache.expect("goes on", want{play: true, bytes: 2 * mib, arrived: mib, partials: 1})
			must(t, os.RemoveAll(folder+"/blobs"))
			must(t, os.Mkdir(folder+"/blobs", 0o755))
			if l := cache.look(); !l.Gone {
				t.Errorf("removed and made again: %+v", l)
			}
		})
	}
}
