package tracker

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/downloader"
	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
)

// truths says what becomes of a download that has brought some bytes of one
// file and then stays as the row describes it: the verdict, and how long after.
//
//	lock     held: by a process that runs and can be read. gone: it was, and
//	         the process is no more. left: the process runs and has let go of
//	         it. hidden: it is held, and the process can't be read (another
//	         pid namespace); lost: so it was. never: no lock was ever seen.
//	partial  grows, is still there, or is not.
//	blob     whether the finished file is there, with its link. A partial
//	         beside it that isn't locked, where locks are seen, is nobody's.
//
// Where the process lives on, or nobody knows whether it does, what it has brought is a file of a model, and no whole
// one: it may be about to go on.
//
// alive: keepalives and steps go on, no verdict. silent: no keepalive speaks
// for a process that is gone, steps would be told, and no verdict comes.
//
// The columns are what is known of the rest: nothing; a listing that names one
// more file; the same, and from the command line that this file isn't wanted.
// "-" can't be: what is wanted is read from the process that holds the lock.
const truths = `
lock   partial blob | no listing        a listing         listing and wants
held   grows   no   | alive             alive             alive
held   grows   yes  | alive             alive             complete 0s
held   still   no   | stalled 10m       stalled 10m       stalled 10m
held   still   yes  | stalled 10m       stalled 10m       complete 0s
held   none    no   | stalled 10m       stalled 10m       stalled 10m
held   none    yes  | stalled 10m       stalled 10m       complete 0s
gone   grows   no   | alive             alive             alive
gone   grows   yes  | complete 30s      ended 30s         complete 0s
gone   still   no   | interrupted 1m    interrupted 1m    interrupted 1m
gone   still   yes  | complete 30s      ended 30s         complete 0s
gone   none    no   | interrupted 1m    interrupted 1m    interrupted 1m
gone   none    yes  | complete 30s      ended 30s         complete 0s
left   grows   no   | alive             alive             alive
left   grows   yes  | complete 10m      ended 10m         complete 0s
left   still   no   | interrupted 10m   interrupted 10m   stalled 10m
left   still   yes  | complete 10m      ended 10m         complete 0s
left   none    no   | interrupted 10m   interrupted 10m   stalled 10m
left   none    yes  | complete 10m      ended 10m         complete 0s
hidden grows   no   | alive             alive             -
hidden grows   yes  | alive             alive             -
hidden still   no   | stalled 10m       stalled 10m       -
hidden still   yes  | stalled 10m       stalled 10m       -
hidden none    no   | stalled 10m       stalled 10m       -
hidden none    yes  | stalled 10m       stalled 10m       -
lost   grows   no   | alive             alive             -
lost   grows   yes  | complete 10m      ended 10m         -
lost   still   no   | interrupted 10m   interrupted 10m   -
lost   still   yes  | complete 10m      ended 10m         -
lost   none    no   | interrupted 10m   interrupted 10m   -
lost   none    yes  | complete 10m      ended 10m         -
never  grows   no   | alive             alive             -
never  grows   yes  | alive             alive             -
never  still   no   | interrupted 10m   interrupted 10m   -
never  still   yes  | complete 30s      ended 30s         -
never  none    no   | interrupted 10m   interrupted 10m   -
never  none    yes  | complete 30s      ended 30s         -
`

func TestTruths(t *testing.T) {
	for line := range strings.Lines(strings.TrimSpace(truths)) {
		row, verdicts, _ := strings.Cut(line, "|")
		facts := strings.Fields(row)
		if facts[0] == "lock" {
			continue
		}
		for i, known := range []string{"nothing", "listing", "wants"} {
			cell := strings.TrimSpace(verdicts[1+18*i : min(len(verdicts), 1+18*(i+1))])
			if cell == "-" {
				continue
			}
			t.Run(strings.Join(append(facts, known), " "), func(t *testing.T) {
				s := newScene(t, known)
				s.begin(facts[0])
				s.turn(facts[0], facts[1], facts[2] == "yes")
				if got := s.verdict(facts[1] == "grows"); got != cell {
					t.Errorf("it is %s, want %s", got, cell)
				}
			})
		}
	}
}

// A scene is a cache with one file on its way, and a proc directory.
type scene struct {
	*testing.T
	base, partial, blob string
	root                *sizer.Root
	now, turned, judged time.Time
	d                   *download
	events              []Event
}

const (
	sceneCommit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	sceneEtag   = "0123456789012345678901234567890123456789"
	sceneWhole  = 1 << 20
)

func newScene(t *testing.T, known string) *scene {
	t.Helper()
	s := &scene{T: t, base: t.TempDir(), now: time.Now()}
	s.blob = s.in("hub", folder, "blobs", sceneEtag)
	s.partial = s.blob + ".01234567.incomplete"
	if known != "nothing" {
		file := func(etag string) map[string]any { return map[string]any{"size": sceneWhole, "blob_id": etag} }
		text, err := json.Marshal(map[string]any{"format_version": 1, "files": map[string]any{
			"a.bin": file(sceneEtag), "b.bin": file(strings.Repeat("b", 40)),
		}})
		must(t, err)
		s.write(s.in("hub", folder, "trees", sceneCommit+".json"), text)
	}
	args := "python3\x00serve.py\x00"
	if known == "wants" {
		args = "hf\x00download\x00org/demo\x00--include\x00a*\x00"
	}
	s.write(s.in("proc", "42", "cmdline"), []byte(args))
	s.write(s.in("proc", "42", "comm"), []byte("hf\n"))
	s.write(s.in("proc", "42", "stat"), []byte("42 (hf) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1000 0 0\n"))
	s.write(s.in("proc", "42", "cgroup"), []byte("0::/\n"))
	s.locks(false)
	var st syscall.Stat_t
	must(t, os.MkdirAll(s.in("hub"), 0o755))
	must(t, syscall.Stat(s.in("hub"), &st))
	since := s.now.Add(-time.Minute)
	s.root = sizer.NewRoot(sizer.Options{
		FS: stamped{}, Path: s.in("hub"), Dev: st.Dev, Inode: st.Ino, Since: since, Opened: since, Procs: downloader.NewShared(downloader.ProcDir(s.in("proc"))),
		Judged: s.interest, Log: slog.New(slog.DiscardHandler),
	})
	return s
}

func (s *scene) in(parts ...string) string {
	return filepath.Join(append([]string{s.base}, parts...)...)
}

func (s *scene) write(path string, data []byte) {
	s.Helper()
	must(s.T, os.MkdirAll(filepath.Dir(path), 0o755))
	must(s.T, os.WriteFile(path, data, 0o644))
	must(s.T, os.Chtimes(path, s.now, s.now))
}

// stamped is the real file system, where files were made when their contents say so:
// the time of an inode can't be set to that of a scene.
type stamped struct{ fsys.Real }

func (s stamped) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	err := s.Real.Fstatat(at, name, st, flags)
	st.Ctim = st.Mtim
	return err
}

// interest is what the tracker has in the newest look.
func (s *scene) interest(hfcache.Repo) (time.Time, sizer.Interest) {
	if s.d == nil {
		return time.Time{}, sizer.Open
	}
	return s.judged, s.d.interest()
}

// locks lets process 42 hold the file's lock, or nobody.
func (s *scene) locks(held bool) {
	text := ""
	if held {
		path := s.in("hub", ".locks", folder, sceneEtag+".lock")
		s.write(path, nil)
		var st syscall.Stat_t
		must(s.T, syscall.Stat(path, &st))
		text = fmt.Sprintf("1: FLOCK  ADVISORY  WRITE 42 %02x:%02x:%d 0 EOF\n", st.Dev>>8&0xfff, st.Dev&0xff|st.Dev>>12&0xfff00, st.Ino)
	}
	s.write(s.in("proc", "locks"), []byte(text))
}

// begin is a download that has just brought its first bytes.
func (s *scene) begin(lock string) {
	s.locks(lock != "never")
	if lock == "hidden" || lock == "lost" {
		must(s.T, os.RemoveAll(s.in("proc", "42")))
	}
	must(s.T, os.MkdirAll(s.in("hub", folder, "snapshots", sceneCommit), 0o755))
	s.write(s.partial, make([]byte, 4096))
	// So that a blob comes behind it by any clock of a file system.
	before := time.Now().Add(-time.Second)
	must(s.T, os.Chtimes(s.partial, before, before))
	s.look()
	s.look()
}

// turn brings about what the row says.
func (s *scene) turn(lock, partial string, blob bool) {
	if lock == "gone" {
		must(s.T, os.RemoveAll(s.in("proc", "42")))
	}
	s.locks(lock == "held" || lock == "hidden")
	if blob {
		s.write(s.blob, make([]byte, sceneWhole))
		must(s.T, os.Symlink("../../blobs/"+sceneEtag, s.in("hub", folder, "snapshots", sceneCommit, "a.bin")))
	}
	if partial == "none" {
		must(s.T, os.Remove(s.partial))
	}
	s.turned = s.now
}

func (s *scene) grow() {
	f, err := os.OpenFile(s.partial, os.O_WRONLY|os.O_APPEND, 0)
	must(s.T, err)
	_, err = f.Write(make([]byte, 4096))
	must(s.T, errors.Join(err, f.Close(), os.Chtimes(s.partial, s.now, s.now)))
}

// verdict looks on for longer than any verdict takes.
func (s *scene) verdict(grows bool) string {
	s.events = nil
	var spoke time.Time
	for s.now.Before(s.turned.Add(12 * time.Minute)) {
		if grows {
			s.grow()
		}
		s.look()
		for _, e := range s.events {
			spoke = e.At
			switch e.Kind {
			case Stalled, Interrupted, Ended, Completed:
				after := e.At.Sub(s.turned).Round(30 * time.Second).String()
				if strings.HasSuffix(after, "m0s") {
					after = strings.TrimSuffix(after, "0s")
				}
				kind := strings.Replace(string(e.Kind), "completed", "complete", 1)
				return kind + " " + after
			}
		}
		s.events = nil
	}
	if s.now.Sub(spoke) > 2*defaults.Keepalive {
		return "silent"
	}
	return "alive"
}

// look passes once, 5 s after the last time.
func (s *scene) look() {
	s.now = s.now.Add(5 * time.Second)
	l, _ := s.root.Look(s.now, folder)
	l.At = s.now
	if s.d == nil && l.InPlay {
		s.d = newDownload(defaults, l, l.Base)
	}
	if s.d != nil {
		s.events = append(s.events, s.d.observe(l)...)
		s.events = append(s.events, s.d.tick(s.now)...)
	}
	s.judged = s.now
}
