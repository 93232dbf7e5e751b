package sizer

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"progressd/downloader"
)

// asServer makes this test's executable a model server, or a worker of one.
const asServer = "SIZER_TEST_SERVER"

func TestMain(m *testing.M) {
	if role := os.Getenv(asServer); role != "" {
		if err := serve(role, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve is a server that lets a worker of another name do the work, as vLLM
// does. The worker locks what it is told to until it is told the next.
func serve(role string, in io.Reader, out io.Writer) error {
	if role == "server" {
		cmd, err := self("worker", "VLLM::EngineCore")
		if err != nil {
			return err
		}
		cmd.Stdin, cmd.Stdout = in, out
		return cmd.Run()
	}
	var held *os.File
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if held != nil {
			held.Close()
		}
		held = nil
		if path := lines.Text(); path != "" {
			f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
			if err != nil {
				return err
			}
			if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
				return err
			}
			held = f
		}
		fmt.Fprintln(out, "done")
	}
	return nil
}

// self is this executable with a command line of another program's.
func self(role string, argv ...string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path)
	cmd.Args, cmd.Env, cmd.Stderr = argv, append(os.Environ(), asServer+"="+role), os.Stderr
	return cmd, nil
}

// A real server with a real worker, real locks and the real /proc: who works
// for whom is read there, also by a daemon that is started in between.
func TestAServersWorkerIsKnownByItsServer(t *testing.T) {
	c := newCache(t)
	c.opts.Procs, c.step = downloader.NewShared(downloader.ProcDir("/proc")), 0
	c.root = NewRoot(c.opts)
	twoFormats(c)
	cmd, err := self("server", "vllm", "serve", "org/demo", "--load-format", "safetensors")
	must(t, err)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	answers := bufio.NewReader(out)
	lock := func(path string) {
		t.Helper()
		_, err := fmt.Fprintln(in, path)
		must(t, err)
		if answer, err := answers.ReadString('\n'); err != nil || answer != "done\n" {
			t.Fatalf("the worker says %q: %v", answer, err)
		}
	}
	locks := filepath.Join(c.path, ".locks", demo)
	must(t, os.MkdirAll(locks, 0o755))
	bring := func(word string, size int, path string) Look {
		lock(filepath.Join(locks, etag(word)+".lock"))
		c.partial(word, ".01234567.incomplete", size)
		l := c.look()
		c.finish(word, ".01234567.incomplete", commitA, path)
		lock("")
		return l
	}
	l := bring("s1", 2*mib, "model-00001-of-00002.safetensors")
	if len(l.Downloaders) == 0 {
		t.Skip("no lock is to be seen in this machine's /proc/locks")
	}
	d := l.Downloaders[0]
	if d.PID == cmd.Process.Pid || d.Loader == nil || d.Loader.Name != "vllm" || d.Loader.Format != "safetensors" || d.Request != nil || d.User == "" {
		t.Fatalf("downloader %+v", d)
	}
	l = c.total("one of two", FromLoader, 3*mib, 2, 8)
	if !l.Lacking {
		t.Fatalf("look %+v", l)
	}
	procs := c.opts.Procs
	c.restart(l.Checkpoint)
	c.opts.Procs = procs
	c.root = NewRoot(c.opts)
	bring("s2", mib, "model-00002-of-00002.safetensors")
	l = c.look()
	if l.Settled != ProvenByLoader || l.Total != 3*mib || l.Locked || !strings.Contains(fmt.Sprint(l.Alive), "true") {
		t.Fatalf("its server runs on, and all is there: %+v", l)
	}
}
