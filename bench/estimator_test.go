package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"progressd/internal/trace"
)

func TestTheEstimatorWorkloadNeedsNoDaemonAndGivesTheSameTwice(t *testing.T) {
	texts := []string{estimatorReport(t), estimatorReport(t)}
	if texts[0] != texts[1] {
		t.Error("two runs differ")
	}
	if !strings.Contains(texts[0], "| median | p95 |") || !strings.Contains(texts[0], "| steady | progressd | ") {
		t.Errorf("the report is\n%s", texts[0])
	}
}

func estimatorReport(t *testing.T) string {
	t.Helper()
	o, err := parse([]string{"--quick", "--only", "estimator", "--progressd", "/nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBench(t.Context(), o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.estimator(t.Context()), b.close(o)); err != nil {
		t.Fatal(err)
	}
	return b.report.markdown()
}

// The peers are what they are called, so that a comparison means something.
func TestThePeersOfTheEstimator(t *testing.T) {
	start := time.Now()
	for who, want := range map[string][]int64{
		// 10 a second for 30 s, then nothing: at 30, 35, 60 s.
		average: {10, 7, 1},
		window:  {10, 8, 0},
	} {
		e := estimators()[who]()
		var got []int64
		for second := range 61 {
			now := start.Add(time.Duration(second) * time.Second)
			e.Add(now, trace.Look{Bytes: int64(10 * min(second, 30))})
			if second == 30 || second == 35 || second == 60 {
				got = append(got, e.PerSecond(now))
			}
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: %v, want %v", who, got, want)
			}
		}
	}
}
