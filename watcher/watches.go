package watcher

import (
	"strconv"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// By a path the kernel would watch whatever lies there when it is asked: also what
// a link leads to that was swapped in. So a directory is opened first, through no
// link, and watched as /proc/self/fd/N. As fsnotify knows a watch by its path, no
// two may have the same N, though nothing stays open.

// openWatches are watches of directories that are open.
type openWatches interface {
	// AddOpen watches a directory, of which Events tell under that name.
	AddOpen(d fsys.Dir, name string) error
}

const (
	descriptors = "/proc/self/fd/"
	// firstNumber is beyond the descriptors that are open for other reasons.
	firstNumber = 1024
	// restingNumbers are how many numbers have rested until one is taken again:
	// an event of the watch that had it before may still be on its way.
	restingNumbers = 1024
)

// kernelWatches are those of the kernel.
type kernelWatches struct {
	*fsnotify.Watcher

	mu sync.Mutex
	// names are those under which events are told, by number; numbers the
	// other way round.
	names   map[int]string
	numbers map[string]int
	// resting are numbers that are not used any more, the oldest first.
	resting []int
	next    int
}

// openNotify asks the kernel for events.
func openNotify() (*Notifications, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	k := &kernelWatches{Watcher: w, names: make(map[int]string), numbers: make(map[string]int), next: firstNumber}
	return &Notifications{Watches: k, Events: w.Events, Errors: w.Errors, Name: k.name}, nil
}

// name is that of an event: of "/proc/self/fd/1024/x" the directory's and "/x".
// ok is false if its watch is no more.
func (k *kernelWatches) name(path string) (name string, ok bool) {
	digits, entry, _ := strings.Cut(strings.TrimPrefix(path, descriptors), "/")
	number, err := strconv.Atoi(digits)
	if err != nil {
		return "", false
	}
	k.mu.Lock()
	name, ok = k.names[number]
	k.mu.Unlock()
	if entry != "" {
		name += "/" + entry
	}
	return name, ok
}

// AddOpen implements openWatches.
func (k *kernelWatches) AddOpen(d fsys.Dir, name string) error {
	number, err := k.reserve(d, name)
	if err != nil {
		return err
	}
	defer unix.Close(number)
	if err := k.Watcher.Add(descriptors + strconv.Itoa(number)); err != nil { //nolint:staticcheck // not our own Add
		k.release(name)
		return err
	}
	return nil
}

// reserve opens a directory once more, under the number that the name has, or under
// one that no watch has.
func (k *kernelWatches) reserve(d fsys.Dir, name string) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	least, again := k.numbers[name]
	if !again {
		least = k.next
		if len(k.resting) > restingNumbers {
			least, k.resting = k.resting[0], k.resting[1:]
		}
	}
	for {
		number, err := d.Duplicate(least)
		if err != nil {
			return -1, err
		}
		if holder, taken := k.names[number]; taken && holder != name {
			unix.Close(number)
			least = number + 1
			continue
		}
		if number != least && again { // something else is open under it
			k.retire(name, least)
		}
		k.names[number], k.numbers[name] = name, number
		k.next = max(k.next, number+1)
		return number, nil
	}
}

func (k *kernelWatches) retire(name string, number int) {
	delete(k.names, number)
	delete(k.numbers, name)
	k.resting = append(k.resting, number)
}

// release forgets a watch, and gives the path that fsnotify knows it by.
func (k *kernelWatches) release(name string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	number, known := k.numbers[name]
	if !known {
		return name
	}
	k.retire(name, number)
	return descriptors + strconv.Itoa(number)
}

// Remove ends the watch that was added by that name.
func (k *kernelWatches) Remove(name string) error { return k.Watcher.Remove(k.release(name)) }
