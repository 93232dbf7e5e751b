// Package socket is the way to a running progressd. Both sides speak JSON, an
// object a line. The first line says what a connection is for: progressctl exec
// reports of the downloader that it has started, and gets back lines; readers
// watch what is told, or ask how a repository stands.
//
//	{"v":1,"watch":{"since":"1f9k2-118","model":"org/name","levels":true}}
//	{"v":1,"ask":{"model":"org/name"}}
//	{"v":1,"facts":true}
//
// are answered by Frames. Who may see what, the peer's credentials tell, and a
// reader without rights learns nothing. A run is
//
//	{"v":1,"run":{"root":"/home/a/.cache/huggingface/hub","dev":2049,"inode":77,
//	  "repo":{"type":"model","id":"org/name"},"pid":4242,"command":"hf","only":true}}
//	{"said":{"level":"error","cause":"gated","text":"Error: Access denied. ..."}}
//	{"ended":{"status":1,"last":"Error: Access denied. ..."}}
//
// and the answers are
//
//	{"v":1,"taken":true} or {"v":1,"refused":"why","later":true}
//	{"line":"[10:01:15 PM] [INFO] org/name: Preparing to download model: org/name"}
//	{"over":true}
//
// The daemon believes nothing of it that it can know itself: who is at the
// other end, whose root that is, which process, what there is on disk. Words
// of ours never come that way, and those of the downloader are masked and
// bounded once more.
package socket

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"progressd/hfcache"
	"progressd/record"
	"progressd/tracker"
	"progressd/untrusted"
)

// Version is that of the protocol.
const Version = 1

const (
	// maxLine bounds a line of the protocol, in bytes.
	maxLine = 16 << 10
	// maxText bounds what is kept of a text of the downloader, maxPath a path.
	maxText = 1 << 10
	maxPath = 4 << 10
)

// Run is a downloader that somebody has started, and will report on.
type Run struct {
	// Root is the cache, or the directory of a download that goes into one
	// of its own; a path without links. Dev and Inode are its identity, 0 if
	// it isn't there yet.
	Root  string `json:"root"`
	Dev   uint64 `json:"dev,omitempty"`
	Inode uint64 `json:"inode,omitempty"`
	// Repo is the repository in it. Name is, for a Local one, what is
	// downloaded there, zero if that isn't known.
	Repo hfcache.Repo `json:"repo"`
	Name hfcache.Repo `json:"name,omitzero"`
	// PID is that of the downloader, Command its short name, for one that
	// has ended already.
	PID     int    `json:"pid"`
	Command string `json:"command,omitempty"`
	// Only: it does nothing but download.
	Only bool `json:"only,omitempty"`
	// Again: it was reported before, and the connection was lost.
	Again bool `json:"again,omitempty"`
	// Levels: how the download stands is to be told as well.
	Levels bool `json:"levels,omitempty"`
}

// hello is the first line of a client: what the connection is for.
type hello struct {
	V     int    `json:"v"`
	Run   *Run   `json:"run,omitempty"`
	Watch *Watch `json:"watch,omitempty"`
	Ask   *Ask   `json:"ask,omitempty"`
	// Facts asks how the daemon itself fares.
	Facts bool `json:"facts,omitempty"`
}

// report is every other line of a client; one of the two is set.
type report struct {
	Said  *said         `json:"said,omitempty"`
	Ended *tracker.Exit `json:"ended,omitempty"`
}

// said is tracker.Words without what the daemon says in words of its own.
type said struct {
	Level string `json:"level"`
	Cause string `json:"cause"`
	Text  string `json:"text"`
}

var levels = map[tracker.Level]string{tracker.Info: "info", tracker.Warning: "warning", tracker.Error: "error"}

// Answer is a line of the daemon.
type Answer struct {
	V int `json:"v,omitempty"`
	// Taken: the daemon tells of the run from now on. Refused is why it
	// doesn't, Later that it may, in a moment.
	Taken   bool   `json:"taken,omitempty"`
	Refused string `json:"refused,omitempty"`
	Later   bool   `json:"later,omitempty"`
	// Line is one that was told of the run, Over that all is said.
	Line string `json:"line,omitempty"`
	Over bool   `json:"over,omitempty"`
	// Download is how it stands, where that was asked for.
	Download *record.Download `json:"download,omitempty"`
}

func errVersion(v int) error {
	return fmt.Errorf("version %d of the protocol is not known: this progressd speaks version %d", v, Version)
}

// readHello reads the first line of a client.
func readHello(line []byte) (hello, error) {
	var h hello
	if err := json.Unmarshal(line, &h); err != nil {
		return h, errors.New("that is not a line of the protocol")
	}
	return h, nil
}

// parseHello reads and checks the first line of one that reports.
func parseHello(line []byte) (Run, error) {
	h, err := readHello(line)
	if err != nil {
		return Run{}, err
	}
	return h.run()
}

// run accepts a run with a path and an id that are safe to compare and
// to show.
func (h hello) run() (Run, error) {
	switch {
	case h.V != Version:
		return Run{}, errVersion(h.V)
	case h.Run == nil:
		return Run{}, errors.New("what the connection is for is not known: this progressd takes reports of a run, is watched and asked")
	}
	run := *h.Run
	if !filepath.IsAbs(run.Root) || filepath.Clean(run.Root) != run.Root || len(run.Root) > maxPath || strings.ContainsRune(run.Root, 0) {
		return Run{}, errors.New("root is no clean absolute path")
	}
	if !valid(run.Repo) && (run.Repo != hfcache.Repo{Type: hfcache.Local, ID: "."}) {
		return Run{}, errors.New("repo is no repository")
	}
	if run.Name != (hfcache.Repo{}) && !valid(run.Name) {
		return Run{}, errors.New("name is no repository")
	}
	if run.PID <= 0 {
		return Run{}, errors.New("pid is no process")
	}
	run.Command = plain(run.Command)
	return run, nil
}

func valid(repo hfcache.Repo) bool {
	_, ok := hfcache.NewRepo(repo.Type, repo.ID)
	return ok
}

// plain is the name of a command if it may be shown, else empty.
func plain(name string) string {
	if len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return name
}

// bounded is valid text without control characters, of a bounded length.
func bounded(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	return untrusted.Visible(text)
}

// errTooLong ends a connection.
var errTooLong = errors.New("the line is too long")
