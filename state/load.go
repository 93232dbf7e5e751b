package state

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// load reads the directory. What can't be used is noted in s.aside, so that
// nothing is written over it, and is one warning for each kind.
func (s *Store) load() {
	if err := s.loadState(); err != nil {
		s.log.Warn("cannot use the state file: it is kept aside, roots are taken as seen for the first time",
			"file", s.path(stateFile), "err", err)
		s.aside = append(s.aside, stateFile)
	}
	bad, err := s.loadEpisodes()
	if len(bad) > 0 {
		s.log.Warn("cannot use some records of downloads: they are kept aside",
			"dir", s.path(episodesDir), "count", len(bad), "first", bad[0], "err", err)
		s.aside = append(s.aside, bad...)
	} else if err != nil {
		s.log.Warn("cannot read all records of downloads", "dir", s.path(episodesDir), "err", err)
	}
	s.settleHomes()
	s.endOlderTwins()
	s.recallVerdicts()
}

func (s *Store) loadState() error {
	data, err := readBounded(s.path(stateFile), maxStateBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	rec, err := decodeState(data)
	if err != nil {
		return err
	}
	s.roots = rec.Roots[max(0, len(rec.Roots)-maxRoots):]
	for _, r := range rec.Repos {
		s.adopt(r)
	}
	s.verdicts = rec.Verdicts[max(0, len(rec.Verdicts)-maxVerdicts):]
	return nil
}

// adopt takes over a repository's record, but no log name that could lead
// elsewhere or that another repository has.
func (s *Store) adopt(r repoRecord) {
	key := repoKey{r.Root, r.Repo}
	if !safeName(r.Log) || s.logTaken(r.Log) {
		r.Log = ""
	} else {
		s.logs[r.Log] = key
	}
	s.repos[key] = &r
	s.last = max(s.last, r.Number)
}

// loadEpisodes gives the files that are no good, and why the first is.
func (s *Store) loadEpisodes() (bad []string, first error) {
	names, err := episodeNames(s.path(episodesDir))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		file := filepath.Join(episodesDir, name)
		if err := s.loadEpisode(name, s.path(file)); err != nil {
			bad = append(bad, file)
			first = cmp.Or(first, err)
		}
	}
	return bad, first
}

func (s *Store) loadEpisode(name, path string) error {
	data, err := readBounded(path, maxEpisodeBytes)
	if err != nil {
		return err
	}
	rec, err := decodeEpisode(name, data)
	if err != nil {
		return err
	}
	s.episodes[rec.Episode.ID] = &episode{episodeRecord: rec}
	s.last = max(s.last, rec.Number)
	return nil
}

// settleHomes gives the episodes of a version that knew no directories theirs,
// where only one was ever seen at the path of their root. Else it is found out
// where the repository is seen next.
func (s *Store) settleHomes() {
	seen := map[string][]fsys.Identity{}
	for _, r := range s.roots {
		seen[r.Path] = append(seen[r.Path], r.Identity)
	}
	for _, e := range s.episodes {
		if at := seen[e.Episode.Root]; e.Episode.Home == (fsys.Identity{}) && len(at) == 1 {
			e.Episode.Home = at[0]
		}
	}
}

// endOlderTwins leaves each repository of a directory one open episode: where
// the disk took the newer one's record and refused the end of the older, two are
// read.
func (s *Store) endOlderTwins() {
	newest := map[repoKey][]*episode{}
	for _, e := range s.inOrder() {
		if e.Episode.Over {
			continue
		}
		others := slices.DeleteFunc(newest[e.key()], func(older *episode) bool {
			if !older.Episode.Home.Same(e.Episode.Home) {
				return false
			}
			older.Episode.Over, older.dirty = true, true
			return true
		})
		newest[e.key()] = append(others, e)
	}
}

// episodeNames lists at most maxEpisodes records. It also removes what a kill
// left half written.
func episodeNames(dir string) ([]string, error) {
	list, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer list.Close()
	var names []string
	for {
		some, err := list.Readdirnames(1024)
		for _, name := range some {
			switch {
			case strings.HasSuffix(name, tempSuffix):
				_ = os.Remove(filepath.Join(dir, name))
			case !strings.HasSuffix(name, recordSuffix):
			case len(names) == maxEpisodes:
				return names, fmt.Errorf("cannot take more than %d records", maxEpisodes)
			default:
				names = append(names, name)
			}
		}
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return names, err
		}
	}
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it has more than %d bytes", limit)
	}
	return data, nil
}
