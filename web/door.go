package web

import (
	"context"
	"net"
	"sync"
	"time"
)

// A door lets so many connections in at a time, and knows whether anybody is
// inside.
type door struct {
	room chan struct{}

	mu     sync.Mutex
	inside int
	// moved is closed when somebody comes or goes.
	moved chan struct{}
}

func newDoor(most int) *door {
	return &door{room: make(chan struct{}, most), moved: make(chan struct{})}
}

// guard has all connections of a listener come through the door. Those for whom
// there is no room wait outside, in the queue of the kernel.
func (d *door) guard(l net.Listener) net.Listener {
	return &guarded{Listener: l, door: d, closed: make(chan struct{})}
}

func (d *door) count(change int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside += change
	close(d.moved)
	d.moved = make(chan struct{})
}

func (d *door) state() (inside int, moved <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inside, d.moved
}

// occupied waits until somebody is inside. The error is that of ctx.
func (d *door) occupied(ctx context.Context) error {
	for {
		inside, moved := d.state()
		if inside > 0 {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// deserted waits until nobody was inside for so long.
func (d *door) deserted(ctx context.Context, long time.Duration) error {
	for {
		inside, moved := d.state()
		var timeout <-chan time.Time
		if inside == 0 {
			timeout = time.After(long)
		}
		select {
		case <-moved:
		case <-timeout:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

type guarded struct {
	net.Listener
	door   *door
	once   sync.Once
	closed chan struct{}
}

func (g *guarded) Accept() (net.Conn, error) {
	select {
	case g.door.room <- struct{}{}:
	case <-g.closed:
		return nil, net.ErrClosed
	}
	c, err := g.Listener.Accept()
	if err != nil {
		<-g.door.room
		return nil, err
	}
	g.door.count(1)
	return &visitor{Conn: c, door: g.door}, nil
}

func (g *guarded) Close() error {
	g.once.Do(func() { close(g.closed) })
	return g.Listener.Close()
}

// A visitor is a connection that has come through the door.
type visitor struct {
	net.Conn
	door *door
	once sync.Once
}

func (v *visitor) Close() error {
	v.once.Do(func() {
		<-v.door.room
		v.door.count(-1)
	})
	return v.Conn.Close()
}
