package shown

import (
	"fmt"
	"time"

	"progressd/downloader"
	"progressd/tracker"
)

// scene is what a machine may have going on: names and sizes as they are on the
// hub.
var scene = []struct {
	model       string
	total, have int64 // MB
	rate        int64 // MB a second
	command     string
	kind        tracker.Kind
	files, done int
}{
	{"deepseek-ai/DeepSeek-V3.2", 688_590, 412_331, 231, "vllm", tracker.Progress, 163, 97},
	{"Qwen/Qwen3-32B", 65_540, 61_020, 84, "hf", tracker.Progress, 27, 24},
	{"openai/gpt-oss-20b", 41_300, 0, 0, "python3", tracker.Preparing, 19, 0},
	{"google/gemma-3-4b-it", 8_640, 2_150, 0, "hf", tracker.Stalled, 15, 12},
	{"black-forest-labs/FLUX.1-dev", 57_900, 33_402, 0, "python3", tracker.Interrupted, 28, 11},
	{"meta-llama/Llama-3.3-70B-Instruct", 0, 4_020, 45, "text-generation-server", tracker.Progress, 0, 3},
	{"BAAI/bge-m3", 4_570, 4_570, 0, "hf", tracker.Completed, 30, 30},
	{"mistralai/Mistral-Small-24B-Instruct-2501", 94_300, 47_150, 0, "hf", tracker.Ended, 24, 14},
}

const mb = 1_000_000

// Scene has the first n downloads of a made-up machine shown; of more than eight
// the rest are several of the same.
func (d *Daemon) Scene(n int) {
	for i := range n {
		kind, e := scene[i%len(scene)].kind, actor(i)
		d.Tells(tracker.Preparing, e)
		d.Tells(kind, e, func(st *tracker.Standing) {
			switch kind {
			case tracker.Preparing:
				st.State = kind
			case tracker.Stalled:
				st.Grown = time.Now().Add(-12 * time.Minute)
			default:
			}
		})
	}
}

// actor is how a download of the scene stands.
func actor(i int) tracker.Event {
	s := scene[i%len(scene)]
	e := tracker.Event{
		Repo: Model(s.model), Bytes: s.have * mb, Total: s.total * mb, Rate: s.rate * mb, Files: s.files, FilesDone: s.done,
		Downloader: &downloader.Process{PID: 4242 + 17*i, Command: s.command, User: "alice"}, DownloaderAlive: s.kind != tracker.Interrupted,
		Needed: max(s.total-s.have, 0) * mb, Free: 1_320_000 * mb,
	}
	if round := i / len(scene); round > 0 {
		e.Repo = Model(fmt.Sprintf("%s-%d", s.model, round))
		e.Bytes -= e.Bytes / int64(3+round)
	}
	if s.total > 0 {
		e.TotalSource = "listing"
	}
	if s.kind == tracker.Interrupted {
		e.Silence = 67 * time.Second
	}
	if s.rate == 0 {
		return e
	}
	e.Partials = 2
	for f := range 2 {
		e.InFlight = append(e.InFlight, tracker.File{
			Name: fmt.Sprintf("model-%05d-of-%05d.safetensors", s.done+f, max(s.files, 9)), Bytes: int64(1+f) * 1_205 * mb, Size: 4_300 * mb, Rate: s.rate * mb / 2,
		})
	}
	if s.total > 0 {
		e.Left = time.Duration((s.total-s.have)/s.rate) * time.Second
	}
	return e
}
