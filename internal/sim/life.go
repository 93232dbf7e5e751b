package sim

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
	"progressd/internal/simfs"
)

// A life is a story that is played.
type life struct {
	story  story
	world  *world
	daemon *keeper
	repos  []*repository

	volume     *simfs.Volume
	mountPoint string
	root       string
	// blind are the times in which the root couldn't be looked at.
	mu    sync.Mutex
	blind []span
}

// A span is a time from one moment to another; to is zero while it lasts.
type span struct{ from, to time.Time }

// newLife makes the world of a story. It is called in the bubble in which the
// life is played.
func newLife(s story, dir string, m mutant) *life {
	l := &life{story: s, world: newWorld(s.Seed ^ s.Number*0x9e3779b97f4a7c15), mountPoint: "/models"}
	w := l.world
	if err := w.fs.MkdirAll(l.mountPoint); err != nil {
		panic(err)
	}
	l.volume = w.fs.NewVolume(l.traits())
	if err := w.fs.Mount(l.volume, l.mountPoint); err != nil {
		panic(err)
	}
	l.root = l.mountPoint
	if s.Seed%2 == 0 || s.Number%2 == 0 {
		l.root += "/hub"
	}
	if err := w.fs.MkdirAll(l.root); err != nil {
		panic(err)
	}
	w.procs.hidden = s.Hidden
	for i, r := range s.Repos {
		l.repos = append(l.repos, l.newRepository(i, r))
	}
	l.daemon = newKeeper(l, dir, m)
	l.pace()
	return l
}

// pace has some calls of the kernel take a moment: clients go on meanwhile, and
// no two timers end at the same one. What is drawn depends on the moment and on
// how many calls the caller has made, not on what others do.
func (l *life) pace() {
	w := l.world
	w.fs.SetPace(func(path string, count int) {
		l.daemon.gate(path)
		sum := digest(path) + uint64(count)*0xd6e8feb86659fd93
		sum ^= uint64(time.Since(w.began))*0x9e3779b97f4a7c15 ^ w.seed
		sum ^= sum >> 29
		sum *= 0xbf58476d1ce4e5b9
		sum ^= sum >> 32
		if sum%6 == 0 {
			pass(time.Duration(1000+sum>>8%90_000) * time.Nanosecond)
		}
	})
}

// traits are those of the disk.
func (l *life) traits() simfs.Traits {
	switch l.story.Disk {
	case coarseDisk:
		return simfs.Traits{Magic: unix.EXT4_SUPER_MAGIC, Grain: time.Second, NoBirth: true} // as ext3
	case nfs:
		return simfs.Traits{Magic: unix.NFS_SUPER_MAGIC, NoBirth: true}
	case rclone:
		return simfs.Traits{Magic: unix.FUSE_SUPER_MAGIC, StillDirs: true, NoBirth: true, Grain: time.Second}
	case linkless:
		return simfs.Traits{Magic: unix.EXT4_SUPER_MAGIC, NoSymlinks: true}
	case smallDisk:
		return simfs.Traits{Magic: unix.EXT4_SUPER_MAGIC, Size: 1_000_000_000}
	default:
		return simfs.Traits{Magic: unix.EXT4_SUPER_MAGIC}
	}
}

func (l *life) newRepository(i int, s repoStory) *repository {
	rng := random(s.Seed, "hub")
	kind := hfcache.Model
	if s.Dataset {
		kind = hfcache.Dataset
	}
	repo, ok := hfcache.NewRepo(kind, "org/m"+letters(rng, 1, "abcdefgh")+letters(rng, 1, "0123456789")+string(rune('a'+i)))
	if !ok {
		panic("no valid id")
	}
	r := &repository{repo: repo, shape: s.Shape, root: l.root, revisions: []*revision{publish(rng, s.Shape)}}
	if s.Local {
		r.local = "dir-" + repo.ID[len("org/"):]
	}
	r.truth = newTruth(l.world, r)
	r.truth.sizes = l.story.Disk == nfs || l.story.Disk == rclone
	return r
}

// play lets the story happen and returns when all that it may lead to has been
// told.
func (l *life) play() {
	l.daemon.start()
	over := make(chan struct{})
	var acting, beside sync.WaitGroup
	for i, r := range l.story.Repos {
		acting.Go(func() { l.act(l.repos[i], r) })
	}
	beside.Go(func() { l.daemon.suffer(l.story.Strikes, over) })
	for _, ill := range l.story.Ills {
		beside.Go(func() { l.suffer(ill, over) })
	}
	acting.Wait()
	close(over)
	beside.Wait()
	pass(l.tail())
	l.daemon.end()
	pass(time.Minute) // what the daemon doesn't wait for at its end is over then
}

// tail is how long the last verdict may take.
func (l *life) tail() time.Duration {
	s := l.story.Setup
	return max(s.Stall, s.Interrupt, s.Quiet) + 5*s.Poll + 100*time.Second
}

// act plays what happens to one repository.
func (l *life) act(repo *repository, s repoStory) {
	pass(s.After)
	rng := random(s.Seed, "renew")
	var together sync.WaitGroup
	for _, a := range s.Acts {
		if !a.Beside {
			together.Wait()
		}
		pass(a.Gap)
		if a.Renew {
			repo.revisions = append(repo.revisions, repo.newest().renew(rng))
			l.world.tell("%s has a new revision, %.7s", repo.key().ID, repo.newest().commit)
		}
		if a.Kind != download {
			o := l.world.newOperator(repo, a.Client, a.Kind)
			together.Go(func() { o.do(a.Kind) })
			continue
		}
		c := l.world.start(repo, repo.newest(), a.Client)
		l.world.tell("%s (pid %d) begins: %s", c.record.name(), c.pid, a.Client.describe(repo))
		together.Go(c.run)
		if a.Client.StopFor > 0 {
			together.Go(c.suspend)
		}
	}
	together.Wait()
}

// suspend is SIGSTOP and, later, SIGCONT.
func (c *client) suspend() {
	if c.sleep(c.plan.StopAfter) != nil {
		return
	}
	c.tell("%s is stopped for %v (SIGSTOP)", c.record.name(), c.plan.StopFor)
	c.record.mu.Lock()
	c.record.stoppedAt, c.record.lastBefore = time.Now(), c.record.lastByteAt
	c.record.mu.Unlock()
	c.stop()
	pass(c.plan.StopFor)
	c.proceed()
	c.record.mu.Lock()
	c.record.proceededAt = time.Now()
	c.record.mu.Unlock()
	c.tell("%s goes on (SIGCONT)", c.record.name())
}

// suffer plays one ill of the root.
func (l *life) suffer(i ill, over <-chan struct{}) {
	if !wait(i.At, over) {
		return
	}
	l.world.tell("the root: %s, for %v", i.Kind, i.For)
	l.mu.Lock()
	at := len(l.blind)
	l.blind = append(l.blind, span{from: time.Now()})
	l.mu.Unlock()
	mend := l.befall(i.Kind)
	wait(i.For, over)
	mend()
	l.mu.Lock()
	l.blind[at].to = time.Now()
	l.mu.Unlock()
	l.world.tell("the root: %s no more", i.Kind)
}
