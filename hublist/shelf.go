package hublist

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
)

// What the shelf holds at most; the oldest answers go first.
const (
	maxShelved      = 256
	maxShelvedBytes = 64 << 20
)

// A shelf is a directory of answers. A commit never changes, so neither does
// what is said of it. The files have the form of a client's trees/<commit>.json.
type shelf struct {
	dir      string
	endpoint string
}

var shelved = regexp.MustCompile(`^[0-9a-f]{40}-[0-9a-f]{16}\.json$`)

const unfinished = "answer.tmp"

// path is where an answer lies. Another endpoint may give other blob names.
func (s shelf) path(r request) string {
	sum := sha256.Sum256([]byte(s.endpoint + "\n" + string(r.repo.Type) + "\n" + r.repo.ID))
	return filepath.Join(s.dir, r.commit+"-"+hex.EncodeToString(sum[:8])+".json")
}

// load gives an answer. One that can't be used is an error: it is fetched
// anew.
func (s shelf) load(r request) (hfcache.Listing, error) {
	file, err := os.OpenFile(s.path(r), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return hfcache.Listing{}, err
	}
	defer file.Close()
	listing, err := hfcache.ParseListing(bufio.NewReader(file), hfcache.DefaultLimits())
	if err == nil && len(listing.Files) == 0 {
		err = errors.New("no file is listed")
	}
	return listing, err
}

// save puts an answer on the shelf in one step, and takes off what is too
// much.
func (s shelf) save(r request, listing hfcache.Listing) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	temp := filepath.Join(s.dir, unfinished)
	if err := write(temp, listing); err != nil {
		return errors.Join(err, os.Remove(temp)) // on a full disk the torn file is in the way
	}
	if err := os.Rename(temp, s.path(r)); err != nil {
		return err
	}
	return s.tidy()
}

func write(path string, listing hfcache.Listing) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	fmt.Fprint(w, `{"format_version":1,"files":{`) // a Writer keeps its error for Flush
	for i, f := range listing.Files {
		if i > 0 {
			fmt.Fprint(w, ",\n")
		}
		path, err := json.Marshal(f.Path)
		if err != nil {
			return errors.Join(err, file.Close())
		}
		fmt.Fprintf(w, `%s:{"size":%d,"blob_id":%q}`, path, f.Size, f.Etag)
	}
	fmt.Fprintln(w, "}}")
	return errors.Join(w.Flush(), file.Close())
}

// tidy keeps the shelf within its bounds. What else lies there stays.
func (s shelf) tidy() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	var answers []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && shelved.MatchString(e.Name()) {
			answers = append(answers, info)
		}
	}
	slices.SortFunc(answers, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	var bytes int64
	for i, info := range answers {
		if bytes += info.Size(); i >= maxShelved || bytes > maxShelvedBytes && i > 0 {
			err = cmp.Or(err, os.Remove(filepath.Join(s.dir, info.Name())))
		}
	}
	return err
}
