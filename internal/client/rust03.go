package client

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// Rust hf-hub up to 0.3 (read: lib.rs, api/sync.rs and api/tokio.rs of the
// commit before resumable downloads, Dec 2024): a file is written to
// ROOT/tmp/<7 alphanumerics>, renamed to its blob and linked. No lock, no
// resumption; what is killed stays in tmp/ for ever.

// rustTemp is the blocking one: in order.
func (j *job) rustTemp(ctx context.Context) error {
	return j.viaTemp(ctx, j.rest)
}

// rustTempScattered is the one on tokio: the file has its size at once and is
// filled in pieces.
func (j *job) rustTempScattered(ctx context.Context) error {
	return j.viaTemp(ctx, func(ctx context.Context, f *os.File) error {
		if err := f.Truncate(j.size); err != nil {
			return err
		}
		return j.scatter(ctx, f, 0, func(int64, int64) error { return nil })
	})
}

func (j *job) viaTemp(ctx context.Context, fill func(context.Context, *os.File) error) error {
	dir := filepath.Join(j.Root, "tmp")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	// Letters and digits: 7 of those that Python's names have, which may be
	// an underscore.
	name := strings.ReplaceAll(strings.TrimPrefix(tempName(), "tmp")[:7], "_", "Z")
	temp := filepath.Join(dir, name)
	if err := j.into(ctx, temp, os.O_TRUNC, fill); err != nil {
		return err
	}
	return j.arrive(ctx, temp)
}
