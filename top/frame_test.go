package top

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"progressd/live"
	"progressd/record"
)

var update = flag.Bool("update", false, "write the frames anew; then look at them")

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.Local)

// made are n downloads in all their states.
func made(n int) []record.Download {
	const gb = 1_000_000_000
	kinds := []record.Download{
		{State: record.Downloading, Record: record.Record{Model: "deepseek-ai/DeepSeek-V3.2", Total: 689 * gb, Percent: "59.8", Rate: 231e6, SecondsLeft: 1200, Command: "vllm", PID: 4242, User: "alice", Files: 163, NeededBytes: 277 * gb}},
		{State: record.Downloading, Record: record.Record{Model: "meta-llama/Llama-3.3-70B-Instruct", Rate: 45e6, Command: "text-generation-server", PID: 4327}},
		{State: record.Preparing, Record: record.Record{Model: "openai/gpt-oss-20b"}},
		{State: record.Stalled, Grown: noon.Add(-12 * time.Minute), Record: record.Record{Model: "google/gemma-3-4b-it", Total: 689 * gb, Percent: "59.8", Command: "hf", PID: 4}},
		{State: record.Interrupted, Record: record.Record{Model: "black-forest-labs/FLUX.1-dev", Total: 413 * gb, Percent: "99.8", Message: "Download interrupted at 412GB/413GB ~ 99.8%", Time: noon}},
		{State: record.Failed, Record: record.Record{Model: "org/gated", Message: "Model download failed: access to org/gated is gated", Time: noon}},
		{State: record.Completed, Record: record.Record{Model: "BAAI/bge-m3", Total: 412 * gb, Percent: "100.0"}},
		{State: record.Ended, Record: record.Record{Model: "mistralai/Mistral-Small-24B-Instruct-2501", RepoType: "dataset", Total: 824 * gb, Percent: "50.0"}},
	}
	var all []record.Download
	for i := range n {
		d := kinds[i%len(kinds)]
		if d.RepoType == "" {
			d.RepoType = "model"
		}
		d.Key, d.Root, d.Started = fmt.Sprint("k", i), "/home/alice/.cache/huggingface/hub", noon.Add(-63*time.Second)
		if round := i / len(kinds); round > 0 {
			d.Model += fmt.Sprint("-", round)
		}
		d.Bytes, d.FilesDone, d.FreeBytes, d.Device = new(int64(412*gb)), new(int64(97)), new(int64(1320*gb)), "8:1"
		if d.Rate > 0 {
			d.FilesInFlight = 10
			for f := range 3 {
				d.InFlight = append(d.InFlight, record.File{Name: fmt.Sprintf("model-%05d-of-00163.safetensors", 98+f), Bytes: gb, Size: 4 * gb, Rate: 77e6})
			}
		}
		all = append(all, d)
	}
	live.Sort(all)
	return all
}

func TestFrames(t *testing.T) {
	var paused, lost, open, ascii frame
	paused.paused, open.open, lost.lost, ascii.look.glyphs = true, true, `no progressd answers at "/run/progressd/progressd.sock": connection refused`, asciiGlyphs()
	for name, f := range map[string]frame{"": {}, "-paused": paused, "-lost": lost, "-open": open, "-ascii": ascii} {
		for _, size := range [][2]int{{40, 20}, {80, 24}, {200, 30}} {
			for _, n := range []int{0, 1, 8, 60} {
				if name != "" && (n != 8 || size[0] == 200) {
					continue
				}
				f := f
				f.downloads, f.width, f.height, f.now = made(n), size[0], size[1], noon
				if f.look.glyphs.cursor == "" {
					f.look.glyphs = unicodeGlyphs()
				}
				if f.chosen = min(n/2, 30); name != "" {
					f.chosen = 0
				}
				compare(t, fmt.Sprintf("%d-of-%d%s.txt", n, size[0], name), ansi.Strip(f.String())+"\n")
			}
		}
	}
}

// compare holds a frame against the one that was looked at.
func compare(t *testing.T, name, got string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(got) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	got = strings.Join(lines, "\n") + "\n"
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s: %v\n%s\nwant (go test ./top -update writes it)\n%s", name, err, got, want)
	}
}

// Whatever there is to show, a frame fills the terminal and goes beyond it nowhere.
func TestAFrameFitsAnyTerminal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		n := r.IntN(70)
		f := frame{
			downloads: made(n), chosen: r.IntN(max(n, 1)), width: r.IntN(220), height: r.IntN(50), now: noon, order: order(r.IntN(int(orders))),
			notice: notice{open: r.IntN(2) > 0, paused: r.IntN(2) > 0}, look: look{unicodeGlyphs()},
		}
		if r.IntN(2) > 0 {
			f.look.glyphs = asciiGlyphs()
		}
		if r.IntN(4) == 0 {
			f.lost = strings.Repeat("lost ", 40)
		}
		text := ansi.Strip(f.String())
		lines := strings.Split(text, "\n")
		if len(lines) > max(f.height, 1) {
			t.Fatalf("%d lines in %d:\n%s", len(lines), f.height, text)
		}
		for _, line := range lines {
			const narrowest = 20 // below it nothing can be read
			if width := utf8.RuneCountInString(line); width > f.width && f.width >= narrowest {
				t.Fatalf("%d cells in %d: %q\n%s", width, f.width, line, text)
			}
		}
		const least = 8
		if cursor := f.look.glyphs.cursor; n > 0 && f.height >= least && strings.Count(text, "\n"+cursor) != 1 {
			t.Fatalf("the chosen one isn't shown once in %d lines:\n%s", f.height, text)
		}
	}
}

func TestNamesAreShortenedSoThatTheyTellMost(t *testing.T) {
	for _, c := range []struct {
		width int
		want  string
	}{{30, "deepseek-ai/DeepSeek-V3.2"}, {20, "~ek-ai/DeepSeek-V3.2"}, {15, "~/DeepSeek-V3.2"}, {13, "DeepSeek-V3.2"}, {5, "Deep~"}, {0, ""}} {
		got := short("deepseek-ai/DeepSeek-V3.2", c.width, "~")
		if got != c.want {
			t.Errorf("%d: %q", c.width, got)
		}
	}
}
