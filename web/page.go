package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"progressd/display"
	"progressd/record"
)

//go:embed page.html
var pageText string

// A page is what people see: all in one file, which is complete without its
// script.
type page struct{ text *template.Template }

func newPage() *page {
	return &page{template.Must(template.New("page").Parse(pageText))}
}

// view is what the page shows.
type view struct {
	Head []string `json:"-"`
	Rows []row    `json:"rows,omitempty"`
	// Keys are those of all rows, in their order.
	Keys    []string `json:"keys,omitzero"`
	Summary string   `json:"summary"`
	// Lost is why no daemon answers.
	Lost string `json:"lost,omitempty"`
}

// A row is a download on the page.
type row struct {
	Key   string   `json:"key"`
	State string   `json:"state"`
	Cells []string `json:"cells"`
	// Filled is how much of the bar is full, in thousandths; -1: no bar.
	Filled int `json:"filled"`
	// Note is what to know besides: silence, or the last line.
	Note string `json:"note,omitempty"`
	// More is for those who want to know: the files in flight, and where. Title
	// says what it is.
	Title string   `json:"title,omitempty"`
	More  []string `json:"more,omitempty"`
}

// viewOf is what the page shows of how all stand.
func viewOf(n now, at time.Time) view {
	v := view{Head: display.Head(), Summary: display.Summary(n.downloads)}
	if n.lost != nil {
		v.Lost = n.lost.Err.Error()
	}
	for _, d := range n.downloads {
		v.Rows, v.Keys = append(v.Rows, rowOf(d, at)), append(v.Keys, d.Key)
	}
	return v
}

func rowOf(d record.Download, at time.Time) row {
	r := row{Key: d.Key, State: string(d.State), Cells: display.Row(d), Filled: -1, Note: display.Silence(d, at)}
	const parts = 1000
	if full, ok := display.Filled(d, parts); ok {
		r.Filled = full
	}
	if !d.State.Running() && d.Message != "" {
		r.Note = display.Clock(d.Time) + " " + d.Message
	}
	for _, f := range d.InFlight {
		r.More = append(r.More, display.InFlight(f))
	}
	if d.Root != "" {
		r.More = append(r.More, "in "+d.Root)
	}
	switch {
	case d.FilesInFlight > 0:
		r.Title = display.Count(int(d.FilesInFlight), "file") + " in flight"
	case len(r.More) > 0:
		r.Title = "where"
	}
	return r
}

// showPage answers with the page as all stand now; its script goes on from there.
func (s *Server) showPage(w http.ResponseWriter, r *http.Request) {
	n, err := s.relay.now(r.Context())
	v := viewOf(n, time.Now())
	if err != nil {
		v.Lost = err.Error()
	}
	var text bytes.Buffer
	if err := s.page.text.Execute(&text, v); err != nil {
		problem(w, r, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(text.Bytes())
}

var inline = regexp.MustCompile(`(?s)<(style|script)>(.*?)</`)

// policy lets a browser load, run and ask for what is in the page, and nothing
// else.
func (p *page) policy() string {
	var text bytes.Buffer
	if err := p.text.Execute(&text, view{}); err != nil {
		return "default-src 'none'"
	}
	parts := []string{
		"default-src 'none'", "connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	}
	for _, m := range inline.FindAllSubmatch(text.Bytes(), -1) {
		sum := sha256.Sum256(m[2])
		parts = append(parts, string(m[1])+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	return strings.Join(parts, "; ")
}

// pageEvery is how often a page is told what has changed, at most.
const pageEvery = 500 * time.Millisecond

// streamRows tells a page what has changed. A page that is slow is told less
// often.
func (s *Server) streamRows(w http.ResponseWriter, r *http.Request) {
	leave, ok := enter(s.streams)
	if !ok {
		busy(w, r, "too many pages are open")
		return
	}
	defer leave()
	n, err := s.relay.now(r.Context())
	if err != nil {
		nobody(w, r, err)
		return
	}
	r.Header.Set("Accept", "text/event-stream")
	out := newStream(w, r)
	if r.Method == http.MethodHead {
		return
	}
	told := teller{rows: map[string]string{}}
	for {
		if text, news := told.changes(viewOf(n, time.Now())); news {
			out.put("event: rows\ndata: ", text, "\n\n")
		} else {
			out.put("event: keep\ndata:\n\n")
		}
		if out.flush() != nil || !later(r.Context(), n.changed) {
			return
		}
		n, _ = s.relay.look()
	}
}

// A teller knows what a page was told.
type teller struct {
	rows       map[string]string // as JSON, by key
	keys, rest []string
}

// changes are what of a view the page doesn't know, as JSON; false if it knows
// all.
func (t *teller) changes(v view) (text string, news bool) {
	rows := map[string]string{}
	v.Rows = slices.DeleteFunc(v.Rows, func(r row) bool {
		rows[r.Key] = asJSON(r)
		return t.rows[r.Key] == rows[r.Key]
	})
	same := slices.Equal(v.Keys, t.keys)
	rest := []string{v.Summary, v.Lost}
	news = len(v.Rows) > 0 || !same || !slices.Equal(rest, t.rest)
	t.rows, t.keys, t.rest = rows, v.Keys, rest
	switch {
	case same:
		v.Keys = nil
	case v.Keys == nil:
		v.Keys = []string{} // that none is left is told
	}
	return asJSON(v), news
}

// later waits for a change: not longer than a page waits for a sign of life, nor
// shorter than it needs.
func later(ctx context.Context, changed <-chan struct{}) bool {
	select {
	case <-time.After(pageEvery):
	case <-ctx.Done():
		return false
	}
	select {
	case <-changed:
	case <-time.After(keepEvery):
	case <-ctx.Done():
		return false
	}
	return true
}

func asJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil { // it can't be: there are only texts and numbers
		return "{}"
	}
	return string(text)
}
