package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"progressd/fsys"
)

// formerState is state.json.
type formerState struct {
	Version int `json:"version"`
	Roots   []struct {
		Path string `json:"path"`
		baseline
	} `json:"roots"`
	Repos []struct {
		Root string `json:"root"`
		repoRecord
	} `json:"repos"`
	Verdicts []Verdict `json:"verdicts"`
}

// formerEpisode is one file in episodes/.
type formerEpisode struct {
	Version int `json:"version"`
	episodeRecord
}

// loadFormer takes over what the version before has left, of roots of which
// there are no records yet: when all of these are written, its files are
// removed.
func (s *Store) loadFormer() {
	known := make(map[string]bool, len(s.roots))
	for root := range s.roots {
		known[root] = true
	}
	if err := s.loadFormerState(known); err != nil {
		s.log.Warn("cannot use the state file: it is kept aside, roots are taken as seen for the first time",
			"file", s.path(stateFile), "err", err)
		s.aside = append(s.aside, stateFile)
	}
	bad, err := s.loadFormerEpisodes(known)
	if len(bad) > 0 {
		s.log.Warn("cannot use some records of downloads: they are kept aside",
			"dir", s.path(episodesDir), "count", len(bad), "first", bad[0], "err", err)
		s.aside = append(s.aside, bad...)
	} else if err != nil {
		s.log.Warn("cannot read all records of downloads", "dir", s.path(episodesDir), "err", err)
	}
	for root, r := range s.roots {
		if !known[root] {
			r.settleHomes()
		}
	}
}

// settleHomes gives the episodes of a version that knew no directories theirs,
// where only one was ever seen at the path of their root. Else it is found out
// where the repository is seen next.
func (r *records) settleHomes() {
	if len(r.baselines) != 1 {
		return
	}
	for _, e := range r.episodes {
		if e.Episode.Home == (fsys.Identity{}) {
			e.Episode.Home = r.baselines[0].Identity
		}
	}
}

func (s *Store) loadFormerState(known map[string]bool) error {
	data, err := readBounded(s.path(stateFile), maxStateBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var rec formerState
	if err := decodeFormer(data, &rec); err != nil {
		return err
	}
	s.former = append(s.former, stateFile)
	for _, root := range rec.Roots {
		if !known[root.Path] {
			s.of(root.Path).addBaseline(root.baseline)
		}
	}
	for _, repo := range rec.Repos {
		if !known[repo.Root] && repo.ID != "" {
			s.adopt(s.of(repo.Root), repo.repoRecord)
		}
	}
	for _, v := range rec.Verdicts {
		if r := s.roots[v.Root]; r != nil && r.repos[v.Repo] != nil && !known[v.Root] {
			r.repos[v.Repo].Verdict = &v.Event
		}
	}
	return nil
}

// loadFormerEpisodes gives the files that are no good, and why the first is.
func (s *Store) loadFormerEpisodes(known map[string]bool) (bad []string, first error) {
	names, err := namesOf(s.path(episodesDir), episodeSuffix, maxEpisodes)
	for _, name := range names {
		file := filepath.Join(episodesDir, name)
		rec, err := readFormerEpisode(name, s.path(file))
		if err == nil {
			s.former = append(s.former, file)
			if !known[rec.Episode.Root] {
				err = s.adoptEpisode(s.of(rec.Episode.Root), rec.episodeRecord, len(name))
			}
		}
		if err != nil {
			bad = append(bad, file)
			first = err
		}
	}
	if first == nil {
		first = err
	}
	return bad, first
}

func readFormerEpisode(name, path string) (formerEpisode, error) {
	var rec formerEpisode
	data, err := readBounded(path, maxLineBytes)
	if err == nil {
		err = decodeFormer(data, &rec)
	}
	switch {
	case err != nil:
		return rec, err
	case rec.Episode.ID == "" || rec.Episode.Repo.ID == "":
		return rec, errors.New("it names no episode")
	case formerFile(rec.Episode.ID) != name:
		return rec, errors.New("it holds an episode of another name")
	default:
		return rec, nil
	}
}

// formerFile is the name of an episode's file in episodes/.
func formerFile(id string) string {
	if len(id) > maxName/2 || !safeName(id) {
		id = hexHash(id)
	}
	return id + episodeSuffix
}

// decodeFormer reads a record of the version before; anything else is an error.
func decodeFormer(data []byte, record any) error {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("cannot understand it: %w", err)
	}
	if head.Version != formerVersion {
		return fmt.Errorf("its version is %d, this progressd knows %d and %d only", head.Version, formerVersion, version)
	}
	if err := json.Unmarshal(data, record); err != nil {
		return fmt.Errorf("cannot understand it: %w", err)
	}
	return nil
}
