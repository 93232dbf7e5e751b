package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
	"progressd/sink"
	"progressd/sizer"
	"progressd/tracker"
)

// Every text that progressd makes is read back as what it is.
func TestLinesAreReadBack(t *testing.T) {
	repo := hfcache.Repo{Type: hfcache.Model, ID: "o/m"}
	who := &downloader.Process{PID: 4242, Command: "hf"}
	for _, e := range []tracker.Event{
		{Kind: tracker.Preparing},
		{Kind: tracker.Started},
		{Kind: tracker.Started, Total: 1_200_000, Files: 9},
		{Kind: tracker.Resumed, Bytes: 550_000},
		{Kind: tracker.Progress, Bytes: 550_000},
		{Kind: tracker.Progress, Bytes: 550_000, Total: 1_200_000},
		{Kind: tracker.Keepalive, Bytes: 550_000, Silence: 65 * time.Second},
		{Kind: tracker.Keepalive, Bytes: 550_000, Total: 1_200_000, LastMinute: 12_100},
		{Kind: tracker.Stalled, Bytes: 550_000, Silence: 10 * time.Minute, Downloader: who, DownloaderAlive: true},
		{Kind: tracker.Moving, Bytes: 550_000},
		{Kind: tracker.Restarted, Bytes: 120_000, Lost: 550_000},
		{Kind: tracker.Interrupted, Bytes: 550_000, Total: 1_200_000, Downloader: who},
		{Kind: tracker.Interrupted, Bytes: 550_000, Silence: time.Minute},
		{Kind: tracker.Ended, Bytes: 550_000, FilesDone: 4, Files: 9},
		{Kind: tracker.Unlisted, Bytes: 550_000, FilesDone: 1},
		{Kind: tracker.Idle, Bytes: 550_000, FilesDone: 1},
		{Kind: tracker.Completed},
		{Kind: tracker.Removed, Bytes: 550_000},
		{Kind: tracker.OrphansFound, Count: 2, Lost: 550_000},
	} {
		e.Repo = repo
		text := sink.Message(e)
		level := map[tracker.Level]string{tracker.Info: "INFO", tracker.Success: "SUCCESS", tracker.Warning: "WARNING"}[e.Level()]
		l := parseLine(1, "[2026-11-22T12:00:00Z] ["+level+"] "+text)
		if l.kind != e.Kind || !l.at.Equal(noon) {
			t.Errorf("%q is read as %q of %v", text, l.kind, l.at)
		}
		if e.Bytes > 0 && (l.bytes.least > e.Bytes || l.bytes.most < e.Bytes) {
			t.Errorf("%q: %d bytes are read as %v", text, e.Bytes, l.bytes)
		}
	}
}

func TestAmountsHoldWhatWasRounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		n := rng.Int64N(int64(1) << rng.IntN(40))
		text := sizer.FormatBytes(n)
		if a := parseAmount(text); n < a.least || n > a.most {
			t.Fatalf("%d is shown as %s and read as %v", n, text, a)
		}
	}
}

func TestLinesOfOthersAreNotRead(t *testing.T) {
	for _, raw := range []string{
		"", "Model downloaded successfully",
		"[12:00:00] [SUCCESS] Model downloaded successfully",
		"[2026-11-22T12:00:00Z] [INFO] Model downloaded successfully",
		"[2026-11-22T12:00:00Z] [SUCCESS] Model downloaded successfully!",
		"[2026-11-22T12:00:00Z] [INFO] Downloaded 1.2MB... [2026-11-22T12:00:00Z] [INFO] Downloaded 1.2MB...",
	} {
		if l := parseLine(1, raw); l.kind != "" {
			t.Errorf("%q is read as %q", raw, l.kind)
		}
	}
}
