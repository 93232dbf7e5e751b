package state

import (
	"maps"

	"progressd/tracker"
)

// copyEpisode shares nothing that its owner goes on to change.
func copyEpisode(ep tracker.Episode) tracker.Episode {
	ep.Warned = maps.Clone(ep.Warned)
	ep.Checkpoint = ep.Checkpoint.Copied()
	return ep
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
