package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"progressd/downloader"
	"progressd/live"
	"progressd/record"
	"progressd/tracker"
)

// hostile is what a name may hold. A daemon quotes what isn't printable; what is
// goes on as it is.
const hostile = "</script><img src=x onerror=alert(1)>\"'&lt;\x1b[2J\u202e\n{{.}}"

func hostileDownload() tracker.Event {
	e := of("org/a", 50, 200)
	e.Root = "/home/" + hostile
	e.InFlight = []tracker.File{{Name: hostile, Bytes: 1, Size: 2}}
	e.Downloader = &downloader.Process{PID: 7, Command: hostile, User: hostile, Unit: hostile, Container: hostile}
	return e
}

func TestThePageIsWholeWithoutItsScript(t *testing.T) {
	g := newRig(t)
	if _, _, body := g.get("/"); !strings.Contains(body, `<p id="none">Nothing is being downloaded.`) || !strings.Contains(body, `<table id="table" hidden>`) {
		t.Errorf("%s", body)
	}
	g.daemon.Tells(tracker.Started, of("org/a", 50, 200))
	g.daemon.Tells(tracker.Completed, of("org/b", 200, 200))
	g.until("/", `<tr class="completed">`)
	status, head, body := g.get("/")
	if status != 200 || head.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %v", status, head)
	}
	for _, want := range []string{
		`<th scope="col">LEFT</th>`, `<tr class="downloading">`, `<td><span class="name">org/a</span><progress value="250" max="1000"`, `<td>50B/200B</td><td>25.0%</td><td>12.1MB/s</td><td>~2m</td><td>1/3</td>`,
		`<tr class="completed">`, `<td class="unknown">-</td>`, `<span id="summary">1 download`, `<p id="lost" role="status" hidden>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in\n%s", want, body)
		}
	}
	const most = 25_000
	if len(pageText) > most {
		t.Errorf("%d bytes", len(pageText))
	}
	if found := regexp.MustCompile(`(?i)https?:|url\(|@import|src=|innerHTML|eval|document\.write`).FindAllString(pageText, -1); len(found) > 0 {
		t.Errorf("it needs something from elsewhere, or runs what it is told: %q", found)
	}
}

func TestNamesAreNoPartOfThePage(t *testing.T) {
	g := newRig(t)
	_, _, clean := g.get("/")
	g.daemon.Tells(tracker.Started, hostileDownload())
	g.until("/v1/downloads", "onerror")
	_, head, body := g.get("/")
	if strings.Contains(body, "<img") || strings.Count(body, "<script") != strings.Count(clean, "<script") || !strings.Contains(body, "&lt;img") {
		t.Errorf("%s", body)
	}
	if found := regexp.MustCompile(`[^\x20-\x7e\n]`).FindAllString(body, -1); len(found) > 0 {
		t.Errorf("not printable: %q", found)
	}
	policy := head.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "connect-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("%s is not in %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Error(policy)
	}
	for _, path := range []string{"/v1/downloads", "/metrics"} {
		if _, _, body := g.get(path); regexp.MustCompile(`[^\x20-\x7e\n]`).MatchString(body) || strings.Contains(body, "<img src") && path == "/v1/downloads" {
			t.Errorf("%s:\n%s", path, body)
		}
	}
}

func TestThePageIsToldWhatHasChanged(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.daemon.Tells(tracker.Started, of("org/b", 50, 200))
	answer := g.open(http.MethodGet, "/page/rows")
	defer answer.Body.Close()
	in := bufio.NewScanner(answer.Body)
	next := func() (v view, text string) {
		for in.Scan() {
			if data, ok := strings.CutPrefix(in.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &v); err != nil {
					t.Fatal(err)
				}
				return v, data
			}
		}
		t.Fatal("it has ended")
		return v, ""
	}
	v, _ := next()
	if len(v.Rows) != 1 || v.Rows[0].Cells[0] != "org/b" || v.Rows[0].Filled != 250 || len(v.Keys) != 1 {
		t.Errorf("%+v", v)
	}
	g.daemon.Tells(tracker.Started, of("org/a", 0, 0))
	v, _ = next()
	if len(v.Rows) != 1 || v.Rows[0].Cells[0] != "org/a" || v.Rows[0].Filled != -1 || len(v.Keys) != 2 || v.Keys[0] != v.Rows[0].Key {
		t.Errorf("%+v", v)
	}
	g.daemon.Stands(of("org/b", 60, 200))
	if v, text := next(); len(v.Rows) != 1 || v.Rows[0].Cells[0] != "org/b" || strings.Contains(text, `"keys"`) {
		t.Errorf("%s", text)
	}
	g.daemon.Stands(of("org/b", 60, 200), func(s *tracker.Standing) { s.Over, s.Silent = true, true })
	if v, text := next(); len(v.Rows) != 0 || len(v.Keys) != 1 {
		t.Errorf("%s", text)
	}
	g.daemon.Stop()
	if v, text := next(); !strings.Contains(v.Lost, "no progressd answers") || strings.Contains(text, `"keys"`) {
		t.Errorf("%s", text)
	}
}

func TestARowSaysWhatIsWorthKnowing(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.Local)
	n := int64(5)
	r := rowOf(record.Download{
		Key: "k", State: record.Stalled, Grown: at.Add(-65 * time.Second),
		Record: record.Record{Time: at, Model: "org/a", RepoType: "model", Root: "/r", Bytes: &n, Level: "warning", Message: "said", FilesInFlight: 1, InFlight: []record.File{{Name: "f", Bytes: 1, Size: 4, Rate: 2}}},
	}, at)
	if got := fmt.Sprintf("%q %q %q", r.Note, r.Title, r.More); got != `"no new data for 1m05s" "1 file in flight" ["f 1B/4B ~ 25.0%, 2B/s" "in /r"]` {
		t.Error(got)
	}
	r = rowOf(record.Download{State: record.Interrupted, Record: record.Record{Time: at, Model: "org/a", RepoType: "model", Level: "warning", Message: "said"}}, at)
	if got := fmt.Sprintf("%q %q %q", r.Note, r.Title, r.More); got != `"12:00:00 PM said" "" []` {
		t.Error(got)
	}
	var told teller
	empty := viewOf(now{lost: &live.Lost{Err: errSlow}}, at)
	if text, news := told.changes(empty); !news || !strings.Contains(text, errSlow.Error()) {
		t.Error(text)
	}
	if text, news := told.changes(empty); news {
		t.Error(text)
	}
}
