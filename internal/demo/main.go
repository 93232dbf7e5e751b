// Command demo shows progressd at work on one machine, without a network: a
// hub on loopback, two downloaders that write as the real clients do, and the
// daemon watching them. It leaves nothing behind.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os/signal"
	"syscall"
	"time"

	"progressd/hfcache"
	"progressd/internal/client"
	"progressd/internal/hub"
	"progressd/internal/tool"
)

func main() {
	client.RunIfCalled()
	// SIGPIPE as an error: with nobody to read, what was made is still removed.
	signal.Ignore(syscall.SIGPIPE)
	tool.Main("demo", command)
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	set := flag.NewFlagSet("demo", flag.ContinueOnError)
	set.SetOutput(stderr)
	progressd := set.String("progressd", "", "path of the progressd `binary` to show")
	if err := set.Parse(args); err != nil {
		return err
	}
	if *progressd == "" {
		return errors.New("which progressd? Build it and name it by --progressd FILE, or use make demo")
	}
	return perform(ctx, play(*progressd), stdout, stderr)
}

// plan is what is shown.
type plan struct {
	progressd string
	models    []model
	// rate is shared by all downloads, in bytes a second.
	rate int64
	// patience is how long all of it may take.
	patience time.Duration
}

// model is one download.
type model struct {
	repo       hfcache.Repo
	generation client.Generation
	about      string
	files      []hub.File
	// include are the patterns of what is asked for; none asks for all.
	include []string
	// after is how long after the first the download begins.
	after time.Duration
}

// play is the demo as users see it: some 25 s. What it shows is told at once,
// also by the shipped configuration: both clients leave a listing.
func play(progressd string) plan {
	const mb = 1_000_000
	return plan{
		progressd: progressd,
		rate:      35 * mb,
		patience:  90 * time.Second,
		models: []model{{
			repo:       hfcache.Repo{Type: hfcache.Model, ID: "demo/whole"},
			generation: client.Trees,
			about:      "all of it, 5 files, 420MB",
			files: []hub.File{
				{Path: "config.json", Size: 1_200},
				{Path: "model-00001-of-00003.safetensors", Size: 160 * mb, Storage: hub.LFS},
				{Path: "model-00002-of-00003.safetensors", Size: 160 * mb, Storage: hub.LFS},
				{Path: "model-00003-of-00003.safetensors", Size: 98 * mb, Storage: hub.LFS},
				{Path: "tokenizer.json", Size: 2 * mb},
			},
		}, {
			repo:       hfcache.Repo{Type: hfcache.Model, ID: "demo/part"},
			generation: client.Trees,
			about:      "2 of 4 files, 210MB of 390MB: the total is that of what is asked for",
			include:    []string{"*.json", "*Q4*.gguf"},
			files: []hub.File{
				{Path: "config.json", Size: 900},
				{Path: "model-Q4_K_M.gguf", Size: 210 * mb, Storage: hub.LFS},
				{Path: "model-Q3_K_S.gguf", Size: 180 * mb, Storage: hub.LFS},
				{Path: "README.md", Size: 2_000},
			},
			after: 4 * time.Second,
		}},
	}
}
