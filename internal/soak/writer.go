package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"progressd/internal/client"
	"progressd/internal/hub"
)

// writer is a kind of client: a generation of huggingface_hub and how it fills
// a partial, or another client.
type writer struct {
	name       string
	weight     int
	generation client.Generation
	transfer   client.Transfer
	kind       client.Kind
}

// writers are those that are played. How often is about how often they are met.
// Left out is Rust's hf-hub up to 0.3: of what it writes, nothing tells whose it
// is where many download into one root, and so verdicts on all that have no
// lock wait while it does.
var writers = []writer{
	{name: "newest", weight: 40, generation: client.Trees},
	{name: "newest with hf_xet 1.3", weight: 10, generation: client.Trees, transfer: client.XetBurst},
	{name: "1.18", weight: 8, generation: client.HH118},
	{name: "1.18 with hf_xet 1.2", weight: 4, generation: client.HH118, transfer: client.XetSparse},
	{name: "0.23", weight: 8, generation: client.HH023},
	{name: "0.23 with hf_transfer", weight: 4, generation: client.HH023, transfer: client.HFTransfer},
	{name: "0.22", weight: 8, generation: client.HH022},
	{name: "huggingface.js", weight: 6, kind: client.JS},
	{name: "llama.cpp", weight: 6, kind: client.LlamaCpp},
	{name: "Rust 0.4", weight: 4, kind: client.Rust04},
	{name: "Rust 0.4 on tokio", weight: 4, kind: client.Rust04Tokio},
	{name: "Rust 1", weight: 6, kind: client.Rust1},
	{name: "swift", weight: 4, kind: client.Swift},
}

// lists: it leaves a listing.
func (w writer) lists() bool { return w.kind == "" && w.generation == client.Trees }

// outside: what it is writing lies in the root, where nothing tells whose it is.
func (w writer) outside() bool { return w.kind == "" && w.generation == client.HH022 }

// guessed: until its first file is linked, it looks like one that goes on with
// the revision before.
func (w writer) guessed() bool { return w.kind == client.Rust1 }

// lockless: nothing shows whether it lives.
func (w writer) lockless() bool { return w.kind == client.JS || w.kind == client.LlamaCpp }

// late: nothing of it shows, and so nobody asks who it is, before its first file
// is whole.
func (w writer) late() bool { return w.kind == client.Swift }

// mixed: a run of so many lives is played by all clients, several of them at
// one repository. One of so much time, as the gate has it, is played by
// huggingface_hub alone: the rare wrong verdicts that lives still show (they
// stand in docs/reliability.md) must not hide what a change has broken.
func (w *world) mixed() bool { return w.lives > 0 }

// plain: huggingface_hub as it comes.
func (w writer) plain() bool { return w.kind == "" && w.transfer == client.HTTP }

// pickWriter picks one by its weight.
func (a *actor) pickWriter() writer {
	sum := 0
	var all []writer
	for _, w := range writers {
		if a.mixed() || w.plain() {
			all = append(all, w)
			sum += w.weight
		}
	}
	n := a.rng.IntN(sum)
	for _, w := range all {
		if n -= w.weight; n < 0 {
			return w
		}
	}
	return all[0]
}

// company picks who downloads a repository: often one kind of client only.
func (a *actor) company() []writer {
	kinds := 1
	if a.mixed() && a.rng.IntN(5) < 2 {
		kinds = 2 + a.rng.IntN(2)
	}
	var all []writer
	for range kinds {
		all = append(all, a.pickWriter())
	}
	return all
}

// cast chooses who does what an order says. Another client than
// huggingface_hub takes no names of files, and is a program of its own.
func (a *actor) cast(m *model, o order) order {
	o.writer = m.company[a.rng.IntN(len(m.company))]
	o.library = a.rng.IntN(4) == 0 || o.writer.kind != ""
	if o.writer.kind != "" && len(o.files) > 0 {
		o.files, o.include = nil, o.files
	}
	if f := &o.trouble.fault; f.Short > 0 && (o.writer.kind != "" || o.writer.transfer != client.HTTP) {
		o.trouble.name, f.CutAt, f.Short = "reset", f.Short, 0 // not all notice that a file is too short
	}
	return o
}

// command makes the process that an order asks for.
func (m *model) command(ctx context.Context, o order) (*exec.Cmd, error) {
	hh := m.client
	hh.Generation, hh.Transfer = o.writer.generation, o.writer.transfer
	hh.SharedStore = hh.SharedStore && o.writer.lists()
	hh.Ahead, hh.Burst = 4, 4*int64(hh.Chunk)
	args := append([]string{m.repo.ID}, o.args()...)
	if o.writer.kind != "" {
		other := client.Other{HH: hh, Kind: o.writer.kind}
		return other.Command(ctx, m.world.bin(), args...)
	}
	cmd, err := client.Command(ctx, m.world.bin(), hh, args...)
	if err != nil || !o.library {
		return cmd, err
	}
	path := filepath.Join(m.world.bin(), script)
	if err := os.Symlink(cmd.Path, path); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("cannot name the program: %w", err)
	}
	cmd.Env = append(cmd.Env, libraryVar+"="+strings.Join(cmd.Args, "\n"))
	cmd.Path, cmd.Args = path, []string{script, "train.py"}
	return cmd, nil
}

// storage is how the hub keeps the large files of the model.
func (m *model) storage() hub.Storage {
	if m.client.SharedStore || m.xet {
		return hub.Xet
	}
	return hub.LFS
}

// libraryVar makes this program download as a library in another would: its
// value are the arguments of hf download, one a line.
const libraryVar = "SOAK_LIBRARY"

// script is the name of that other program.
const script = "python3"

func runIfLibrary() {
	if args := os.Getenv(libraryVar); args != "" {
		os.Exit(client.Main(context.Background(), strings.Split(args, "\n"), os.Getenv, os.Stdout, os.Stderr))
	}
}
