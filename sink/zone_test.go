package sink

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"progressd/tracker"
)

// zoneData is a file of a zone, as zic writes it, that is always so many hours
// east of Greenwich.
func zoneData(hours int32) []byte {
	const transitions, types, abbreviation = 0, 1, "X\x00"
	data := append([]byte("TZif"), make([]byte, 16)...)
	for _, count := range []uint32{0, 0, 0, transitions, types, uint32(len(abbreviation))} {
		data = binary.BigEndian.AppendUint32(data, count)
	}
	data = binary.BigEndian.AppendUint32(data, uint32(hours*60*60))
	return append(data, append([]byte{0, 0}, abbreviation...)...)
}

func testZoneChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "localtime")
		put := func(name string, data []byte) string {
			t.Helper()
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		// link puts the link of localtime to a zone in place, as timedatectl does.
		link := func(zone string) {
			t.Helper()
			if err := os.Symlink(zone, path+".new"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}
		zone := &Zone{path: path}
		wants := func(when, want string) {
			t.Helper()
			e := event(tracker.Preparing, "")
			e.At = time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC)
			form := Form{Stamp: RFC3339, Zone: zone}
			if got := form.line(e, "text"); got != "["+want+"] [INFO] text" {
				t.Errorf("%s: %s, want %s", when, got, want)
			}
		}
		const east, west, utc = "2026-10-05T14:00:00+02:00", "2026-10-05T07:00:00-05:00", "2026-10-05T12:00:00Z"

		link(put("east", zoneData(2)))
		wants("at the start", east)
		link(put("west", zoneData(-5)))
		wants("within the minute", east)
		pass(zoneEvery)
		wants("a minute later", west)
		put("west", []byte("TZif, half written"))
		pass(zoneEvery)
		wants("broken", west)
		put("west", zoneData(2))
		pass(zoneEvery)
		wants("mended", east)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		pass(zoneEvery)
		wants("removed", utc)
		link(filepath.Join(dir, "west"))
		zone = &Zone{path: path}
		wants("after a reload", east)
	})
}

func TestTheZoneIsWhereGoReadsIt(t *testing.T) {
	for _, test := range []struct {
		tz   string
		set  bool
		want string
	}{
		{"", false, "/etc/localtime"},
		{"", true, ""},
		{"UTC", true, ""},
		{":Europe/Rome", true, ""},
		{":/etc/localtime", true, "/etc/localtime"},
		{"/usr/share/zoneinfo/Europe/Rome", true, "/usr/share/zoneinfo/Europe/Rome"},
	} {
		if got := zonePath(func(string) (string, bool) { return test.tz, test.set }); got != test.want {
			t.Errorf("TZ=%q (set: %v) is read from %q, want %q", test.tz, test.set, got, test.want)
		}
	}
	var none *Zone
	at := time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC)
	if got := none.Local(at); got != at.Local() {
		t.Errorf("no zone of its own gives %v, want %v", got, at.Local())
	}
}
