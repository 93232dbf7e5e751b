package downloader

import (
	"errors"
	"io/fs"
)

// Hidden reports whether the processes of other users can't be seen, as where
// /proc is mounted with hidepid=: nothing is known then of who holds a lock but
// the number. What is asked about is the first process, which there always is.
func (d ProcDir) Hidden() bool {
	_, err := d.readStat(1)
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}
