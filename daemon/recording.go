package daemon

import (
	"context"
	"path/filepath"
	"time"

	"progressd/recording"
)

// recordingFile is where in the state directory the recording is.
const recordingFile = "recording.jsonl"

// record begins to keep what the tracker is given, where that is wanted and can be.
func (p *Pipeline) record(now time.Time) *recording.Recording {
	limit := int64(p.set.Diagnostics.Recording)
	if limit <= 0 {
		return nil
	}
	path := filepath.Join(p.set.StateDir, recordingFile)
	r, err := recording.Open(path, limit, recording.Head{
		Version: p.opts.Version, At: now, Settings: limits(p.set), Episodes: p.opts.Store.Episodes(), Reported: p.opts.Store.Reported(),
	}, p.log)
	if err != nil {
		p.log.Warn("nothing is recorded, though diagnostics.recording asks for it", "file", path, "err", err)
		return nil
	}
	p.log.Info("what is judged by is recorded", "file", path, "limit", p.set.Diagnostics.Recording.String())
	return r
}

// keep writes the recording, if there is one, until it is stopped.
func (p *Pipeline) keep(ctx context.Context) (done <-chan struct{}, stop func()) {
	if p.recording == nil {
		nothing := make(chan struct{})
		close(nothing)
		return nothing, func() {}
	}
	return startAfter(ctx, "recording", p.recording.Run, p.log)
}
