package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// Rust hf-hub 0.4 and 0.5 (read: 0.5.0, api/sync.rs and api/tokio.rs): the
// partial lies beside the blob and is resumed; blobs/<etag>.lock is held until
// the rename, not until the link, and stays. The real ones give up after 5
// tries of a second each; here they wait.

// rustPart is the blocking one: <etag>.part, appended to.
func (j *job) rustPart(ctx context.Context) error {
	return j.underLock(ctx, j.blob+".lock", 0o666, func(ctx context.Context) error {
		partial := j.blob + ".part"
		if info, err := os.Stat(partial); err == nil && info.Size() > j.size {
			return fmt.Errorf("invalid part file of %d bytes", info.Size())
		}
		if err := j.into(ctx, partial, os.O_APPEND, j.rest); err != nil {
			return err
		}
		return j.arrive(ctx, partial)
	})
}

// counterSize is the room behind the content of a .sync.part for the number
// of bytes that are written without a gap, little-endian.
const counterSize = 8

// rustSyncPart is the one on tokio: <etag>.sync.part has the blob's size and 8
// bytes from the start, is filled in pieces and cut to size in the end.
func (j *job) rustSyncPart(ctx context.Context) error {
	return j.underLock(ctx, j.blob+".lock", 0o666, func(ctx context.Context) error {
		partial := j.blob + ".sync.part"
		start, err := j.committed(partial)
		if err != nil {
			return err
		}
		if err := j.into(ctx, partial, 0, func(ctx context.Context, f *os.File) error {
			if err := j.scatter(ctx, f, start, j.committer(f, start)); err != nil {
				return err
			}
			return f.Truncate(j.size)
		}); err != nil {
			return err
		}
		return j.arrive(ctx, partial)
	})
}

// committed makes the partial at its full length, or reads how far a former
// attempt has come.
func (j *job) committed(partial string) (start int64, err error) {
	f, err := os.Open(partial)
	if errors.Is(err, os.ErrNotExist) {
		if f, err = os.Create(partial); err != nil {
			return 0, err
		}
		return 0, errors.Join(f.Truncate(j.size+counterSize), f.Close())
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() != j.size+counterSize {
		return 0, err
	}
	var counter [counterSize]byte
	if _, err := f.ReadAt(counter[:], j.size); err != nil {
		return 0, err
	}
	return int64(binary.LittleEndian.Uint64(counter[:])), nil
}

// committer writes the counter whenever the bytes without a gap have grown.
func (j *job) committer(f *os.File, start int64) func(from, to int64) error {
	ends, done := map[int64]int64{}, start
	return func(from, to int64) error {
		ends[from] = to
		before := done
		for ends[done] > done {
			done = ends[done]
		}
		if done == before {
			return nil
		}
		_, err := f.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(done)), j.size)
		return err
	}
}
