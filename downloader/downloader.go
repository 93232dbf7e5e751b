// Package downloader tells who is downloading: which process holds the lock
// of a blob, what it is called, and what its command line asked for. It only
// reads world-readable files of /proc, and keeps nothing of a command line but
// what it understood: arguments hold tokens.
package downloader

import "progressd/hfcache"

// Process is one process that was seen holding a lock of a cache.
type Process struct {
	PID int `json:"pid"`
	// Started is the start time in clock ticks since boot (field 22 of
	// /proc/PID/stat): with it a reused pid is told from the process meant.
	Started uint64 `json:"started"`
	// Command is the short name: never raw, printable ASCII only.
	Command string `json:"command"`
	// Unit is the systemd unit it runs in, empty if none.
	Unit string `json:"unit,omitempty"`
	// Container is the first 12 digits of its container's id, or the
	// container's name; empty if it is in none that is known.
	Container string `json:"container,omitempty"`
	// Namespace and Pod are those of Kubernetes that it runs in; empty if it
	// runs in none that this machine knows by its name.
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	// User is the name of its effective user, or the number where this
	// machine has no name for it, as for a container's users.
	User string `json:"user,omitempty"`
	// Request is what its command line asked for, nil if that can't be told.
	Request *Request `json:"request,omitempty"`
	// Loader is what it loads, or what the program loads that started it;
	// nil if that can't be told.
	Loader *Loader `json:"loader,omitempty"`
}

// Request is what a known command line (hf download, huggingface-cli
// download) asks for. Its texts are valid UTF-8 without control characters,
// and untrusted otherwise.
type Request struct {
	Repo     hfcache.Repo `json:"repo"`
	Revision string       `json:"revision,omitempty"`
	// Filter selects the files that are wanted; the zero Filter wants all.
	Filter hfcache.Filter `json:"filter"`
	// LocalDir is the value of --local-dir, as it was written: perhaps a
	// path relative to a directory that nobody knows. Empty for a download
	// into a cache. With it nothing of the request is about a cache.
	LocalDir string `json:"local_dir,omitempty"`
}
