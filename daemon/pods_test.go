package daemon

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"progressd/kubepod"
	"progressd/tracker"
)

const (
	podUID  = "3d5f4c1e-7a3b-4f0e-9c55-0a1b2c3d4e5f"
	podRoot = "/var/lib/kubelet/pods/" + podUID + "/volumes/kubernetes.io~empty-dir/models/hub"
)

// committed is a recorder that keeps what it is given.
type committed struct{ events []tracker.Event }

func (c *committed) Commit(_ *tracker.Episode, events []tracker.Event) {
	c.events = append(c.events, events...)
}

// told commits an event of a root and returns it as it is handed on.
func told(names *podNames, root string) tracker.Event {
	var c committed
	podRecorder{&c, names}.Commit(nil, []tracker.Event{{Root: root}})
	return c.events[0]
}

func madePod(t *testing.T, logs, directory string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(logs, directory), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestAnEventNamesThePodOfItsRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := t.TempDir()
		names := newPodNames(logs, new(Options).raise)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go names.run(ctx)

		// The volumes are there before the logs are.
		if e := told(names, podRoot); e.Pod != "" {
			t.Errorf("a pod that nobody knows is called %q", e.Pod)
		}
		synctest.Wait()
		madePod(t, logs, "models_llama-0_"+podUID)
		<-time.After(podsEvery)
		synctest.Wait()
		if e := told(names, podRoot); e.Namespace != "models" || e.Pod != "llama-0" {
			t.Errorf("it is %q of %q", e.Pod, e.Namespace)
		}
		// What it has left on disk is still its own when it is gone.
		if err := os.Remove(filepath.Join(logs, "models_llama-0_"+podUID)); err != nil {
			t.Fatal(err)
		}
		<-time.After(podsWanted)
		if e := told(names, podRoot); e.Pod != "llama-0" {
			t.Errorf("when it is gone it is called %q", e.Pod)
		}
		if e := told(names, "/home/alice/.cache/huggingface/hub"); e.Pod != "" || e.Namespace != "" {
			t.Errorf("a home is of %q", e.Pod)
		}
	})
}

func TestAPodWithoutANameIsNotLookedForForEver(t *testing.T) {
	names := newPodNames(t.TempDir(), new(Options).raise)
	names.of(podRoot)
	now := time.Now()
	if !names.read(now) {
		t.Error("it isn't looked for")
	}
	if names.read(now.Add(podsWanted)) {
		t.Error("it still is after a minute")
	}
	if names.of(podRoot); names.read(time.Now()) {
		t.Error("the next event has it looked for again")
	}
}

func TestThePodsThatAreRememberedAreBounded(t *testing.T) {
	names := newPodNames(t.TempDir(), new(Options).raise)
	for i := range 3 {
		many := map[string]kubepod.Pod{}
		for j := range maxPods {
			many[time.Duration(i*maxPods+j).String()] = kubepod.Pod{Name: "x"}
		}
		names.learn(many)
	}
	if len(names.known) > maxPods {
		t.Errorf("%d are remembered", len(names.known))
	}
}
