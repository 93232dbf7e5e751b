package hublist

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxToken is far more than any token has.
const maxToken = 4 << 10

// readToken gives the token in a file, read anew each time so that it can be
// replaced. No error holds any of it.
func readToken(path string, open func(path string) (*os.File, error)) (string, error) {
	token, err := readTokenFile(path, open)
	if err != nil {
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			err = pathError.Err
		}
		return "", fmt.Errorf("cannot read token %q: %w", path, err)
	}
	return token, nil
}

func openToken(path string) (*os.File, error) {
	// Without O_NONBLOCK a FIFO would hold the worker up for ever.
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}

func readTokenFile(path string, open func(path string) (*os.File, error)) (string, error) {
	file, err := open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	if info.Mode()&0o007 != 0 {
		return "", fmt.Errorf("mode %04o lets everybody use it, expected 0600 or 0640", info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(file, maxToken+1))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(data))
	switch {
	case len(data) > maxToken:
		return "", fmt.Errorf("larger than %d bytes, expected a token alone", maxToken)
	case token == "":
		return "", errors.New("empty, expected a token")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", errors.New("more than one word, or not plain ASCII, expected a token alone")
	}
	return token, nil
}
