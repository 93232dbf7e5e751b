package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
	"progressd/tracker"
)

// version is that of every file in the state directory. A file of another
// version is kept aside, never converted in place.
const version = 1

// stateRecord is state.json.
type stateRecord struct {
	Version int          `json:"version"`
	Roots   []rootRecord `json:"roots"`
	Repos   []repoRecord `json:"repos"`
	// Verdicts are the newest, as they were told.
	Verdicts []Verdict `json:"verdicts,omitempty"`
}

// rootRecord is the baseline of one root: what finished before Since is
// silent. The identity tells another file system mounted over the path; older
// records know the inode alone.
type rootRecord struct {
	Path string `json:"path"`
	fsys.Identity
	Since time.Time `json:"since"`
}

// repoRecord is what remains of a repository when no episode is open.
type repoRecord struct {
	Root string `json:"root"`
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
}

// episodeRecord is one file in episodes/.
type episodeRecord struct {
	Version int `json:"version"`
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

// decode reads a record of this version; anything else is an error.
func decode(data []byte, record any) error {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("cannot understand it: %w", err)
	}
	if head.Version != version {
		return fmt.Errorf("its version is %d, this progressd knows %d only", head.Version, version)
	}
	if err := json.Unmarshal(data, record); err != nil {
		return fmt.Errorf("cannot understand it: %w", err)
	}
	return nil
}

func decodeState(data []byte) (stateRecord, error) {
	var rec stateRecord
	if err := decode(data, &rec); err != nil {
		return stateRecord{}, err
	}
	return rec, nil
}

// decodeEpisode also refuses a record that lies in a file of another name:
// it would be written and removed elsewhere than it was read.
func decodeEpisode(name string, data []byte) (episodeRecord, error) {
	var rec episodeRecord
	if err := decode(data, &rec); err != nil {
		return episodeRecord{}, err
	}
	if rec.Episode.ID == "" || rec.Episode.Repo.ID == "" {
		return episodeRecord{}, errors.New("it names no episode")
	}
	if episodeFile(rec.Episode.ID) != name {
		return episodeRecord{}, errors.New("it holds an episode of another name")
	}
	return rec, nil
}

// encode refuses what would not be read again.
func encode(record any, limit int) ([]byte, error) {
	data, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("cannot encode a record: %w", err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("cannot keep a record of %d bytes: the limit is %d", len(data), limit)
	}
	return data, nil
}

// sane brings a time into the years that RFC 3339, and so JSON, can say: a
// cache's file times are anybody's to set.
func sane(t time.Time) time.Time {
	if year := t.UTC().Year(); year < 1 || year > 9998 {
		return time.Date(9998, time.December, 31, 0, 0, 0, 0, time.UTC)
	}
	return t
}
