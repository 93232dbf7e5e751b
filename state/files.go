package state

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// openRegular opens a regular file, and nothing else.
func openRegular(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func namesOf(dir, suffix string, most int) ([]string, error) {
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
			case !strings.HasSuffix(name, suffix):
			case len(names) == most:
				return names, fmt.Errorf("cannot take more than %d records", most)
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

// A lineReader reads lines of a bounded length.
type lineReader struct {
	in   *bufio.Reader
	line []byte
	read int64
	// torn: the last line has no end.
	torn bool
}

// next gives the next whole line without its end, valid until the next call.
// A line that is too long is left out, with an error.
func (r *lineReader) next() ([]byte, error) {
	r.line = r.line[:0]
	tooLong := false
	for {
		part, err := r.in.ReadSlice('\n')
		r.read += int64(len(part))
		if tooLong = tooLong || len(r.line)+len(part) > maxLineBytes; !tooLong {
			r.line = append(r.line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			r.torn = r.torn || len(r.line) > 0 || tooLong
			return nil, io.EOF
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errUnread, err)
		case tooLong:
			return nil, fmt.Errorf("a line has more than %d bytes", maxLineBytes)
		default:
			return r.line[:len(r.line)-1], nil
		}
	}
}

// errUnread: the rest of a file can't be read.
var errUnread = errors.New("cannot read on")

// readBounded reads a regular file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it has more than %d bytes", limit)
	}
	return data, nil
}
