package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"progressd/internal/wait"
)

// append writes the file's bytes behind what the partial holds, and mends
// broken connections where the generation does.
func (j *job) append(ctx context.Context, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at := info.Size()
	if err := j.Pause(ctx, Opened, j.path); err != nil {
		return err
	}
	for left := j.Retries; at != j.size; left-- {
		from := at
		if at, err = j.stream(ctx, f, at); err == nil {
			break
		}
		if at > from {
			left = j.Retries
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || !j.mendsCuts || left == 0 || killed(ctx, err) {
			return err
		}
		if err := wait.For(ctx, j.RetryWait); err != nil {
			return err
		}
	}
	if at != j.size {
		return fmt.Errorf("consistency check failed: file should be of size %d but has size %d", j.size, at)
	}
	return nil
}

// stream asks for the rest of the file once and writes it in whole chunks. It
// returns how far the partial has come: what came of a chunk that was cut off
// is lost.
func (j *job) stream(ctx context.Context, f *os.File, at int64) (int64, error) {
	answer, err := j.request(ctx, http.MethodGet, j.url, at)
	if err != nil {
		return at, err
	}
	defer answer.Body.Close()
	if at > 0 && answer.StatusCode == http.StatusOK {
		// The server ignored the range: from the beginning.
		at = 0
		if err := rewind(f); err != nil {
			return at, err
		}
	}
	buf := make([]byte, max(1, min(int64(j.Chunk), j.size-at)))
	for {
		n, end := readChunk(answer.Body, buf)
		if end != nil && !errors.Is(end, io.EOF) {
			return at, end
		}
		if err := j.write(ctx, f, buf[:n]); err != nil {
			return at, err
		}
		at += int64(n)
		if end != nil {
			return at, nil
		}
	}
}

func rewind(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// write appends a chunk; the end of the body may have left it empty.
func (j *job) write(ctx context.Context, f *os.File, chunk []byte) error {
	if len(chunk) == 0 {
		return nil
	}
	if _, err := f.Write(chunk); err != nil {
		return err
	}
	return j.Pause(ctx, Written, j.path)
}

// readChunk fills buf; unlike io.ReadFull it tells the end of the body
// (io.EOF, perhaps with bytes) from a body that was cut off.
func readChunk(r io.Reader, buf []byte) (int, error) {
	n := 0
	for n < len(buf) {
		m, err := r.Read(buf[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// once makes the probe by which the real client learns whether a directory
// can hold symlinks: a directory tmpXXXXXXXX that is gone again at once.
func once(done *sync.Once, dir string) (err error) {
	done.Do(func() {
		tmp := filepath.Join(dir, tempName())
		err = errors.Join(
			os.Mkdir(tmp, 0o700),
			os.WriteFile(filepath.Join(tmp, "dummy_file_src"), nil, 0o666),
			os.Symlink("dummy_file_src", filepath.Join(tmp, "dummy_file_dst")),
			os.RemoveAll(tmp),
		)
	})
	return err
}

// tempName is a name as Python's tempfile makes them.
func tempName() string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789_"
	var raw [8]byte
	rand.Read(raw[:])
	for i, b := range raw {
		raw[i] = letters[int(b)%len(letters)]
	}
	return "tmp" + string(raw[:])
}

func hex8() string {
	var raw [4]byte
	rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}

func uuid4() string {
	var raw [16]byte
	rand.Read(raw[:])
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])
}
