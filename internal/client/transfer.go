package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// Transfer names a library that fills the partials of huggingface_hub. Here
// every file comes by it; in reality Xet is used for files stored that way
// only, and hf_transfer for those of more than 50 MiB.
type Transfer string

// The transfers. The zero value is plain HTTP.
const (
	HTTP Transfer = ""
	// HFTransfer is hf_transfer (read: 0.1.10, src/lib.rs, and
	// huggingface_hub 0.36, file_download.py): a hundred pieces at a time,
	// each written where it belongs when it is whole. One file after
	// another; a partial of before is removed, and so is one that fails.
	// huggingface_hub < 1.0 only.
	HFTransfer Transfer = "hf_transfer"
	// XetSparse is hf_xet <= 1.2 (read: 1.2.0, output_provider.rs and
	// remote_client.rs): as HFTransfer, but into whatever the partial
	// holds, from its beginning.
	XetSparse Transfer = "xet-1.2"
	// XetBurst is hf_xet >= 1.3 (read: 1.6, sequential_writer.rs): truncates
	// the partial, then writes strictly in order what has come meanwhile,
	// up to 24 blocks of 64 MiB at once. The buffer has 2 to 8 GB.
	XetBurst Transfer = "xet-1.3"
)

// transfer fills the partial f.
func (j *job) transfer(ctx context.Context, f *os.File) error {
	switch j.Transfer {
	case HTTP:
		return j.append(ctx, f)
	case HFTransfer, XetSparse:
		return j.apart(ctx, f.Name())
	case XetBurst:
		return j.burst(ctx, f)
	default:
		return fmt.Errorf("no transfer %q", j.Transfer)
	}
}

// apart fills the partial through a descriptor of the library's own.
func (j *job) apart(ctx context.Context, partial string) (err error) {
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil && j.Transfer == HFTransfer && !killed(ctx, err) {
			err = errors.Join(err, remove(partial))
		}
	}()
	if err := j.Pause(ctx, Opened, j.path); err != nil {
		return err
	}
	return j.scatter(ctx, f, 0, func(int64, int64) error { return nil })
}

// scatter writes the file from an offset on in pieces, each where it belongs.
// Of as many as are in flight the last comes first: the worst that parallel
// connections can do. written is told of each.
func (j *job) scatter(ctx context.Context, f *os.File, at int64, written func(from, to int64) error) error {
	piece := int64(j.Chunk)
	for window := piece * int64(j.Ahead); at < j.size; at += window {
		end := min(at+window, j.size)
		for from := at + (end-at-1)/piece*piece; from >= at; from -= piece {
			to := min(from+piece, end)
			data, err := j.piece(ctx, from, to)
			if err != nil {
				return err
			}
			if _, err := f.WriteAt(data, from); err != nil {
				return err
			}
			if err := written(from, to); err != nil {
				return err
			}
			if err := j.Pause(ctx, Written, j.path); err != nil {
				return err
			}
		}
	}
	return nil
}

// piece fetches the bytes from an offset up to another.
func (j *job) piece(ctx context.Context, from, to int64) ([]byte, error) {
	answer, err := j.ask(ctx, http.MethodGet, j.url, fmt.Sprintf("bytes=%d-%d", from, to-1))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data := make([]byte, to-from)
	if _, err := io.ReadFull(answer.Body, data); err != nil {
		return nil, fmt.Errorf("cannot read bytes %d to %d: %w", from, to, err)
	}
	return data, nil
}

// burst fills an open partial anew, in order and a buffer at a time.
func (j *job) burst(ctx context.Context, f *os.File) error {
	if err := rewind(f); err != nil {
		return err
	}
	if err := j.Pause(ctx, Opened, j.path); err != nil {
		return err
	}
	for at := int64(0); at < j.size; {
		data, err := j.piece(ctx, at, min(at+j.Burst, j.size))
		if err != nil {
			return err
		}
		if err := j.write(ctx, f, data); err != nil {
			return err
		}
		at += int64(len(data))
	}
	return nil
}
