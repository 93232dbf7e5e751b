package recording

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"progressd/hfcache"
	"progressd/sizer"
	"progressd/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var shipped = tracker.Settings{Step: 1000, Keepalive: time.Minute, StallAfter: 10 * time.Minute, InterruptAfter: time.Minute, QuietAfter: 30 * time.Second}

var quiet = slog.New(slog.DiscardHandler)

func look(bytes int64, at time.Time) tracker.Input {
	repo, _ := hfcache.NewRepo(hfcache.Model, "org/demo")
	return tracker.Input{Look: &sizer.Look{Root: "/hub", Repo: repo, At: at, InPlay: true, Play: "p", Bytes: bytes, Arrived: bytes, Partials: 1}}
}

// write records inputs, and gives what stands in the file then.
func write(t *testing.T, limit int64, log *slog.Logger, inputs ...tracker.Input) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "recording.jsonl")
	again(t, path, limit, log, inputs...)
	return path
}

func again(t *testing.T, path string, limit int64, log *slog.Logger, inputs ...tracker.Input) {
	t.Helper()
	r, err := Open(path, limit, Head{Version: "v1", At: time.Now(), Settings: shipped}, log)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range inputs {
		r.Given(in)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func replay(t *testing.T, path string) (kinds []string, err error) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	err = Replay(t.Context(), file, func(e tracker.Event) { kinds = append(kinds, string(e.Kind)) }, quiet)
	return kinds, err
}

func TestNobodyElseReadsIt(t *testing.T) {
	info, err := os.Stat(write(t, 1<<20, quiet))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

func TestALinkInItsPlaceIsNotFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording.jsonl")
	if err := os.Symlink("elsewhere", path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, 1<<20, Head{}, quiet); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("got %v", err)
	}
}

// It is bounded, over restarts too, and what is there is whole lines.
func TestItIsFullAtItsLimit(t *testing.T) {
	var log strings.Builder
	var inputs []tracker.Input
	for i := range 100 {
		inputs = append(inputs, look(int64(1+i)*1000, time.Now()))
	}
	const limit = 10_000
	path := write(t, limit, slog.New(slog.NewTextHandler(&log, nil)), inputs...)
	info, err := os.Stat(path)
	if err != nil || info.Size() > limit || info.Size() < limit/2 {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
	if strings.Count(log.String(), "the recording is full") != 1 {
		t.Errorf("it says %q", log.String())
	}
	kinds, err := replay(t, path)
	if err != nil || len(kinds) < 3 {
		t.Errorf("replayed %q, %v", kinds, err)
	}
	again(t, path, limit, quiet, inputs...)
	if now, err := os.Stat(path); err != nil || now.Size() > limit {
		t.Errorf("%d bytes, %v", now.Size(), err)
	}
}

// What nobody could write isn't silently missing.
func TestAGapIsToldOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording.jsonl")
	r, err := Open(path, 1<<30, Head{At: time.Now()}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for range waiting + 1 {
		r.Given(look(1000, time.Now()))
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for range 10 { // as if the disk took some
		<-r.queue
	}
	r.Given(look(2000, time.Now()))
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || bytes.Count(text, []byte(`"gap":true`)) != 1 {
		t.Errorf("%d gaps, %v", bytes.Count(text, []byte(`"gap":true`)), err)
	}
}

func TestWhatIsNoRecordingIsRefused(t *testing.T) {
	const head = `{"head":{"form":1,"settings":{"Keepalive":1,"StallAfter":1,"InterruptAfter":1,"QuietAfter":1}}}` + "\n"
	for name, tt := range map[string]struct{ text, err string }{
		"no JSON":         {"nonsense", "line 1: "},
		"no head":         {`{"tick":"2026-01-01T00:00:00Z"}`, "line 1: it doesn't begin with the head of a recording"},
		"of the future":   {`{"head":{"form":2,"version":"v9"}}`, `line 1: it has the form 2, of progressd "v9"`},
		"bad settings":    {`{"head":{"form":1}}`, "line 1: its settings are none"},
		"an empty object": {head + "{}", "line 2: there is nothing in it"},
		"with a gap":      {head + `{"gap":true,"tick":"2026-01-01T00:00:00Z"}`, "line 2: the disk was too slow here"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Replay(t.Context(), strings.NewReader(tt.text), func(tracker.Event) {}, quiet)
			if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("got %v, want %s", err, tt.err)
			}
		})
	}
}

// A name has one hash in a copy, and another one in the next.
func TestNamesAreHashed(t *testing.T) {
	path := write(t, 1<<20, quiet, look(1000, time.Now()), look(5000, time.Now()))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var one, two bytes.Buffer
	if err := errors.Join(HashNames(bytes.NewReader(text), &one), HashNames(bytes.NewReader(text), &two)); err != nil {
		t.Fatal(err)
	}
	if one.String() == two.String() {
		t.Error("who knows a name finds it in every copy")
	}
	for _, name := range []string{"hub", "org", "demo"} {
		if strings.Contains(one.String(), name) {
			t.Errorf("%q is still in %s", name, one.String())
		}
	}
	var said []string
	if err := Replay(t.Context(), &one, func(e tracker.Event) { said = append(said, string(e.Kind)+" "+e.Repo.ID) }, quiet); err != nil || len(said) < 2 {
		t.Fatalf("%q, %v", said, err)
	}
	if id := strings.Fields(said[0])[1]; !strings.HasSuffix(said[1], " "+id) || strings.Count(id, "/") != 1 {
		t.Errorf("%q", said)
	}
}

// Why a disk can't be read is said again, and without names too.
func TestWhyNothingCouldBeSeenIsKept(t *testing.T) {
	for _, why := range []error{syscall.EACCES, syscall.EIO, &os.PathError{Op: "open", Path: "/home/alice/secret", Err: syscall.EIO}} {
		began := time.Now()
		seen, blind := look(1000, began), look(0, began.Add(time.Second))
		seen.Look.Locked, blind.Look.Unreadable = true, why
		inputs := []tracker.Input{seen, blind}
		for second := range 150 {
			inputs = append(inputs, tracker.Input{Tick: began.Add(time.Duration(2+second) * time.Second)})
		}
		path := write(t, 1<<20, quiet, inputs...)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var hashed bytes.Buffer
		if err := HashNames(bytes.NewReader(text), &hashed); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "permission denied", false: "input/output error"}[errors.Is(why, syscall.EACCES)]
		for name, copied := range map[string][]byte{"as it is": text, "hashed": hashed.Bytes()} {
			var last tracker.Event
			if err := Replay(t.Context(), bytes.NewReader(copied), func(e tracker.Event) { last = e }, quiet); err != nil {
				t.Fatal(err)
			}
			if last.Reason != want || bytes.Contains(copied, []byte("secret")) {
				t.Errorf("%v, %s: the last says %q, %q", why, name, last.Kind, last.Reason)
			}
		}
	}
}

// A name that has changed would be left out without a word, and what is replayed be another
// thing than what was recorded.
func TestEveryNameInARecordingIsKnown(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%q, %v", paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		for {
			var l line
			if err := decoder.Decode(&l); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
	}
}
