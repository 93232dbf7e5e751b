package daemon

import (
	"context"
	"sync"
	"time"

	"progressd/kubepod"
	"progressd/tracker"
)

const (
	// podsEvery is how soon the names of pods are read again while one is
	// looked for, podsWanted for how long it is: the kubelet makes a pod's
	// volumes a moment before its logs.
	podsEvery  = time.Second
	podsWanted = time.Minute
	// maxPods bounds the pods that are remembered. Those that are gone are
	// until then: of their downloads there is yet something to report.
	maxPods = 4096
)

// podNames are the pods that roots belong to. Who asks gets what is known; what
// isn't is read by a goroutine of its own, so that the one that judges waits for no
// disk.
type podNames struct {
	logs  string
	raise func() (lower func())
	wake  chan struct{}

	mu     sync.Mutex
	known  map[string]kubepod.Pod
	wanted map[string]time.Time // when it was asked for, by uid
}

func newPodNames(logs string, raise func() (lower func())) *podNames {
	return &podNames{logs: logs, raise: raise, wake: make(chan struct{}, 1), known: map[string]kubepod.Pod{}, wanted: map[string]time.Time{}}
}

// of is the pod that a root belongs to; zero if it belongs to none, or its name
// isn't known yet.
func (n *podNames) of(root string) kubepod.Pod {
	uid := kubepod.OfDirectory(root)
	if uid == "" {
		return kubepod.Pod{}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	pod, ok := n.known[uid]
	if !ok && len(n.wanted) < maxPods {
		n.wanted[uid] = time.Now()
		select {
		case n.wake <- struct{}{}:
		default:
		}
	}
	return pod
}

// podOf is the pod that a root belongs to, as an event has it.
func (p *Pipeline) podOf(root string) (namespace, name string) {
	pod := p.pods.of(root)
	return pod.Namespace, pod.Name
}

// run reads names while some are wanted.
func (n *podNames) run(ctx context.Context) error {
	for {
		select {
		case <-n.wake:
		case <-ctx.Done():
			return nil
		}
		for n.read(time.Now()) {
			select {
			case <-time.After(podsEvery):
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// read takes up the pods that there are now. It reports whether others are still
// wanted.
func (n *podNames) read(now time.Time) bool {
	lower := n.raise() // kubelet(8) makes it for root alone
	pods, err := kubepod.All(n.logs)
	lower()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		n.learn(pods)
	}
	for uid, since := range n.wanted {
		_, found := n.known[uid]
		if !found && now.Sub(since) >= podsWanted && len(n.known) < maxPods {
			n.known[uid] = kubepod.Pod{} // it has no name here: not asked for again at each event
		}
		if found || now.Sub(since) >= podsWanted {
			delete(n.wanted, uid)
		}
	}
	return len(n.wanted) > 0
}

func (n *podNames) learn(pods map[string]kubepod.Pod) {
	if len(n.known)+len(pods) > maxPods { // those that are gone are let go
		clear(n.known)
	}
	for uid, pod := range pods {
		if len(n.known) < maxPods {
			n.known[uid] = pod
		}
	}
}

// A podRecorder adds to events what pod their root belongs to.
type podRecorder struct {
	next tracker.Recorder
	pods *podNames
}

// Commit hands the events on.
func (r podRecorder) Commit(ep *tracker.Episode, events []tracker.Event) {
	for i := range events {
		pod := r.pods.of(events[i].Root)
		events[i].Namespace, events[i].Pod = pod.Namespace, pod.Name
	}
	r.next.Commit(ep, events)
}
