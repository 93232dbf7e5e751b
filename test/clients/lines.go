package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"progressd/hfcache"
)

// line is one line of a model's log.
type line struct {
	raw, level, text, kind string
}

// beginnings tell the kinds of lines apart by their text, as a reader would.
var beginnings = []struct{ text, kind, level string }{
	{"Preparing to download ", "preparing", "INFO"},
	{"Downloading ", "started", "INFO"},
	{"Resuming download: ", "resumed", "INFO"},
	{"Downloaded ", "progress", "INFO"},
	{"Download progress: ", "progress", "INFO"},
	{"Still downloading: ", "keepalive", "INFO"},
	{"Download can't be seen for ", "keepalive", "INFO"},
	{"Download stalled at ", "stalled", "WARNING"},
	{"Download moving again: ", "moving", "INFO"},
	{"Partial files were removed, ", "restarted", "WARNING"},
	{"Download began again: ", "restarted", "WARNING"},
	{"Download interrupted at ", "interrupted", "WARNING"},
	{"Download ended: ", "ended", "INFO"},
	{"No listing to check against: ", "unlisted", "INFO"},
	{"Nothing in flight: ", "idle", "INFO"},
	{"Model downloaded successfully", "completed", "SUCCESS"},
	{"Dataset downloaded successfully", "completed", "SUCCESS"},
	{"Download removed at ", "removed", "WARNING"},
	{"Leftovers of dead attempts found: ", "orphans", "WARNING"},
	{"Size of ", "size-differs", "WARNING"},
	{"Disk space is short: ", "low-space", "WARNING"},
	{"Disk space may be short: up to ", "low-space", "WARNING"},
	{"Disk space is enough again: ", "enough-space", "INFO"},
	{"Total ", "total-dropped", "WARNING"},
}

// priorities are what journalctl shows for a level.
var priorities = map[string]string{"INFO": "6", "SUCCESS": "5", "WARNING": "4", "ERROR": "3"}

var lineForm = regexp.MustCompile(`^\[(?:0[1-9]|1[0-2]):[0-5][0-9]:[0-5][0-9] [AP]M\] \[(INFO|SUCCESS|WARNING|ERROR)\] ([ -~]+)\n$`)

// readLog reads a log as it is now. A line that has not the form of one is of
// no known kind.
func readLog(path string) []line {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var lines []line
	for raw := range strings.Lines(string(data)) {
		l := line{raw: strings.TrimSuffix(raw, "\n"), kind: "?"}
		if m := lineForm.FindStringSubmatch(raw); m != nil {
			l.level, l.text = m[1], m[2]
			l.kind = kindOf(l)
		}
		lines = append(lines, l)
	}
	return lines
}

func kindOf(l line) string {
	for _, b := range beginnings {
		if strings.HasPrefix(l.text, b.text) && b.level == l.level {
			return b.kind
		}
	}
	return "?"
}

// logPath is where the log of a repository is: where the same id is in two
// caches, the second has a part of its root's hash in its name. A directory
// of its own has its log by that name.
func (s *stage) logPath(root string, repo hfcache.Repo) string {
	if filepath.Dir(root) == filepath.Join(s.caches, localRoot) {
		return filepath.Join(s.dir, "log", filepath.Base(root)+"@local.log")
	}
	sum := sha256.Sum256([]byte(root))
	hashed := filepath.Join(s.dir, "log", repo.Slug()+"@"+hex.EncodeToString(sum[:4])+".log")
	if _, err := os.Stat(hashed); err == nil {
		return hashed
	}
	return filepath.Join(s.dir, "log", repo.Slug()+".log")
}

// entry is one message of the journal, its fields by name.
type entry map[string]string

// source is whom a message is about.
type source struct {
	root string
	repo hfcache.Repo
}

// readJournal gives every message of progressd, in order, by whom it is about.
func readJournal() (map[source][]entry, error) {
	dir := os.Getenv("JOURNAL_DIR")
	if dir == "" {
		return nil, fmt.Errorf("JOURNAL_DIR is not set: run this by test/harness/journald-alone.sh")
	}
	if err := exec.Command("journalctl", "--sync").Run(); err != nil {
		return nil, fmt.Errorf("cannot flush the journal: %w", err)
	}
	out, err := exec.Command("journalctl", "--directory", dir, "--quiet", "--all", "--output", "json", "SYSLOG_IDENTIFIER=progressd").Output()
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	found := map[source][]entry{}
	scanner := bufio.NewScanner(bytes.NewReader(out))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var e entry
		// A field that is no text would be an array: then this fails.
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("cannot read a message of the journal: %w\n%s", err, scanner.Bytes())
		}
		from := source{e["PROGRESSD_ROOT"], hfcache.Repo{Type: hfcache.RepoType(e["PROGRESSD_REPO_TYPE"]), ID: e["PROGRESSD_MODEL"]}}
		found[from] = append(found[from], e)
	}
	return found, scanner.Err()
}
