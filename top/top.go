// Package top shows downloads on a whole terminal, as they go on. What is drawn
// is a function of what is known and of the keys: see frame.
package top

import (
	"cmp"
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"progressd/live"
	"progressd/record"
	"progressd/untrusted"
)

const (
	// framesASecond bounds what a terminal on a slow line is sent.
	framesASecond = 4
	// endedFor is how long what has ended stays.
	endedFor = 10 * time.Minute
)

// Options are what Run is made of; all of them are needed.
type Options struct {
	Sockets []string
	In, Out *os.File
	Environ []string
	Getenv  func(string) string
}

// Run shows downloads until the user has enough of it, or ctx is done. The error
// is that of the daemon where none answers at the start.
func Run(ctx context.Context, opts Options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	seen := &seen{}
	began := make(chan error, 1)
	var following sync.WaitGroup
	following.Go(func() { began <- seen.follow(ctx, opts.Sockets, began) })
	defer following.Wait()
	defer stop()
	if err := <-began; err != nil && ctx.Err() == nil {
		return err
	}
	m := model{seen: seen, look: look{glyphs: glyphsFor(opts.Getenv)}}
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(opts.In), tea.WithOutput(opts.Out), tea.WithEnvironment(opts.Environ), tea.WithFPS(framesASecond)).Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil || errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	return err
}

// seen is what was heard of the daemon.
type seen struct {
	mu   sync.Mutex
	view live.View
}

// follow hears the daemon until ctx is done. Once it is heard, nil is said to
// began; if it can't be at the start, that ends it.
func (s *seen) follow(ctx context.Context, sockets []string, began chan<- error) error {
	first := true
	return live.Follow(ctx, live.Wish{Sockets: sockets, Levels: true}, func(u live.Update) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.view.Apply(u)
		if first && u.Lost != nil {
			return u.Lost.Err
		}
		if first && u.Standing != nil {
			first = false
			began <- nil
		}
		return nil
	})
}

// now is how all stand.
func (s *seen) now() (all []record.Download, lost string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view.Lost != nil {
		lost = untrusted.Printable(s.view.Lost.Err.Error())
	}
	return s.view.Downloads(), lost
}

// An order is how downloads are sorted.
type order int

const (
	byName order = iota
	bySpeed
	byLeft
	orders
)

func (o order) next() order { return (o + 1) % orders }

func (o order) String() string { return [...]string{"name", "speed", "time left"}[o%orders] }

// sort sorts what goes on; what doesn't stays behind it.
func (o order) sort(all []record.Download) {
	if o == byName {
		return // as live.Sort has it
	}
	slices.SortStableFunc(all, func(a, b record.Download) int {
		switch {
		case !a.State.Running() || !b.State.Running():
			return cmp.Compare(rank(a), rank(b))
		case o == bySpeed:
			return cmp.Compare(b.Rate, a.Rate)
		default:
			return cmp.Compare(leftOf(a), leftOf(b))
		}
	})
}

// rank is 0 for what goes on, 1 for the rest.
func rank(d record.Download) int {
	if d.State.Running() {
		return 0
	}
	return 1
}

// leftOf is the time left, the longest if it isn't known.
func leftOf(d record.Download) int64 {
	if d.SecondsLeft <= 0 {
		return math.MaxInt64
	}
	return d.SecondsLeft
}

// model is the state of the screen, as bubbletea has it.
type model struct {
	seen          *seen
	look          look
	all           []record.Download
	lost          string
	chosen        string // its key, so that it stays chosen where it moves
	order         order
	width, height int
	now           time.Time
	notice
}

type tick time.Time

func ticking() tea.Cmd {
	return tea.Tick(time.Second/framesASecond, func(t time.Time) tea.Msg { return tick(t) })
}

// Init implements tea.Model.
func (m model) Init() tea.Cmd {
	return func() tea.Msg { return tick(time.Now()) }
}

// Update implements tea.Model.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tick:
		return m.refreshed(time.Time(msg)), ticking()
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m.key(msg.String())
	}
	return m, nil
}

// View implements tea.Model.
func (m model) View() tea.View {
	v := tea.NewView(m.frame().String())
	v.AltScreen, v.WindowTitle, v.ProgressBar = true, "progressctl top", m.bar()
	return v
}

// refreshed takes in how all stand.
func (m model) refreshed(now time.Time) model {
	all, lost := m.seen.now()
	m.lost = lost
	if m.paused {
		return m
	}
	m.now = now
	m.all = slices.DeleteFunc(all, func(d record.Download) bool { return d.State.Over() && now.Sub(d.Time) > endedFor })
	m.order.sort(m.all)
	if at := m.at(); at < len(m.all) {
		m.chosen = m.all[at].Key
	}
	return m
}

// at is where the chosen one is; the first if it is no more.
func (m model) at() int {
	return max(slices.IndexFunc(m.all, func(d record.Download) bool { return d.Key == m.chosen }), 0)
}

// key does what a key asks for.
func (m model) key(name string) (tea.Model, tea.Cmd) {
	const page = 10
	switch name {
	case "q", "ctrl+c", "esc":
		return m, tea.Quit
	case "up", "k":
		return m.choose(m.at() - 1), nil
	case "down", "j":
		return m.choose(m.at() + 1), nil
	case "pgup":
		return m.choose(m.at() - page), nil
	case "pgdown":
		return m.choose(m.at() + page), nil
	case "home", "g":
		return m.choose(0), nil
	case "end", "G":
		return m.choose(len(m.all)), nil
	case "enter":
		m.open = !m.open
	case "s":
		m.order = m.order.next()
		m.all = slices.Clone(m.all)
		live.Sort(m.all)
		m.order.sort(m.all)
	case "p", "space":
		m.paused = !m.paused
	}
	return m, nil
}

func (m model) choose(at int) model {
	if at = min(max(at, 0), len(m.all)-1); at >= 0 {
		m.chosen = m.all[at].Key
	}
	return m
}

func (m model) frame() frame {
	return frame{
		downloads: m.all, chosen: m.at(), width: m.width, height: m.height, now: m.now, order: m.order, lost: m.lost, notice: m.notice, look: m.look,
	}
}

// bar is how far all that goes on has come, for the terminal's own bar: none
// where that isn't known.
func (m model) bar() *tea.ProgressBar {
	var have, total float64
	state := tea.ProgressBarDefault
	for _, d := range m.all {
		if d.State.Running() && d.Bytes != nil && d.Total > 0 {
			have, total = have+float64(min(*d.Bytes, d.Total)), total+float64(d.Total)
		}
		if d.State == record.Stalled {
			state = tea.ProgressBarWarning
		}
	}
	if total == 0 {
		return nil
	}
	return tea.NewProgressBar(state, int(100*have/total))
}
