package account

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// subIDs is where a system says which further numbers a user may run as
	// and own files with (subuid(5)).
	subIDs = "/etc/subuid"
	// passwd says which number a user's name stands for.
	passwd = "/etc/passwd"
	// maxTable bounds what is read of either, in bytes.
	maxTable = 1 << 20
	// readEvery is how old what was read of them may be.
	readEvery = time.Minute
)

// Owners tells whose a number is. On most systems each user may run as 65 536
// further ones (newuidmap(1)), and with these have as many accounts.
type Owners struct {
	subIDs, passwd string
	open           func(path string) (*os.File, error)

	mu     sync.Mutex
	read   time.Time
	stamp  [2]unix.Timespec
	ranges []idRange
}

// idRange is the numbers that are lent to a user.
type idRange struct {
	first, count int64
	owner        User
}

// SystemOwners are those of this machine, of which open opens the tables.
func SystemOwners(open func(path string) (*os.File, error)) *Owners {
	return &Owners{subIDs: subIDs, passwd: passwd, open: open}
}

// Of is whose a number is: itself, if it is lent to no user.
func (o *Owners) Of(u User) User {
	if o == nil || u < firstLent {
		return u
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refresh(time.Now())
	for _, r := range o.ranges {
		if int64(u) >= r.first && int64(u)-r.first < r.count {
			return r.owner
		}
	}
	return u
}

// firstLent is below what useradd(8) lends (SUB_UID_MIN is 100000), and above
// what most users have, of whom nothing needs to be looked up.
const firstLent = 65536

// refresh reads the tables again when they are old and have changed.
func (o *Owners) refresh(now time.Time) {
	if age := now.Sub(o.read); !o.read.IsZero() && age >= 0 && age < readEvery {
		return
	}
	first := o.read.IsZero()
	o.read = now
	var stamp [2]unix.Timespec
	for i, path := range []string{o.subIDs, o.passwd} {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil {
			stamp[i] = st.Mtim
		}
	}
	if stamp == o.stamp && !first {
		return
	}
	o.stamp = stamp
	o.ranges = o.readSubIDs(o.readPasswd())
}

// readSubIDs knows "alice:100000:65536" and "1000:100000:65536".
func (o *Owners) readSubIDs(names map[string]User) (ranges []idRange) {
	o.eachLine(o.subIDs, func(fields []string) {
		if len(fields) < 3 {
			return
		}
		first, err1 := strconv.ParseInt(fields[1], 10, 64)
		count, err2 := strconv.ParseInt(fields[2], 10, 64)
		if err1 != nil || err2 != nil || first < firstLent || count <= 0 {
			return
		}
		owner, named := names[fields[0]]
		if !named {
			n, err := strconv.Atoi(fields[0])
			if err != nil {
				return
			}
			owner = User(n)
		}
		ranges = append(ranges, idRange{first, count, owner})
	})
	return ranges
}

func (o *Owners) readPasswd() map[string]User {
	names := make(map[string]User)
	o.eachLine(o.passwd, func(fields []string) {
		if len(fields) < 3 {
			return
		}
		if n, err := strconv.Atoi(fields[2]); err == nil {
			names[fields[0]] = User(n)
		}
	})
	return names
}

// eachLine reads a table of the system, whose fields are set apart by colons. One
// that isn't there has no lines.
func (o *Owners) eachLine(path string, use func(fields []string)) {
	file, err := o.open(path)
	if err != nil {
		return
	}
	defer file.Close()
	for lines := bufio.NewScanner(io.LimitReader(file, maxTable)); lines.Scan(); {
		use(strings.Split(lines.Text(), ":"))
	}
}
