package state

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"progressd/account"
	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
	"progressd/tracker"
)

// A line is one change, as it stands in a file of records: exactly one of its
// fields is set. What a later line says of the same thing holds.
type line struct {
	Head     *headRecord    `json:"head,omitempty"`
	Baseline *baseline      `json:"baseline,omitempty"`
	Repo     *repoRecord    `json:"repo,omitempty"`
	Episode  *episodeRecord `json:"episode,omitempty"`
	// Closed is the id of an episode that is over and done with, Forgotten
	// a repository of which nothing is remembered any more.
	Closed    string        `json:"closed,omitempty"`
	Forgotten *hfcache.Repo `json:"forgotten,omitempty"`
}

// version is that of every file of records. A file of another version is kept
// aside; formerVersion is the one before, which is read once and then replaced.
const (
	version       = 2
	formerVersion = 1
)

// headRecord is the first line of a file: whose records it holds. It comes
// again where the root changes hands.
type headRecord struct {
	Version int          `json:"version"`
	Root    string       `json:"root"`
	Owner   account.User `json:"owner"`
}

// A baseline is the time before which what finished in a root is silent. The
// identity tells another file system mounted over the path; that of older versions
// knows the inode alone.
type baseline struct {
	fsys.Identity
	Since time.Time `json:"since"`
}

// repoRecord is what remains of a repository when no episode is open.
type repoRecord struct {
	hfcache.Repo
	// Since is that of its last closed episode, zero before the first.
	Since time.Time `json:"since,omitzero"`
	// CutOffs are those of that episode, too.
	CutOffs []sizer.CutOff `json:"cut_offs,omitempty"`
	// Log is the name of its log file, given once and kept.
	Log string `json:"log,omitempty"`
	// Home is the directory in which that was, Number the number of that
	// episode.
	Home   fsys.Identity `json:"home,omitzero"`
	Number uint64        `json:"number,omitempty"`
	// Leftovers is when those of dead attempts were told last.
	Leftovers time.Time `json:"leftovers,omitzero"`
	// Verdict is what ended its last download, nil if that is of no use any
	// more.
	Verdict *tracker.Event `json:"verdict,omitempty"`

	// given: the log's name was given in this life.
	given bool
	dirty bool
}

// episodeRecord is what is remembered of one download under way.
type episodeRecord struct {
	// Number orders the episodes of a state directory: clocks can be set
	// back, and two episodes of one repository may be remembered at once.
	Number  uint64          `json:"number"`
	Episode tracker.Episode `json:"episode"`
	Pending []pendingRecord `json:"pending,omitempty"`
}

// pendingRecord is the outbox note of one verdict.
type pendingRecord struct {
	Event tracker.Event `json:"event"`
	// Position is set once the line is about to be appended.
	Position *tracker.Position `json:"position,omitempty"`
	// Written names the sinks that have it for good.
	Written []string `json:"written,omitempty"`
}

// decodeHead reads the first line of a file. One of another version is an error.
func decodeHead(text []byte) (headRecord, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return headRecord{}, fmt.Errorf("cannot understand it: %w", err)
	}
	if l.Head == nil {
		return headRecord{}, errors.New("it doesn't say whose records it holds")
	}
	if l.Head.Version != version {
		return headRecord{}, fmt.Errorf("its version is %d, this progressd knows %d only", l.Head.Version, version)
	}
	return *l.Head, nil
}

// decodeLine reads any other line.
func decodeLine(text []byte) (line, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return line{}, fmt.Errorf("cannot understand a line: %w", err)
	}
	switch {
	case l.Head != nil && l.Head.Version != version:
		return line{}, fmt.Errorf("a line is of version %d", l.Head.Version)
	case l.Repo != nil && l.Repo.ID == "":
		return line{}, errors.New("a line names no repository")
	case l.Episode != nil && (l.Episode.Episode.ID == "" || l.Episode.Episode.Repo.ID == ""):
		return line{}, errors.New("a line names no episode")
	}
	return l, nil
}

// encode gives a change its line, and refuses what would not be read again.
func encode(l line) ([]byte, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("cannot encode a record: %w", err)
	}
	if len(text) >= maxLineBytes {
		return nil, fmt.Errorf("cannot keep a record of %d bytes: the limit is %d", len(text), maxLineBytes)
	}
	return append(text, '\n'), nil
}

// sane brings a time into the years that RFC 3339, and so JSON, can say: a
// cache's file times are anybody's to set.
func sane(t time.Time) time.Time {
	if year := t.UTC().Year(); year < 1 || year > 9998 {
		return time.Date(9998, time.December, 31, 0, 0, 0, 0, time.UTC)
	}
	return t
}

func hexHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// safeName reports whether a name may be used as a file's as it is.
func safeName(name string) bool {
	if name == "" || len(name) > maxName || strings.HasPrefix(name, ".") {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '-', c == '_', c == '@':
		default:
			return false
		}
	}
	return true
}

// maxName is the longest file name that every Linux file system takes.
const maxName = 255
