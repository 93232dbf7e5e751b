package main

import (
	"os"
	"strings"
	"testing"

	"progressd/internal/inside"
)

func TestCheckTellsWhatIsWrongWithARoot(t *testing.T) {
	t.Parallel()
	link := func(t *testing.T, d *service, to, at string) {
		t.Helper()
		if err := os.Symlink(to, d.path(at)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		prepare func(*testing.T, *service)
		status  int
		says    []string // DIR stands for the test's directory
		not     []string
	}{
		{"nothing there yet", func(*testing.T, *service) {}, exitOK, []string{"DIR/hub  nothing there yet"}, nil},
		{"a file", func(_ *testing.T, d *service) { d.write("hub", "") }, exitFailed, []string{"DIR/hub  not a directory: a root is one in which"}, []string{"readdirent"}},
		{"a link to nowhere", func(t *testing.T, d *service) { link(t, d, "/nowhere/hub", "hub") }, exitFailed, []string{"DIR/hub  no such file or directory"}, nil},
		{"a cache one level below", func(t *testing.T, d *service) {
			mkdir(t, d.path("hub", "hub", "models--a--b", "blobs"))
			mkdir(t, d.path("hub", "plain", "thing"))
		}, exitOK, []string{"DIR/hub  0 repositories\n", "DIR/hub/hub is a cache, one level below a root: name it as a root"}, []string{"plain"}},
		{"folders that are links", func(t *testing.T, d *service) {
			mkdir(t, d.path("disk", "models--a--b", "blobs"))
			mkdir(t, d.path("disk", "plain"))
			mkdir(t, d.path("hub", "models--real--one", "blobs"))
			link(t, d, d.path("disk", "models--a--b"), "hub/models--a--b")
			link(t, d, "models--real--one", "hub/models--alias--one")
			link(t, d, d.path("disk", "plain"), "hub/models--c--d")
			link(t, d, "/nowhere", "hub/models--e--f")
		}, exitOK, []string{
			"DIR/hub  1 repositories, 4 more that are links and not followed\n",
			"DIR/hub/models--a--b is a link and is not followed: name \"DIR/disk\" as a root",
			"DIR/hub/models--c--d is a link and is not followed: a folder of that name",
			"DIR/hub/models--e--f is a link that leads nowhere",
		}, []string{"alias--one is"}},
		{"blobs that are a link", func(t *testing.T, d *service) {
			mkdir(t, d.path("disk"))
			mkdir(t, d.path("hub", "models--a--b"))
			link(t, d, d.path("disk"), "hub/models--a--b/blobs")
		}, exitOK, []string{"DIR/hub  1 repositories\n", "DIR/hub/models--a--b/blobs is a link and is not followed: mount"}, nil},
		{"directories of their own", func(t *testing.T, d *service) {
			mkdir(t, d.path("hub", "llama", stage))
			mkdir(t, d.path("hub", "org", "qwen", stage))
			mkdir(t, d.path("disk", stage))
			mkdir(t, d.path("hub", "moved", ".cache"))
			link(t, d, d.path("disk"), "hub/linked")
			link(t, d, d.path("disk", ".cache", "huggingface"), "hub/moved/.cache/huggingface")
			link(t, d, "/etc", "hub/other")
		}, exitOK, []string{
			"DIR/hub  0 repositories, 2 filled by --local-dir, 1 more that are links and not followed\n",
			"DIR/hub/linked is a link and is not followed: name what it leads to as a root",
			"DIR/hub/moved/.cache/huggingface is a link and is not followed: make it a directory",
		}, []string{"other"}},
		{"what terminals obey is not printed", func(t *testing.T, d *service) {
			mkdir(t, d.path("hub", "a\x1b[2Jb", "models--a--b"))
		}, exitOK, []string{`\x1b[2J`}, []string{"\x1b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newService(t)
			c.prepare(t, d)
			d.start("--check", "--config", d.path("config.toml"))
			d.ended(c.status)
			out := strings.ReplaceAll(d.out.String(), d.dir, "DIR")
			for _, want := range c.says {
				if !strings.Contains(out, want) {
					t.Errorf("%q is missing:\n%s", want, out)
				}
			}
			for _, no := range c.not {
				if strings.Contains(out, no) {
					t.Errorf("%q is there:\n%s", no, out)
				}
			}
		})
	}
}

const stage = ".cache/huggingface/download"

// What the user who checks may not see, the service may.
func TestCheckByWhoMayNotLookIsNoFailure(t *testing.T) {
	if !inside.Namespace(t, 1000) {
		return
	}
	d := newService(t)
	mkdir(t, d.path("hub"))
	if err := os.Chmod(d.path("hub"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(d.path("hub"), 0o755) })
	d.start("--check", "--config", d.path("config.toml"))
	d.ended(exitOK)
	if !strings.Contains(d.out.String(), "permission denied (of this user: the service may be allowed to look)") {
		t.Errorf("out:\n%s", d.out)
	}
}
