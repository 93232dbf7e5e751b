// Command hub serves models on loopback to the downloaders inside the machine
// under test. Every model's weights stand still at 110 of 130 MB until the hub
// is told otherwise, so that a script can do things in the middle of a
// download.
//
// It prints its address, then follows its standard input: "open ORG/NAME" lets
// that model's weights pass. It ends with its input.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"progressd/hfcache"
	"progressd/internal/hub"
)

const (
	weights = "model.safetensors"
	size    = 130_000_000
	middle  = 110_000_000
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: hub ORG/NAME...")
		os.Exit(2)
	}
	if err := serve(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "hub:", err)
		os.Exit(1)
	}
}

func serve(ids []string, commands io.Reader, out io.Writer) (err error) {
	h := hub.New(hub.Options{CDN: true})
	if err := h.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	gates := map[string]*hub.Gate{}
	for _, id := range ids {
		if gates[id], err = publish(h, id); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(out, h.URL()); err != nil {
		return err
	}
	lines := bufio.NewScanner(commands)
	for lines.Scan() {
		id, ok := strings.CutPrefix(lines.Text(), "open ")
		if !ok || gates[id] == nil {
			return fmt.Errorf("command %q is not understood", lines.Text())
		}
		gates[id].Open()
	}
	return lines.Err()
}

// publish makes a model of three files, its weights behind a gate.
func publish(h *hub.Hub, id string) (*hub.Gate, error) {
	repo := hfcache.Repo{Type: hfcache.Model, ID: id}
	// The same seed for all: their content is hashed once.
	_, _, err := h.Publish(repo, "main",
		hub.File{Path: "config.json", Size: 700, Storage: hub.Git, Seed: 1},
		hub.File{Path: "tokenizer/vocab.txt", Size: 3000, Storage: hub.Git, Seed: 2},
		hub.File{Path: weights, Size: size, Storage: hub.LFS, Seed: 3})
	if err != nil {
		return nil, err
	}
	gate := hub.NewGate()
	h.Break(repo, weights, hub.Fault{Gate: gate, GateAt: middle})
	return gate, nil
}
