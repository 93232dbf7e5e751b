package sim

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"progressd/hfcache"
)

// A fate is how a client ends before its time.
type fate string

// The fates.
const (
	finishes    fate = ""
	killed      fate = "SIGKILL"
	interrupted fate = "Ctrl-C"
)

// A program is whose download it is.
type program string

// The programs.
const (
	command program = "command" // hf download: says what is wanted
	script  program = "script"  // a library in a program that doesn't
	serving program = "llama"   // llama.cpp, which says what it loads
)

// A plan is how one client goes about a revision.
type plan struct {
	Seed  uint64
	Habit string
	By    program
	// Include and Single ask for part of the revision.
	Include []string `json:",omitempty"`
	Single  string   `json:",omitempty"`
	// Force fetches also what is there. RemovesLocks removes lock files when
	// they are given back, as some versions of the lock library do.
	Force, RemovesLocks bool `json:",omitempty"`
	// Fate comes at so many bytes, or so many calls.
	Fate      fate  `json:",omitempty"`
	DieAtByte int64 `json:",omitempty"`
	DieAtStep int   `json:",omitempty"`
	// StopAfter it began it is stopped (SIGSTOP) for StopFor.
	StopAfter, StopFor time.Duration `json:",omitempty"`
	Hub                hubMood
	// Rate is in bytes a second and connection; Chunk is written at once,
	// Burst by those that write much, Ahead are the pieces in flight.
	Rate, Chunk, Burst int64
	Ahead              int
	// Stays is how long its program goes on when all is there.
	Stays time.Duration `json:",omitempty"`
}

// A hubMood is what goes wrong at the hub for one client.
type hubMood struct {
	// After so many files it Refuses (403), or has the client Wait (429).
	After   int           `json:",omitempty"`
	Refuses bool          `json:",omitempty"`
	Wait    time.Duration `json:",omitempty"`
	// AtByte it stands still, or the connection is cut.
	AtByte int64         `json:",omitempty"`
	Stall  time.Duration `json:",omitempty"`
	Cuts   bool          `json:",omitempty"`
	// IgnoresRange: it sends all of a file of which the rest was asked for.
	IgnoresRange bool `json:",omitempty"`
}

// wants reports whether a file was asked for.
func (p plan) wants(path string) bool {
	if p.Single != "" {
		return path == p.Single
	}
	return hfcache.Filter{Include: p.Include}.Match(path)
}

// partly: not all of the revision is asked for.
func (p plan) partly() bool { return p.Single != "" || len(p.Include) > 0 }

// argv is the command line of its program.
func (p plan) argv(repo *repository) []string {
	if p.By == serving {
		return []string{"/usr/bin/llama-server", "-hf", repo.repo.ID}
	}
	if p.By == script {
		return []string{"/usr/bin/" + programOf(p.Habit), "train.py"}
	}
	argv := []string{"/usr/bin/python3", "/usr/local/bin/hf", "download", repo.repo.ID}
	old := strings.Contains(p.Habit, "<=") || strings.Contains(p.Habit, " 0.")
	if old {
		argv[1] = "/usr/local/bin/huggingface-cli"
	}
	if p.Single != "" {
		argv = append(argv, p.Single)
	}
	if repo.repo.Type == hfcache.Dataset {
		argv = append(argv, "--repo-type", "dataset")
	}
	for i, pattern := range p.Include {
		if i == 0 || !old { // argparse takes all in one, and forgets what is given before
			argv = append(argv, "--include")
		}
		argv = append(argv, pattern)
	}
	if repo.local != "" {
		argv = append(argv, "--local-dir", repo.dir())
	}
	return argv
}

// programOf is the program in which a library downloads.
func programOf(habit string) string {
	switch {
	case habit == "huggingface.js":
		return "node"
	case habit == "llama.cpp":
		return "server"
	case strings.HasPrefix(habit, "swift"):
		return "mlx-run"
	case strings.HasPrefix(habit, "Rust"):
		return "candle"
	default:
		return "python3"
	}
}

// listing is trees/<commit>.json.
func (r *revision) listing() string {
	files := map[string]any{}
	for _, f := range r.files {
		entry := map[string]any{"size": f.size, "blob_id": f.etag}
		if f.xet != "" {
			entry = map[string]any{"size": f.size, "blob_id": f.etag[:40], "lfs_sha256": f.etag, "lfs_size": f.size, "xet_hash": f.xet}
		}
		files[f.path] = entry
	}
	text, err := json.Marshal(map[string]any{"format_version": 1, "files": files})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// describe says in words what the plan is.
func (p plan) describe(repo *repository) string {
	parts := []string{p.Habit, "as a " + string(p.By)}
	add := func(when bool, format string, args ...any) {
		if when {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(p.Single != "", "wants %s alone", p.Single)
	add(len(p.Include) > 0, "wants %s", strings.Join(p.Include, " "))
	add(repo.local != "", "into a directory of its own")
	add(p.Force, "fetches all anew")
	add(p.Fate != finishes && p.DieAtByte > 0, "%s at %d bytes", p.Fate, p.DieAtByte)
	add(p.Fate != finishes && p.DieAtStep > 0, "%s at call %d", p.Fate, p.DieAtStep)
	add(p.Hub.Refuses, "403 after %d files", p.Hub.After)
	add(p.Hub.Wait > 0, "429 after %d files, for %v", p.Hub.After, p.Hub.Wait)
	add(p.Hub.Stall > 0, "the hub stands still at %d bytes for %v", p.Hub.AtByte, p.Hub.Stall)
	add(p.Hub.Cuts, "the connection breaks at %d bytes", p.Hub.AtByte)
	add(p.Hub.IgnoresRange, "the hub ignores Range")
	add(p.Stays > 0, "its program goes on for %v", p.Stays)
	parts = append(parts, fmt.Sprintf("%d bytes/s a connection", p.Rate))
	return strings.Join(parts, ", ")
}
