package capture

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// understood is what a Reader makes of a whole output.
func understood(t *testing.T, output string) (told []Message, r *Reader) {
	t.Helper()
	r = NewReader(func(m Message) { told = append(told, m) })
	for i := 0; i < len(output); i += 7 { // in pieces that respect nothing
		r.Read([]byte(output[i:min(i+7, len(output))]), start)
	}
	r.Close(start.Add(time.Second))
	return told, r
}

// TestWhatRealClientsPrintWhenTheyFail: what each printed on standard error,
// without a terminal, when a hub did to it what the file is named for.
func TestWhatRealClientsPrintWhenTheyFail(t *testing.T) {
	errors := map[string]Cause{
		"gated": Gated, "gatedfile": Gated, "missing": RepoNotFound, "unauth": RepoNotFound,
		"rev": RevisionNotFound, "file": FileNotFound, "badtoken": BadToken,
		"nospace": NoSpace, "short": Corrupt, "offline": Offline,
	}
	suspects := map[string]Cause{"dns": NoName, "refused": NoConnection, "cut": NoConnection, "down": HubFailed}
	// Some say so only where an exception is caught and another is told.
	lost := map[string]Cause{
		"0.36.2.limited": RateLimited, "0.36.2.forbidden": Forbidden,
		"llama.cpp-0.7.0.forbidden": Forbidden,
		"2.4.0.limited":             RateLimited, "2.4.0.forbidden": Forbidden,
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			output, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			told, r := understood(t, string(output))
			var worst []Message
			for _, m := range told {
				if m.Class == Error {
					worst = append(worst, m)
				}
			}
			kind := name[strings.LastIndexByte(name, '.')+1:]
			want, fails := errors[kind]
			if cause, ok := lost[name]; ok {
				want, fails = cause, true
			}
			switch cause, suspected := suspects[kind]; {
			case fails && (len(worst) != 1 || worst[0].Cause != want):
				t.Errorf("%+v, want %s", worst, want)
			case suspected:
				if m, ok := r.Suspect(); !ok || m.Cause != cause || len(worst) > 0 {
					t.Errorf("suspect %+v, errors %+v, want %s", m, worst, cause)
				}
			case !fails && len(worst) > 0:
				t.Errorf("an error where there was none: %+v", worst)
			}
		})
	}
}

func TestErrorsAreToldOnceAndAtThePauseBehindThem(t *testing.T) {
	var told []Message
	r := NewReader(func(m Message) { told = append(told, m) })
	r.Read([]byte("requests.exceptions.HTTPError: 403 Client Error: Forbidden for url: http://h/x\n"), start)
	r.Read([]byte("\nhuggingface_hub.errors.GatedRepoError: 403 Client Error.\n\nCannot access gated repo for url http://h/x.\n"), start)
	if len(told) > 0 {
		t.Fatalf("told before the traceback is over: %+v", told)
	}
	r.Pause(start.Add(200 * time.Millisecond))
	r.Read([]byte("Cannot access gated repo for url http://h/x.\n"), start)
	r.Close(start)
	if len(told) != 1 || told[0].Cause != Gated || !strings.Contains(told[0].Remedy, "gated") {
		t.Errorf("%+v", told)
	}
}

func TestEventsOfAKindAreToldOnceAMinute(t *testing.T) {
	var told []Message
	r := NewReader(func(m Message) { told = append(told, m) })
	for i := range 200 {
		r.Read([]byte("Retrying in 1s [Retry 1/5].\n"), start.Add(time.Duration(i)*time.Second))
	}
	if len(told) != 4 {
		t.Errorf("%d lines in 200 s", len(told))
	}
}

func TestBarsAreReducedToOneLineAMinuteAndTheLastState(t *testing.T) {
	var told []string
	r := NewReader(func(m Message) { told = append(told, m.Text) })
	for i := range 100 {
		bar := "\rFetching 9 files:  " + string(rune('0'+i%10)) + "0%|###       | " + string(rune('0'+i/12)) + "/9 [00:12<00:24,  4.01s/it]"
		r.Read([]byte(bar), start.Add(time.Duration(i)*time.Second))
	}
	r.Read([]byte("\rFetching 9 files: 100%|##########| 9/9 [01:40<00:00, 11.1s/it]\n"), start.Add(100*time.Second))
	r.Close(start.Add(100 * time.Second))
	if len(told) != 3 || told[0] != "Fetching 9 files: 0/9 (00%)" || told[2] != "Fetching 9 files: 9/9 (100%)" {
		t.Errorf("%q", told)
	}
}

func TestLinesThatMeanNoFailure(t *testing.T) {
	for _, line := range []string{
		"'(ReadTimeoutError(\"HTTPSConnectionPool(host='h', port=443): Read timed out.\"))' thrown while requesting HEAD https://h/x",
		"Error while downloading from https://h/x: The read operation timed out",
		"HTTP Error 429 thrown while requesting GET https://h/x",
		"Rate limited. Waiting 30.0s before retry [Retry 1/5].",
		"INFO 11-22 config.json: 404 Client Error is fine",
		"Not enough free disk space to download the file. The expected file size is: 5000 MB. The target location /x only has 3 MB free disk space.",
		"    raise GatedRepoErrorish",
		"I wrote a story: Error: Access denied. Model 'x' requires approval.",
		"torch.OutOfMemoryError: CUDA out of memory.",
	} {
		if m := classify(line); m.found && m.Class >= Suspect {
			t.Errorf("%s\n is taken for %s", line, m.Cause)
		}
	}
}

func TestOtherProgramsThatGiveUp(t *testing.T) {
	for line, want := range map[string]Cause{
		"(EngineCore_DP0 pid=4242) ERROR 11-22 10:00:01 [core.py:708] huggingface_hub.errors.GatedRepoError: 401 Client Error.": Gated,
		"OSError: You are trying to access a gated repo.":                                                                       Gated,
		"huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error.":                                                     RepoNotFound,
		"OSError: [Errno 122] Disk quota exceeded":                                                                              NoQuota,
		"RuntimeError: Data processing error: I/O error: No space left on device (os error 28)":                                 NoSpace,
		"httpx.ConnectTimeout: timed out":                                                                                       TimedOut,
		"ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed":                              BadCertificate,
		"PermissionError: [Errno 13] Permission denied: '/root/.cache'":                                                         NoPermission,
		"MemoryError": NoMemory,
	} {
		if m := classify(line); !m.found || m.Cause != want {
			t.Errorf("%s\n is %+v, want %s", line, m.Message, want)
		}
	}
}

// TestAllRulesCanMatch: no word list keeps a rule from what it is for.
func TestEveryRuleIsReached(t *testing.T) {
	lines := map[Cause]string{
		NoToken: "Error: Not logged in. Run 'hf auth login' first.", NotCached: "Error: Local entry not found. x",
		LittleSpace: "Not enough free disk space to download the file.", NoMatch: "No files matched ['*.x'].",
		NoXet:    "Xet Storage is enabled for this repo, but the 'hf_xet' package is not installed. Falling back",
		Limited:  "Rate limited. Waiting 3s before retry [Retry 1/5].",
		Retrying: "Trying to resume download...", Waiting: "Still waiting to acquire lock on /x (elapsed: 10.0 seconds)",
		Loading: "Downloading 'a' to 'b'", Done: "Download complete. Moving file to x",
		Weights: "Time spent downloading weights for org/m: 12.3 seconds", HubFailed: "requests.exceptions.HTTPError: 502 Server Error: x",
		Fetching: "Fetching 9 files",
	}
	for cause, line := range lines {
		if m := classify(line); !m.found || m.Cause != cause {
			t.Errorf("%s\n is %+v, want %s", line, m.Message, cause)
		}
	}
}

func TestTheLastLineIsKeptWithoutSecrets(t *testing.T) {
	_, r := understood(t, "a\nsomething about hf_abcdefghijklmnopqrstuvwxyz0123456789\n\nFetching 2 files: 50%|## | 1/2 [00:00<00:00]")
	if got := r.Last(); got != "something about ***" {
		t.Errorf("%q", got)
	}
}
