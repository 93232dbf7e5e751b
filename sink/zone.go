package sink

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// zoneEvery is how often a line asks whether the time zone has changed.
	zoneEvery = time.Minute
	// maxZone bounds a file of a time zone, in bytes: real ones have some 3000.
	maxZone = 1 << 20
)

// A Zone is the local time zone, also after it has changed: Go's runtime reads
// it once, and a daemon runs for months. A nil Zone is the one of the process's
// start. Several goroutines may use it at once.
type Zone struct {
	// path is the file that says which zone it is.
	path string

	mu      sync.Mutex
	place   *time.Location
	read    zoneFile
	checked time.Time
}

// zoneFile tells one file of a zone, or one content of it, from another.
type zoneFile struct {
	dev, inode uint64
	size       int64
	changed    unix.Timespec
}

// LocalZone is the zone of /etc/localtime, or of the file that TZ names. It is
// nil where TZ names the zone itself: that can't change.
func LocalZone() *Zone {
	path := zonePath(os.LookupEnv)
	if path == "" {
		return nil
	}
	return &Zone{path: path}
}

// zonePath is the file from which Go's runtime takes the local zone, empty if
// TZ says it by a name; as initLocal in time/zoneinfo_unix.go has it.
func zonePath(lookup func(string) (string, bool)) string {
	tz, set := lookup("TZ")
	if !set {
		return "/etc/localtime"
	}
	if path := strings.TrimPrefix(tz, ":"); filepath.IsAbs(path) {
		return path
	}
	return ""
}

// Local is t in the zone as it is now.
func (z *Zone) Local(t time.Time) time.Time {
	if z == nil {
		return t.Local()
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.place == nil || time.Since(z.checked) >= zoneEvery {
		z.refresh()
		z.checked = time.Now()
	}
	return t.In(z.place)
}

// refresh reads the zone's file if it is another one, or has another content.
// Without one the zone is UTC, as everywhere. What can't be read changes
// nothing: the file may just be being replaced.
func (z *Zone) refresh() {
	if z.place == nil {
		z.place = time.Local
	}
	found, err := identify(z.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		z.place, z.read = time.UTC, zoneFile{}
	case err != nil, found == z.read:
	default:
		if place, err := readZone(z.path); err == nil {
			z.place, z.read = place, found
		}
	}
}

func identify(path string) (zoneFile, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return zoneFile{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return zoneFile{}, errors.New("no regular file")
	}
	return zoneFile{dev: st.Dev, inode: st.Ino, size: st.Size, changed: st.Ctim}, nil
}

func readZone(path string) (*time.Location, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxZone))
	if err != nil {
		return nil, err
	}
	return time.LoadLocationFromTZData("Local", data)
}
