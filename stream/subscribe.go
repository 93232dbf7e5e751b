package stream

import (
	"strconv"
	"strings"
	"sync"

	"progressd/hfcache"
	"progressd/socket"
)

// subscriber is one who watches. All but frames is fixed.
type subscriber struct {
	frames chan *socket.Frame // closed when it is cut off
	sees   func(root string) Visibility
	repo   hfcache.Repo // of which alone it wants to know; zero: all
	levels bool
}

func wantsLevels(s *subscriber, _ Visibility) bool {
	return s.levels && len(s.frames) < cap(s.frames)/2
}

// shownTo: what stands in no model's log is for those alone who see all of it.
func (i *item) shownTo(_ *subscriber, v Visibility) bool { return v == Full || i.logged }

// Subscribe implements socket.Streams.
func (b *Board) Subscribe(by socket.Reader, w socket.Watch, repo hfcache.Repo) *socket.Subscription {
	s := &subscriber{
		frames: make(chan *socket.Frame, maxBehind), sees: b.opts.Rights.Of(by), repo: repo, levels: w.Levels,
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs[s] = struct{}{}
	if s.levels {
		b.levels.Add(1)
	}
	var once sync.Once
	return &socket.Subscription{
		Backlog: b.backlog(s, w.Since), Frames: s.frames,
		End: func() {
			once.Do(func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				delete(b.subs, s)
				if s.levels {
					b.levels.Add(-1)
				}
			})
		},
	}
}

// backlog is what a stream begins with.
func (b *Board) backlog(s *subscriber, since string) []*socket.Frame {
	items, reset := b.missed(since)
	frames := []*socket.Frame{{V: socket.Version, Watching: &socket.Watching{Epoch: b.opts.Epoch, Version: b.opts.Version, Reset: reset, From: b.id(b.ring.lost)}}}
	for _, i := range items {
		if v := s.visible(i.root, i.repo); v != Nothing && i.shownTo(s, v) {
			frames = append(frames, b.frame(i, v))
		}
	}
	for _, d := range b.standings(s.sees, s.repo) {
		frames = append(frames, &socket.Frame{Download: &d})
	}
	return append(frames, &socket.Frame{ID: b.id(b.seq), Live: true})
}

// missed are the events since a place in the stream. After one that isn't of
// this life, or too old, reset is true, and they are all that there are.
func (b *Board) missed(since string) (items []*item, reset bool) {
	if since == "" {
		return nil, false
	}
	epoch, number, _ := strings.Cut(since, "-")
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil || epoch != b.opts.Epoch || seq > b.seq {
		items, _ = b.ring.since(0)
		return items, true
	}
	items, ok := b.ring.since(seq)
	return items, !ok
}

// visible is how much the subscriber wants to and may see of a download.
func (s *subscriber) visible(root string, repo hfcache.Repo) Visibility {
	if s.repo.ID != "" && s.repo != repo {
		return Nothing
	}
	return s.sees(root)
}

// publish gives a frame to all who want it, if they may see it. Who is too far
// behind is cut off.
func (b *Board) publish(root string, repo hfcache.Repo, wanted func(*subscriber, Visibility) bool, frame func(Visibility) *socket.Frame) {
	var made [Full + 1]*socket.Frame
	for s := range b.subs {
		v := s.visible(root, repo)
		if v == Nothing || wanted != nil && !wanted(s, v) {
			continue
		}
		if made[v] == nil {
			made[v] = frame(v).Seal()
		}
		select {
		case s.frames <- made[v]:
		default:
			delete(b.subs, s)
			close(s.frames)
		}
	}
}
