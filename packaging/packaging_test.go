// Package packaging_test holds what is shipped beside the binary in step with
// the code, and tries "make install" as it is typed.
package packaging_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"progressd/config"
	"progressd/packaging"
	"progressd/record"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// matches returns what the expression's first group matched, sorted.
func matches(expression, text string) []string {
	var found []string
	for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	sort.Strings(found)
	return found
}

func TestEveryKindOfJournalLineIsInTheCatalog(t *testing.T) {
	sent := matches(`"([0-9a-f]{32})"`, read(t, "sink/journal.go"))
	explained := matches(`(?m)^-- ([0-9a-f]{32})$`, read(t, "packaging/systemd/progressd.catalog"))
	if len(sent) == 0 || !slices.Equal(sent, explained) {
		t.Errorf("MESSAGE_IDs in sink/journal.go:\n%q\nin the catalog:\n%q", sent, explained)
	}
}

func TestEveryFieldThatIsDocumentedIsSent(t *testing.T) {
	sent := record.FieldNames()
	for _, path := range []string{"packaging/systemd/progressd.catalog", "docs/man/progressd.8"} {
		for _, field := range matches(`(PROGRESSD_[A-Z_]+)`, read(t, path)) {
			if !slices.Contains(sent, field) {
				t.Errorf("%s names %s, which no record has", path, field)
			}
		}
	}
}

func TestEveryFieldThatIsSentIsDocumented(t *testing.T) {
	documented := matches(`(PROGRESSD_[A-Z_]+)`, read(t, "docs/man/progressd.8"))
	for _, field := range record.FieldNames() {
		if !slices.Contains(documented, field) {
			t.Errorf("progressd(8) doesn't name %s", field)
		}
	}
}

func TestEveryKeyOfTheConfigurationIsInTheManual(t *testing.T) {
	page := read(t, "docs/man/progressd.toml.5")
	// A key is set at the start of a line, also where it is commented out.
	keys := matches(`(?m)^(?:#\s?)?([a-z_]+) = `, read(t, "config.example.toml"))
	if !slices.Contains(keys, "roots") || !slices.Contains(keys, "quiet_after") {
		t.Fatalf("only these keys were found in the example: %q", keys)
	}
	for _, key := range keys {
		if !regexp.MustCompile(`(?m)^\.(TP|BR?) ?` + key + `\b`).MatchString(page) {
			t.Errorf("progressd.toml(5) doesn't explain %q", key)
		}
	}
}

func TestEveryOptionIsInTheManual(t *testing.T) {
	page := strings.ReplaceAll(read(t, "docs/man/progressd.8"), `\-`, "-")
	options := matches(`(?m)^  (--[a-z]+)`, read(t, "cmd/progressd/main.go"))
	if len(options) == 0 {
		t.Fatal("no option was found in the usage")
	}
	for _, option := range options {
		if !strings.Contains(page, option) {
			t.Errorf("progressd(8) doesn't name %s", option)
		}
	}
}

func TestEveryCauseIsInTheManual(t *testing.T) {
	page := read(t, "docs/man/progressctl-exec.1")
	causes := append(matches(`Cause = "([a-z-]+)"`, read(t, "capture/rules.go")), matches(`Cause[A-Z]\w+ += "([a-z-]+)"`, read(t, "tracker/run.go"))...)
	if len(causes) < 30 {
		t.Fatalf("only these causes were found: %q", causes)
	}
	for _, cause := range causes {
		if !regexp.MustCompile(`[ \n]` + cause + `[,.\n]`).MatchString(page) {
			t.Errorf("progressctl-exec(1) doesn't name %s", cause)
		}
	}
}

func TestThePackagedConfigurationWatchesEverybody(t *testing.T) {
	got, err := config.Load("systemd/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Roots = []string{
		"/home/*/.cache/huggingface/hub", "/root*/.cache/huggingface/hub", "/var/lib/*/.cache/huggingface/hub",
	}
	if !slices.Equal(got.Roots, want.Roots) {
		t.Errorf("roots are %q, want %q", got.Roots, want.Roots)
	}
	for _, root := range got.Roots {
		if !strings.ContainsAny(root, `*?[`) {
			t.Errorf("%s is no pattern: each start warns where it isn't there", root)
		}
	}
	wantSame(t, got, want)
}

// wantSame compares all but the roots.
func wantSame(t *testing.T, got, want config.Config) {
	t.Helper()
	got.Roots, want.Roots = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it differs from the defaults in more than the paths: %+v, want %+v", got, want)
	}
}

// What the tests run must be what users run.
func TestTheConfigurationOfTheTestsDiffersInPathsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	paths := packaging.Paths{Roots: []string{"/a/*/hub", "/b \"c\""}, Logs: "/logs", State: "/state"}
	if err := os.WriteFile(path, []byte(packaging.Config(paths)), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Roots, paths.Roots) {
		t.Errorf("roots are %q", got.Roots)
	}
	want := config.Default()
	want.Log.Dir, want.State.Dir = paths.Logs, paths.State
	wantSame(t, got, want)
}

// What the daemon reads must stay visible to it, and what it is restarted
// for must not look like a bad configuration.
// What shows that a promise holds has to be there.
func TestEveryTestThatTheDocumentationNamesExists(t *testing.T) {
	document := read(t, "docs/reliability.md")
	named := 0
	for _, cell := range matches(`(?m)\|([^|]*`+"`Test"+`[^|]*)\|$`, document) {
		var tests string
		for _, word := range regexp.MustCompile("`([A-Za-z]+)`").FindAllStringSubmatch(cell, -1) {
			if !strings.HasPrefix(word[1], "Test") {
				files, err := filepath.Glob(filepath.Join("..", word[1], "*_test.go"))
				if err != nil || len(files) == 0 {
					t.Fatalf("no tests of %s: %v", word[1], err)
				}
				tests = ""
				for _, file := range files {
					tests += read(t, strings.TrimPrefix(file, "../"))
				}
				continue
			}
			named++
			if !strings.Contains(tests, "func "+word[1]+"(") {
				t.Errorf("there is no %s where it is said to be", word[1])
			}
		}
	}
	if named < 20 {
		t.Errorf("%d tests are named", named)
	}
}

func TestTheUnitHidesNothingThatIsNeeded(t *testing.T) {
	unit := read(t, "packaging/systemd/progressd.service")
	for directive, why := range map[string]string{
		"ProcSubset=all":                "/proc/locks tells the living downloader from the dead",
		"ProtectProc=default":           "downloaders belong to other users",
		"ProtectHome=read-only":         "the caches are in homes",
		"Environment=GOTRACEBACK=crash": "else a panic exits with the status of a bad configuration",
		"RestartPreventExitStatus=2":    "a bad configuration isn't tried again",
		"SystemCallFilter=capset":       "threads that don't look have no capability",
		"CPUWeight=50":                  "who downloads and who serves go first",
		"IOSchedulingPriority=7":        "the same, at the disk",
		"LogRateLimitIntervalSec=0":     "a budget a user keeps one from silencing the others",
	} {
		if !strings.Contains(unit, "\n"+directive+"\n") {
			t.Errorf("the unit lacks %s: %s", directive, why)
		}
	}
}

// Of the paths that are kept from the daemon none is one that it needs, and all
// may be missing on a machine.
func TestTheUnitKeepsNothingThatIsNeededFromTheDaemon(t *testing.T) {
	unit := read(t, "packaging/systemd/progressd.service")
	var kept []string
	for _, line := range matches(`(?m)^InaccessiblePaths=(.*)$`, unit) {
		kept = append(kept, strings.Fields(line)...)
	}
	for _, path := range kept {
		path, optional := strings.CutPrefix(path, "-")
		if !optional {
			t.Errorf("%s has to be there", path)
		}
		for _, needed := range []string{
			"/home", "/root/.cache/huggingface/hub", "/var/lib/progressd", "/var/log/progressd", "/etc/progressd/config.toml", "/etc/passwd", "/etc/localtime",
			"/run/systemd/notify", "/run/systemd/journal/socket", "/run/progressd/progressd.sock", "/proc/locks", "/var/lib/someone/.cache/huggingface/hub",
		} {
			if needed == path || strings.HasPrefix(needed, path+"/") {
				t.Errorf("%s is kept, and %s is needed", path, needed)
			}
		}
	}
	if len(kept) < 20 {
		t.Errorf("only these are kept: %q", kept)
	}
}

// A user's service manager fails to start what needs more rights than the user
// has, or puts it into a namespace in which not every machine lets it.
func TestTheUserUnitNeedsNoPrivilege(t *testing.T) {
	unit := read(t, "packaging/systemd/progressd.user.service")
	for _, directive := range []string{
		"AmbientCapabilities", "CapabilityBoundingSet", "DynamicUser", "Group", "IPAddressDeny", "Private[A-Z][A-Za-z]*", "ProtectSystem", "ProtectHome",
		"ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernel[A-Z][A-Za-z]*", "ReadWritePaths", "User",
		// They mean other places before systemd 254.
		"LogsDirectory", "StateDirectory",
	} {
		if found := matches(`(?m)^(`+directive+`=.*)$`, unit); len(found) > 0 {
			t.Errorf("the user unit has %q", found)
		}
	}
}

func TestBothUnitsStopAndRestartAlike(t *testing.T) {
	system, user := read(t, "packaging/systemd/progressd.service"), read(t, "packaging/systemd/progressd.user.service")
	for _, directive := range []string{
		"Type", "NotifyAccess", "ExecReload", "WatchdogSec", "Restart", "RestartSec", "RestartPreventExitStatus", "Environment",
		"TimeoutStopSec", "TimerSlackNSec", "StartLimitIntervalSec", "SystemCallFilter", "RestrictAddressFamilies", "MemoryHigh", "MemoryMax", "TasksMax",
	} {
		expression := `(?m)^` + directive + `=(.*)$`
		want, got := matches(expression, system), matches(expression, user)
		if directive == "ExecReload" && len(want) > 0 { // only the system's has a sandbox to be taken out of
			want[0] = strings.TrimPrefix(want[0], "+")
		}
		if directive == "SystemCallFilter" { // only the system's has a capability to take from its threads
			want = slices.DeleteFunc(want, func(calls string) bool { return calls == "capset" })
		}
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s is %q for users, %q for the system", directive, got, want)
		}
	}
}

// makeIn runs a target with a compiler that fails and a binary that is none:
// neither install nor uninstall has use for either.
func makeIn(t *testing.T, dest string, args ...string) (output string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "make", append(args, "DESTDIR="+dest, "GO=false", "VERSION=test")...)
	cmd.Dir = ".."
	// Options of a make around us are not for this one.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS") })
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// tree lists the files beneath dir, each with its mode.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		found = append(found, strings.TrimPrefix(path, dir)+" "+info.Mode().String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// stubs stand in for the two binaries: they are the arguments that name them.
func stubs(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{"BINARY=" + path, "CLIENT=" + path}
}

func TestInstallLaysDownFilesAndUninstallTakesThemAway(t *testing.T) {
	dest := t.TempDir()
	if out, err := makeIn(t, dest, append(stubs(t), "install", "PREFIX=/usr")...); err != nil {
		t.Fatalf("make install: %v\n%s", err, out)
	}
	want := []string{
		"/etc/logrotate.d/progressd -rw-r--r--",
		"/etc/progressd/config.toml -rw-r--r--",
		"/usr/bin/progressctl -rwxr-xr-x",
		"/usr/bin/progressd -rwxr-xr-x",
		"/usr/lib/systemd/catalog/progressd.catalog -rw-r--r--",
		"/usr/lib/systemd/system/progressd-http.service -rw-r--r--",
		"/usr/lib/systemd/system/progressd-http.socket -rw-r--r--",
		"/usr/lib/systemd/system/progressd.service -rw-r--r--",
		"/usr/lib/systemd/system/progressd.socket -rw-r--r--",
		"/usr/lib/systemd/user/progressd.service -rw-r--r--",
		"/usr/lib/systemd/user/progressd.socket -rw-r--r--",
		"/usr/lib/sysusers.d/progressd.conf -rw-r--r--",
		"/usr/share/bash-completion/completions/progressctl -rw-r--r--",
		"/usr/share/doc/progressd/LICENSE -rw-r--r--",
		"/usr/share/doc/progressd/config.example.toml -rw-r--r--",
		"/usr/share/doc/progressd/examples/hf-download@.service -rw-r--r--",
		"/usr/share/doc/progressd/examples/http-port.conf -rw-r--r--",
		"/usr/share/doc/progressd/examples/hub-lookup.conf -rw-r--r--",
		"/usr/share/doc/progressd/examples/notify-reload.conf -rw-r--r--",
		"/usr/share/doc/progressd/examples/public-logs.conf -rw-r--r--",
		"/usr/share/doc/progressd/examples/tmp-caches.conf -rw-r--r--",
		"/usr/share/doc/progressd/examples/vllm-exec.conf -rw-r--r--",
		"/usr/share/doc/progressd/prometheus/grafana.json -rw-r--r--",
		"/usr/share/doc/progressd/prometheus/progressd.rules.yml -rw-r--r--",
		"/usr/share/fish/vendor_completions.d/progressctl.fish -rw-r--r--",
		"/usr/share/man/man1/progressctl-exec.1 -rw-r--r--",
		"/usr/share/man/man1/progressctl-serve.1 -rw-r--r--",
		"/usr/share/man/man1/progressctl.1 -rw-r--r--",
		"/usr/share/man/man5/progressd.toml.5 -rw-r--r--",
		"/usr/share/man/man8/progressd.8 -rw-r--r--",
		"/usr/share/zsh/site-functions/_progressctl -rw-r--r--",
	}
	if got := tree(t, dest); !slices.Equal(got, want) {
		t.Errorf("installed:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for path, start := range map[string]string{
		"usr/lib/systemd/system/progressd.service": "/usr/bin/progressd --config /etc/progressd/config.toml",
		"usr/lib/systemd/user/progressd.service":   "/usr/bin/progressd",

		"usr/lib/systemd/system/progressd-http.service": "/usr/bin/progressctl serve",

		"usr/share/doc/progressd/examples/hf-download@.service": "/usr/bin/progressctl exec -- hf download %I",
	} {
		unit, err := os.ReadFile(filepath.Join(dest, path))
		if err != nil || !strings.Contains(string(unit), "\nExecStart="+start+"\n") {
			t.Errorf("%s doesn't start the installed binary: %v\n%s", path, err, unit)
		}
	}
	if out, err := makeIn(t, dest, "uninstall", "PREFIX=/usr"); err != nil {
		t.Fatalf("make uninstall: %v\n%s", err, out)
	}
	if got := tree(t, dest); !slices.Equal(got, want[1:2]) {
		t.Errorf("left by uninstall: %q, want %q", got, want[1:2])
	}
	if _, err := os.Stat(filepath.Join(dest, "usr/share/doc/progressd")); err == nil {
		t.Error("uninstall left the directory of the documents")
	}
}

func TestInstallKeepsWhatTheAdministratorChanged(t *testing.T) {
	dest, binaries := t.TempDir(), stubs(t)
	for _, path := range []string{"etc/progressd/config.toml", "etc/logrotate.d/progressd"} {
		path = filepath.Join(dest, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("# mine\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, target := range []string{"install", "uninstall"} {
		if out, err := makeIn(t, dest, append(binaries, target)...); err != nil {
			t.Fatalf("make %s: %v\n%s", target, err, out)
		}
		for _, path := range []string{"etc/progressd/config.toml", "etc/logrotate.d/progressd"} {
			if text, err := os.ReadFile(filepath.Join(dest, path)); err != nil || string(text) != "# mine\n" {
				t.Errorf("after make %s %s holds %q, %v", target, path, text, err)
			}
		}
	}
}

func TestInstallWithoutABinarySaysWhatToDo(t *testing.T) {
	dest := t.TempDir()
	out, err := makeIn(t, dest, "install", "BINARY="+filepath.Join(dest, "none"))
	if err == nil || !strings.Contains(out, `run "make" first`) {
		t.Errorf("make install without a binary: %v\n%s", err, out)
	}
	if got := tree(t, dest); len(got) > 0 {
		t.Errorf("it laid down %q", got)
	}
}
