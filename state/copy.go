package state

import (
	"maps"
	"slices"

	"progressd/sizer"
	"progressd/tracker"
)

// copyEpisode shares nothing that its owner goes on to change. A downloader,
// once known, stays as it is.
func copyEpisode(ep tracker.Episode) tracker.Episode {
	ep.Warned = maps.Clone(ep.Warned)
	ep.Memory = copyMemory(ep.Memory)
	return ep
}

func copyMemory(m sizer.Memory) sizer.Memory {
	m.Revisions = slices.Clone(m.Revisions)
	m.Downloaders = slices.Clip(m.Downloaders)
	m.FailedBlobs = slices.Clone(m.FailedBlobs)
	m.Unlinked = slices.Clone(m.Unlinked)
	m.Kept = slices.Clone(m.Kept)
	m.Copying = maps.Clone(m.Copying)
	m.CutOffs = slices.Clone(m.CutOffs)
	return m
}

func copyOpen(all map[string]*episode) []tracker.Episode {
	var open []tracker.Episode
	for _, e := range inOrder(all) {
		if !e.Episode.Over() {
			open = append(open, copyEpisode(e.Episode))
		}
	}
	return open
}
