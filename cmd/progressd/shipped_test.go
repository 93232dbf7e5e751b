package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"progressd/hfcache"
	"progressd/internal/client"
	"progressd/internal/hub"
)

// The shipped waits, in words of their own: a default that is changed unawares
// shows here.
const (
	shippedQuiet     = 30 * time.Second
	shippedInterrupt = 60 * time.Second
	shippedStall     = 10 * time.Minute
)

// asLibrary makes the test binary a program that downloads with
// huggingface_hub's library: its value are the arguments, one a line, of which
// its own command line says nothing.
const asLibrary = "PROGRESSD_TEST_AS_LIBRARY"

func runIfLibrary() {
	if args := os.Getenv(asLibrary); args != "" {
		os.Exit(client.Main(context.Background(), strings.Split(args, "\n"), os.Getenv, os.Stdout, os.Stderr))
	}
}

// player is a kind of client, and what can be known of its downloads.
type player struct {
	name string
	hh   client.HH
	kind client.Kind
	// listed: it leaves a listing. lockless: nothing shows whether it lives.
	listed, lockless bool
}

var players = []player{
	{name: "newest", listed: true},
	{name: "newest-xet", hh: client.HH{Transfer: client.XetBurst}, listed: true},
	{name: "1.18", hh: client.HH{Generation: client.HH118}},
	{name: "1.18-xet", hh: client.HH{Generation: client.HH118, Transfer: client.XetSparse}},
	{name: "0.36", hh: client.HH{Generation: client.HH036}},
	{name: "0.23", hh: client.HH{Generation: client.HH023}},
	{name: "0.23-hf_transfer", hh: client.HH{Generation: client.HH023, Transfer: client.HFTransfer}},
	{name: "0.22", hh: client.HH{Generation: client.HH022}},
	{name: "rust-0.3", kind: client.Rust03, lockless: true},
	{name: "rust-0.3-tokio", kind: client.Rust03Tokio, lockless: true},
	{name: "rust-0.4", kind: client.Rust04},
	{name: "rust-0.4-tokio", kind: client.Rust04Tokio},
	{name: "rust-1", kind: client.Rust1},
	{name: "js", kind: client.JS, lockless: true},
	{name: "llama.cpp", kind: client.LlamaCpp, lockless: true},
	{name: "swift", kind: client.Swift},
}

// shards are a model that can't be complete with one of them missing.
var shards = []hub.File{
	{Path: "config.json", Size: 1000, Seed: 1},
	{Path: "model-00001-of-00002.safetensors", Size: 3 * mb, Storage: hub.LFS, Seed: 2},
	{Path: "model-00002-of-00002.safetensors", Size: 2 * mb, Storage: hub.LFS, Seed: 3},
}

// play is one player in one plot, with a cache of its own.
type play struct {
	*service
	player
	plot plot
	hub  *hub.Hub
	// acting holds as many as act at a time; any number waits. Those whose verdict
	// comes last wait for none.
	acting chan struct{}
	// silent is since when no byte comes.
	silent time.Time
}

// plot is what happens, and the verdict on it.
type plot struct {
	name string
	act  func(*play, *testing.T)
	// verdict are the last lines of the log, and after how long they are due.
	verdict func(*play) (lines string, after time.Duration)
}

// plots are all of them, those that wait for longest first.
var plots = []plot{
	{"paused", (*play).paused, (*play).stalled},
	{"killed", (*play).killed, (*play).interrupted},
	{"whole", (*play).whole, (*play).complete},
	{"part", (*play).part, (*play).ended},
	{"removed", (*play).removed, (*play).deleted},
}

func (d *play) repo() hfcache.Repo {
	return hfcache.Repo{Type: hfcache.Model, ID: d.plot.name + "/" + d.name}
}

func (d *play) root() string { return d.path("plays", d.plot.name+"-"+d.name, "hub") }

// command is the client, not yet started.
func (d *play) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	hh := d.hh
	hh.Endpoint, hh.Root, hh.Chunk = d.hub.URL(), d.root(), mb/2
	hh.Ahead, hh.Burst = 2, mb/2
	args = append([]string{d.repo().ID}, args...)
	bin := filepath.Dir(d.root())
	cmd, err := client.Command(context.Background(), bin, hh, args...)
	if d.kind != "" {
		cmd, err = (&client.Other{HH: hh, Kind: d.kind}).Command(context.Background(), bin, args...)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	return cmd
}

// asScript is a program whose command line doesn't say what it downloads.
func asScript(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	python := filepath.Join(filepath.Dir(cmd.Path), "python3")
	if err := os.Symlink(cmd.Path, python); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, asLibrary+"="+strings.Join(cmd.Args, "\n"))
	cmd.Path, cmd.Args = python, []string{"python3", "train.py"}
}

func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// seen is how long a client lives at least that the daemon shall know: one that
// lives for less than a look may not be seen.
const seen = 2 * time.Second

// toTheMiddle starts a client, which stands still in the middle of the large
// file until the gate opens, and returns when it was seen and so much was told.
func (d *play) toTheMiddle(t *testing.T, cmd *exec.Cmd, told string) *hub.Gate {
	t.Helper()
	gate := hub.NewGate()
	d.hub.Break(d.repo(), shards[1].Path, hub.Fault{GateAt: 2 * mb, Gate: gate})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It may be all that long: of a pause that can't be told as a stall nothing else shall be told.
	d.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	<-gate.Reached()
	d.silent = time.Now()
	looked := time.After(seen)
	d.await(t, told)
	<-looked
	return gate
}

const progress = "Download(ed| progress)"

// await waits until a text is in the log, and returns when that was seen.
func (d *play) await(t *testing.T, text string) time.Time {
	t.Helper()
	form := regexp.MustCompile(text)
	patience := time.After(patient + d.wait())
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for read := int64(-1); ; {
		if info, err := os.Stat(d.logFile()); err == nil && info.Size() != read {
			read = info.Size()
			if form.MatchString(d.told()) {
				return time.Now()
			}
		}
		select {
		case <-look.C:
		case <-patience:
			t.Fatalf("%q is not in the log:\n%s", text, d.told())
		}
	}
}

func (d *play) logFile() string { return d.path("log", d.repo().Slug()+".log") }

func (d *play) told() string {
	text, _ := os.ReadFile(d.logFile())
	return clock.ReplaceAllString(string(text), "")
}

// wait is how long the verdict has to wait.
func (d *play) wait() time.Duration {
	_, after := d.plot.verdict(d)
	return after
}

func (d *play) whole(t *testing.T) {
	t.Helper()
	cmd := d.command(t)
	start(t, cmd)
	wait(t, cmd)
}

const succeeded = "[SUCCESS] Model downloaded successfully\n"

func (d *play) complete() (string, time.Duration) {
	if d.listed {
		return succeeded, 0
	}
	return "[INFO] No listing to check against: 5.0MB in 3 files on disk\n" + succeeded, shippedQuiet
}

func (d *play) killed(t *testing.T) {
	t.Helper()
	cmd := d.command(t)
	d.toTheMiddle(t, cmd, progress)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func (d *play) interrupted() (string, time.Duration) {
	if d.lockless {
		return "[WARNING] Download interrupted at ", shippedStall
	}
	return "[WARNING] Download interrupted at ", shippedInterrupt
}

// part: one of two shards, by a program of which nothing says that it wants no more.
func (d *play) part(t *testing.T) {
	t.Helper()
	cmd := d.command(t, "--include", "config.json", "--include", shards[1].Path)
	asScript(t, cmd)
	d.toTheMiddle(t, cmd, "Downloading model").Open()
	wait(t, cmd)
}

func (d *play) ended() (string, time.Duration) {
	if d.listed {
		return "[INFO] Download ended: 3.0MB in 2 of 3 files, without " + shards[2].Path + "\n", shippedQuiet
	}
	return "[INFO] Download ended: 3.0MB in 2 files\n", shippedQuiet
}

func (d *play) removed(t *testing.T) {
	t.Helper()
	d.killed(t)
	// At once: a look that falls between its files tells of those that are left.
	if err := os.Rename(filepath.Join(d.root(), d.repo().Folder()), filepath.Join(filepath.Dir(d.root()), "bin")); err != nil {
		t.Fatal(err)
	}
}

func (d *play) deleted() (string, time.Duration) { return "[WARNING] Download removed at ", 0 }

// paused: it lives, and nothing comes.
func (d *play) paused(t *testing.T) {
	t.Helper()
	d.toTheMiddle(t, d.command(t), progress)
}

func (d *play) stalled() (string, time.Duration) {
	switch {
	case d.kind == client.Swift: // what it fetches elsewhere can't be seen: no stall is told (docs/limits.md)
		return "[INFO] Still downloading: 2.0MB, and perhaps more that can't be counted yet\n", 0
	case d.lockless: // who can't be seen may as well be dead
		return "[WARNING] Download interrupted at ", shippedStall
	default:
		return "[WARNING] Download stalled at ", shippedStall
	}
}

// nightly is set where tests may take a quarter of an hour: make e2e-nightly.
const nightly = "PROGRESSD_NIGHTLY"

// Every verdict on every kind of client, in the time that users wait for it: one
// daemon watches all of them, and all wait at the same time.
func TestEveryVerdictOnEveryClientComesWhenItIsDue(t *testing.T) {
	t.Parallel()
	d := newService(t)
	d.write("config.toml", strings.Replace(d.config(), d.path("hub"), d.path("plays", "*", "hub"), 1))
	h := hub.New(hub.Options{})
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	acting := make(chan struct{}, 8)
	var all []*play
	for _, plot := range plots {
		for _, who := range players {
			one := &play{service: d, player: who, plot: plot, hub: h, acting: acting}
			if one.wait() > shippedInterrupt && os.Getenv(nightly) == "" {
				continue // ten minutes: nightly, and simulated
			}
			if _, _, err := h.Publish(one.repo(), "main", shards...); err != nil {
				t.Fatal(err)
			}
			mkdir(t, one.root())
			all = append(all, one)
		}
	}
	d.start()
	d.until(d.errout, "watching")
	t.Run("all", func(t *testing.T) {
		for _, one := range all {
			t.Run(one.repo().ID, one.perform)
		}
	})
	d.stop(exitOK)
	for _, one := range all {
		one.judge(t)
	}
}

func (d *play) perform(t *testing.T) {
	t.Parallel()
	done := d.act(t)
	lines, after := d.plot.verdict(d)
	if after == shippedStall {
		done = d.silent // it waits since the last byte, whatever was done then
	}
	// A death may be noted a look before it is seen here.
	if told := d.await(t, regexp.QuoteMeta(lines)); told.Sub(done) < after-2*time.Second {
		t.Errorf("told after %v, due after %v:\n%s", told.Sub(done), after, d.told())
	}
}

// act does what is told of, and returns when it was done.
func (d *play) act(t *testing.T) time.Time {
	t.Helper()
	if d.wait() < shippedInterrupt {
		d.acting <- struct{}{}
		defer func() { <-d.acting }()
	}
	d.plot.act(d, t)
	return time.Now()
}

// judge: the whole log is a beginning, progress, and the verdict.
func (d *play) judge(t *testing.T) {
	t.Helper()
	lines, _ := d.plot.verdict(d)
	end := regexp.QuoteMeta(lines)
	if !strings.HasSuffix(lines, "\n") {
		end += `[^\n]*\n`
	}
	form := regexp.MustCompile(`^\[INFO\] Preparing to download model: \S+\n\[INFO\] Downloading model.*\n(\[INFO\] (Download|Still).*\n)*` + end + `$`)
	if told := d.told(); !form.MatchString(told) {
		t.Errorf("%s:\n%s", d.repo().ID, told)
	}
}
