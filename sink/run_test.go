package sink

import (
	"strings"
	"testing"

	"progressd/hfcache"
	"progressd/sizer"
	"progressd/tracker"
)

// ran is an event about what the program hf has printed, or how it ended.
func ran(kind tracker.Kind, cause string, exit *tracker.Exit) tracker.Event {
	return with(kind, func(e *tracker.Event) {
		e.Program, e.Cause, e.Exit = "hf", cause, exit
		e.Bytes, e.FilesDone, e.Files = 550e6, 6, 9
	})
}

func reason(text string) func(*tracker.Event) {
	return func(e *tracker.Event) { e.Program, e.Cause, e.Reason = "hf", "gated", text }
}

func runSamples() []sample {
	said := func(text string, alarm bool) tracker.Event {
		return with(tracker.Output, func(e *tracker.Event) { e.Program, e.Output, e.Alarm = "hf", text, alarm })
	}
	dataset := ran(tracker.Failed, tracker.CauseAbsent, &tracker.Exit{})
	dataset.Repo = hfcache.Repo{Type: hfcache.Dataset, ID: "org/name"}
	size := ran(tracker.Failed, tracker.CauseSize, &tracker.Exit{})
	size.Mismatch = &sizer.Mismatch{Path: "a.safetensors", Got: 1, Want: 2}
	full := room(tracker.Failed, tracker.DiskWasFull, 650e6, 61e9, 0)
	full.Program, full.Cause, full.Exit = "hf", tracker.CauseExit, &tracker.Exit{Status: 1}
	return []sample{
		{"output", said("Fetching 9 files: 3/9 (33%)", false)},
		{"output, warning", said("Not enough free disk space to download the file.", true)},
		{"output, hostile", said("a\x1b[31m\r\u202e", false)},
		{"output, an end that is no verdict", ran(tracker.Output, tracker.CauseExit, &tracker.Exit{Status: 1, Last: "CUDA out of memory"})},
		{"failed", with(tracker.Failed, reason("access to org/name is gated; accept its terms on the hub and pass a token (HF_TOKEN)"))},
		{"failed, cause alone", with(tracker.Failed, func(e *tracker.Event) { e.Cause = "gated" })},
		{"failed, exit status", ran(tracker.Failed, tracker.CauseExit, &tracker.Exit{Status: 1})},
		{"failed, last line", ran(tracker.Failed, tracker.CauseExit, &tracker.Exit{Status: 1, Last: "Aborted!"})},
		{"failed, disk was full", full},
		{"failed, stopped", ran(tracker.Failed, tracker.CauseStopped, &tracker.Exit{Status: 1, Asked: "SIGTERM"})},
		{"failed, Ctrl-C", ran(tracker.Failed, tracker.CauseStopped, &tracker.Exit{Status: 130})},
		{"failed, killed", ran(tracker.Failed, tracker.CauseKilled, &tracker.Exit{Status: 137, Signal: "SIGKILL"})},
		{"failed, out of memory", ran(tracker.Failed, tracker.CauseMemory, &tracker.Exit{Status: 137, Signal: "SIGKILL", OutOfMemory: true})},
		{"failed, incomplete", ran(tracker.Failed, tracker.CauseIncomplete, &tracker.Exit{})},
		{"failed, size", size},
		{"failed, size unknown", ran(tracker.Failed, tracker.CauseSize, &tracker.Exit{})},
		{"failed, nothing there", dataset},
		{"failed, program unknown", with(tracker.Failed, func(e *tracker.Event) { e.Cause, e.Exit = tracker.CauseExit, &tracker.Exit{Status: 3} })},
	}
}

func TestARemedyWithTheLongestIDIsWhole(t *testing.T) {
	id := strings.Repeat("a", 96) + "/" + strings.Repeat("b", 96)
	text := Message(with(tracker.Failed, reason("access to "+id+" is gated; accept its terms on the hub and pass a token (HF_TOKEN)")))
	if !strings.HasSuffix(text, "(HF_TOKEN)") || !strings.Contains(text, id) {
		t.Error(text)
	}
}

func TestFieldsOfARun(t *testing.T) {
	f := fields(ran(tracker.Failed, tracker.CauseMemory, &tracker.Exit{Status: 137, Signal: "SIGKILL"}))
	for name, want := range map[string]string{
		"PROGRESSD_CAUSE": "memory", "PROGRESSD_EXIT_STATUS": "137", "PROGRESSD_SIGNAL": "SIGKILL", "PROGRESSD_COMMAND": "hf",
	} {
		if f[name] != want {
			t.Errorf("%s is %q, want %q", name, f[name], want)
		}
	}
	cached := fields(with(tracker.Completed, func(e *tracker.Event) { e.Proof = tracker.ProvenByExit }))
	if _, ok := cached["PROGRESSD_BYTES"]; ok || cached["PROGRESSD_PROOF"] != "exit" {
		t.Errorf("of what was there already: %v", cached)
	}
}
