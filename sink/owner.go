package sink

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"progressd/account"
	"progressd/tracker"
)

// rootMark is the extended attribute of a log in which it stands whose it is:
// "name:" or "pattern:", as the root is configured, and the root's path.
const rootMark = "user.progressd.root"

// maxMark bounds a mark: ext4 has one block for all attributes of a file.
const maxMark = 1024

// A mark says whose a log is.
type mark struct {
	named bool
	root  string
}

func markOf(e tracker.Event) mark {
	m := mark{named: e.Tenant.Named, root: e.Root}
	if len(m.root) > maxMark/2 {
		m.root = "sha256:" + rootHash(m.root)
	}
	return m
}

func (m mark) String() string {
	if m.named {
		return "name:" + m.root
	}
	return "pattern:" + m.root
}

func parseMark(text string) (m mark, ok bool) {
	if m.root, ok = strings.CutPrefix(text, "name:"); ok {
		return mark{named: true, root: m.root}, true
	}
	m.root, ok = strings.CutPrefix(text, "pattern:")
	return m, ok
}

// readMark gives the mark of a file; ok is false of one that has none, also where
// the file system keeps none.
func readMark(path string) (mark, bool) {
	buf := make([]byte, maxMark)
	n, err := unix.Lgetxattr(path, rootMark, buf)
	if err != nil {
		return mark{}, false
	}
	return parseMark(string(buf[:n]))
}

// rootHash is the hash of a root's path; its beginning tells the logs of the same
// model in two roots apart (see state).
func rootHash(root string) string {
	sum := sha256.Sum256([]byte(root))
	return hex.EncodeToString(sum[:])
}

// otherNames are the names that a log may have where its own is another root's:
// ever more of the root's hash, so that they can't be made to collide.
func otherNames(log, root string) (names []string) {
	hash := rootHash(root)
	slug := strings.TrimSuffix(log, ".log")
	had := 0
	if at := strings.LastIndexByte(slug, '@'); at >= 0 && len(slug)-at > 8 && strings.HasPrefix(hash, slug[at+1:]) {
		had, slug = len(slug)-at-1, slug[:at]
	}
	for n := 8; n <= 40; n += 8 {
		if n > had {
			names = append(names, slug+"@"+hash[:n]+".log")
		}
	}
	return names
}

// FindLog gives the path of the log that a root has by that name: of none that is
// marked as another's.
func FindLog(dir, log, root string) string {
	want := markOf(tracker.Event{Root: root})
	first := filepath.Join(dir, log)
	got, marked := readMark(first)
	if !marked || got.root == want.root {
		return first
	}
	for _, name := range otherNames(log, root) {
		path := filepath.Join(dir, name)
		if got, marked := readMark(path); marked && got.root == want.root {
			return path
		}
	}
	return filepath.Join(dir, otherNames(log, root)[0])
}

// A claim is an event's log as this life has it: by the name that the state has
// given, and the root.
type claim struct{ log, root string }

// maxClaims bounds what is remembered of them.
const maxClaims = 10_000

// openFor opens the log of an event. A file that is another root's is never
// appended to, whatever it is called: names are given again when what was
// remembered of them was lost. name is that of the file.
func (m *ModelLog) openFor(e tracker.Event) (f *os.File, name string, err error) {
	own := claim{e.Log, e.Root}
	if name, known := m.claims[own]; known {
		f, err := m.open(name)
		if err == nil && m.mine(f, e, own) {
			return f, name, nil
		}
		if err != nil {
			return nil, "", err
		}
		f.Close() // somebody has put another log there
	}
	for _, name := range append([]string{e.Log}, otherNames(e.Log, e.Root)...) {
		f, err := m.try(name, e, own)
		if err != nil {
			return nil, "", err
		}
		if f != nil {
			if len(m.claims) >= maxClaims {
				clear(m.claims)
			}
			m.claims[own] = name
			if st, err := stat(f); err == nil {
				m.admit(f, st, e.Tenant.Owner) // in a former life it wasn't known, or wasn't let
			}
			return f, name, nil
		}
	}
	return nil, "", &RefusedError{Path: filepath.Join(m.dir, e.Log), Why: "the log of another cache, as are those of its other names"}
}

// try opens the file of that name if it is, or may become, the log of the event's
// root; nil if it is another's. One of a root configured by name takes the name
// from one that a pattern has led to, whose log is called otherwise from then on.
func (m *ModelLog) try(name string, e tracker.Event, own claim) (*os.File, error) {
	if e.Tenant.Given && m.rotatedAway(name, markOf(e)) {
		return nil, nil
	}
	for range 2 {
		f, err := m.open(name)
		if err != nil || m.mine(f, e, own) {
			return f, err
		}
		f.Close()
		if !m.makeRoom(name, e) {
			break
		}
	}
	return nil, nil
}

// mine reports whether an open log is that of the event's root, and marks one that
// becomes it.
func (m *ModelLog) mine(f *os.File, e tracker.Event, own claim) bool {
	want := markOf(e)
	got, marked := fileMark(f)
	if marked {
		if got.root != want.root {
			return false
		}
		if got != want {
			m.mark(f, want)
		}
		return true
	}
	st, err := stat(f)
	if err != nil {
		return false
	}
	_, before := m.claims[own]
	if st.Size > 0 && e.Tenant.Given && !before {
		return false // nobody knows whose it is
	}
	m.mark(f, want)
	m.admit(f, st, e.Tenant.Owner)
	return true
}

func fileMark(f *os.File) (mark, bool) {
	buf := make([]byte, maxMark)
	n, err := unix.Fgetxattr(int(f.Fd()), rootMark, buf)
	if err != nil {
		return mark{}, false
	}
	return parseMark(string(buf[:n]))
}

// mark says in a log whose it is. Where the file system keeps no attributes,
// names alone tell.
func (m *ModelLog) mark(f *os.File, as mark) {
	_ = unix.Fsetxattr(int(f.Fd()), rootMark, []byte(as.String()), 0)
}

// rotatedAway reports whether there was a log of that name that is another root's:
// logrotate would take both for one.
func (m *ModelLog) rotatedAway(name string, want mark) bool {
	path := filepath.Join(m.dir, name)
	if _, err := os.Lstat(path); err == nil {
		return false // it says itself whose it is
	}
	for _, old := range []string{path + ".1", path + ".1.gz"} {
		if _, err := os.Lstat(old); err != nil {
			continue
		}
		if got, marked := readMark(old); !marked || got.root != want.root {
			return true
		}
	}
	return false
}

// makeRoom gives the log of a root that a pattern has led to another name, for
// that of one that is configured by name.
func (m *ModelLog) makeRoom(name string, e tracker.Event) bool {
	path := filepath.Join(m.dir, name)
	got, marked := readMark(path)
	if !e.Tenant.Named || !marked || got.named {
		return false
	}
	for _, other := range otherNames(name, got.root) {
		err := unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, filepath.Join(m.dir, other), unix.RENAME_NOREPLACE)
		if err == nil {
			return true
		}
		if !errors.Is(err, unix.EEXIST) {
			return false
		}
	}
	return false
}

// admit lets the owner of the root read its log, where not everybody may: by an
// access list, since the file is the daemon's.
func (m *ModelLog) admit(f *os.File, st unix.Stat_t, owner account.User) {
	if owner <= 0 || int(owner) == os.Geteuid() || st.Mode&othersRead != 0 {
		return
	}
	err := unix.Fsetxattr(int(f.Fd()), "system.posix_acl_access", readersACL(st.Mode, uint32(owner)), 0) //nolint:gosec // a user has a number that is not negative, see above
	if err != nil && !m.unlisted {
		m.unlisted = true
		m.log.Warn("cannot let the owner of a cache read its logs: the group of the log directory may, nobody else", "dir", m.dir, keyError, err)
	}
}

// readersACL is an access list in the kernel's form (linux/posix_acl_xattr.h): what
// the mode says, and that user may read.
func readersACL(mode, user uint32) []byte {
	const (
		version                                  = 2
		ofOwner, ofUser, ofGroup, maskOf, others = 0x01, 0x02, 0x04, 0x10, 0x20
		read                                     = 4
		nobody                                   = ^uint32(0)
	)
	group := mode >> 3 & 7
	acl := binary.LittleEndian.AppendUint32(nil, version)
	for _, e := range []struct {
		tag  uint16
		perm uint32
		id   uint32
	}{{ofOwner, mode >> 6 & 7, nobody}, {ofUser, read, user}, {ofGroup, group, nobody}, {maskOf, group | read, nobody}, {others, mode & 7, nobody}} {
		acl = binary.LittleEndian.AppendUint16(acl, e.tag)
		acl = binary.LittleEndian.AppendUint16(acl, uint16(e.perm)) //nolint:gosec // three bits
		acl = binary.LittleEndian.AppendUint32(acl, e.id)
	}
	return acl
}
