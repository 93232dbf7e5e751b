package sizer

import (
	"fmt"
	"testing"

	"progressd/downloader"
)

// countedProc counts what is asked of it.
type countedProc struct {
	downloader.Proc
	asked map[string]int
}

func (p *countedProc) State(process downloader.Process) downloader.State {
	p.asked[fmt.Sprint("does it run, ", process.PID)]++
	return p.Proc.State(process)
}

func (p *countedProc) Process(pid int) (downloader.Process, error) {
	p.asked[fmt.Sprint("who is it, ", pid)]++
	return p.Proc.Process(pid)
}

func (p *countedProc) Locks() (downloader.Locks, error) {
	p.asked["who holds locks"]++
	return p.Proc.Locks()
}

// TestALookAsksOfEachProcessOnce, however many files it holds; and of who ran
// once more, when it has read again who holds locks.
func TestALookAsksOfEachProcessOnce(t *testing.T) {
	c := newCache(t)
	proc := &countedProc{Proc: downloader.ProcDir(c.proc), asked: map[string]int{}}
	c.opts.Procs = downloader.NewShared(proc)
	c.root = NewRoot(c.opts)
	c.run(42, "python3", "train.py")
	c.run(43, "python3", "serve.py")
	names := []string{"a", "b", "c", "d"}
	for i, word := range names {
		c.partial(word, ".12ab34cd.incomplete", mib)
		c.lock(42+i%2, word)
	}
	for n := range 20 {
		if n == 8 { // who is waited for is gone
			c.kill(43)
			c.lock(42, "a")
			c.lock(42, "c")
		}
		c.partial(names[n%len(names)], ".12ab34cd.incomplete", (2+n)*mib)
		clear(proc.asked)
		c.look()
		for question, times := range proc.asked {
			most := 1
			if proc.asked["who holds locks"] > 0 && question == "does it run, 42" {
				most = 2
			}
			if times > most {
				t.Errorf("look %d asks %d times: %s", n, times, question)
			}
		}
	}
}

// Who downloads is read once, and not at each look at which a file of his grows.
func TestWhoIsKnownIsNotReadAgain(t *testing.T) {
	c := newCache(t)
	proc := &countedProc{Proc: downloader.ProcDir(c.proc), asked: map[string]int{}}
	c.opts.Procs = downloader.NewShared(proc)
	c.root = NewRoot(c.opts)
	c.run(42, "python3", "train.py")
	c.lock(42, "a")
	for n := range 10 {
		c.partial("a", ".12ab34cd.incomplete", (1+n)*mib)
		clear(proc.asked)
		if c.look(); n > 1 && proc.asked["who is it, 42"] > 0 {
			t.Errorf("look %d reads who it is again", n)
		}
	}
}
