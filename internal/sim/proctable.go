package sim

import (
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
)

var _ downloader.Proc = (*procs)(nil)

// Locks implements downloader.Proc.
func (p *procs) Locks() (downloader.Locks, error) {
	return downloader.ParseLocks(p.locksText()), nil
}

// Process implements downloader.Proc.
func (p *procs) Process(pid int) (downloader.Process, error) {
	q := p.find(pid)
	if q == nil {
		return downloader.Process{}, fmt.Errorf("cannot read process %d: %w", pid, fs.ErrNotExist)
	}
	described := downloader.Process{
		PID: q.pid, Started: q.started, Command: q.comm, User: strconv.Itoa(int(q.uid)),
		Request: downloader.ParseRequest(q.argv), Loader: downloader.ParseLoader(q.argv),
	}
	if described.Request == nil && described.Loader == nil && q.parent != 0 {
		if parent := p.find(q.parent); parent != nil {
			described.Loader = downloader.ParseLoader(parent.argv)
		}
	}
	return described, nil
}

// State implements downloader.Proc.
func (p *procs) State(d downloader.Process) downloader.State {
	q := p.find(d.PID)
	if q == nil || q.started != d.Started {
		return downloader.Gone
	}
	if _, stopped := q.state(); stopped {
		return downloader.Stopped
	}
	return downloader.Running
}

// Commands implements downloader.Proc.
func (p *procs) Commands() (map[hfcache.Repo]downloader.Commands, error) {
	found := map[hfcache.Repo]downloader.Commands{}
	for _, pid := range p.pids() {
		q := p.find(pid)
		if q == nil {
			continue
		}
		if l := downloader.ParseLoader(q.argv); l != nil {
			c := found[l.Repo]
			c.Loader = l
			found[l.Repo] = c
		} else if r := downloader.ParseRequest(q.argv); r != nil {
			c := found[r.Repo]
			if c.Requests == nil {
				c.Requests = map[string][]*downloader.Request{}
			}
			user := strconv.Itoa(int(q.uid))
			c.Requests[user] = append(c.Requests[user], r)
			found[r.Repo] = c
		}
	}
	return found, nil
}

// Uptime implements downloader.Proc.
func (p *procs) Uptime() (time.Duration, error) { return p.w.uptime(), nil }
