package top

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"progressd/live"
	"progressd/record"
)

// screen is a model over n downloads, as a program would run it.
func screen(t *testing.T, n int) (tea.Model, *seen) {
	t.Helper()
	s := &seen{}
	s.view.Apply(live.Update{Standing: &live.Standing{Downloads: made(n)}})
	var m tea.Model = model{seen: s, look: look{asciiGlyphs()}}
	m, _ = m.Update(tea.WindowSizeMsg{Width: 100, Height: 30})
	m, again := m.Update(tick(noon))
	if again == nil {
		t.Fatal("it stands still")
	}
	return m, s
}

func press(m tea.Model, keys ...string) tea.Model {
	named := map[string]tea.Key{
		"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "enter": {Code: tea.KeyEnter}, "end": {Code: tea.KeyEnd}, "home": {Code: tea.KeyHome}, "pgdown": {Code: tea.KeyPgDown},
	}
	for _, name := range keys {
		key, ok := named[name]
		if !ok {
			key = tea.Key{Code: rune(name[0]), Text: name}
		}
		m, _ = m.Update(tea.KeyPressMsg(key))
	}
	return m
}

// names are those in the frame, in their order; the chosen one is led by >.
func names(m tea.Model) string {
	var all []string
	for _, d := range m.(model).all {
		name := d.Model[strings.LastIndex(d.Model, "/")+1:]
		if d.Key == m.(model).all[m.(model).at()].Key {
			name = ">" + name
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

func TestKeys(t *testing.T) {
	m, _ := screen(t, 4)
	for _, c := range []struct{ keys, want string }{
		{"", ">DeepSeek-V3.2 gemma-3-4b-it Llama-3.3-70B-Instruct gpt-oss-20b"},
		{"down down", "DeepSeek-V3.2 gemma-3-4b-it >Llama-3.3-70B-Instruct gpt-oss-20b"},
		{"up", "DeepSeek-V3.2 >gemma-3-4b-it Llama-3.3-70B-Instruct gpt-oss-20b"},
		{"end down", "DeepSeek-V3.2 gemma-3-4b-it Llama-3.3-70B-Instruct >gpt-oss-20b"},
		{"s", "DeepSeek-V3.2 Llama-3.3-70B-Instruct gemma-3-4b-it >gpt-oss-20b"}, // by speed
		{"k", "DeepSeek-V3.2 Llama-3.3-70B-Instruct >gemma-3-4b-it gpt-oss-20b"},
		{"s", "DeepSeek-V3.2 >gemma-3-4b-it Llama-3.3-70B-Instruct gpt-oss-20b"}, // by time left
		{"s home up", ">DeepSeek-V3.2 gemma-3-4b-it Llama-3.3-70B-Instruct gpt-oss-20b"},
		{"pgdown g j", "DeepSeek-V3.2 >gemma-3-4b-it Llama-3.3-70B-Instruct gpt-oss-20b"},
	} {
		m = press(m, strings.Fields(c.keys)...)
		if got := names(m); got != c.want {
			t.Errorf("after %q: %s", c.keys, got)
		}
	}
	for _, key := range []string{"q", "ctrl+c"} {
		if _, quit := m.(model).key(key); quit == nil || quit() != tea.Quit() {
			t.Errorf("%s doesn't quit", key)
		}
	}
}

func TestWhatIsChosenStaysChosen(t *testing.T) {
	m, s := screen(t, 4)
	m = press(m, "down")
	first := made(1)[0]
	first.Key, first.Model = "first", "a/first"
	s.view.Apply(live.Update{Level: &first})
	m, _ = m.Update(tick(noon))
	if got := names(m); got != "first DeepSeek-V3.2 >gemma-3-4b-it Llama-3.3-70B-Instruct gpt-oss-20b" {
		t.Error(got)
	}
	s.view.Apply(live.Update{Gone: made(4)[1].Key})
	m, _ = m.Update(tick(noon))
	if got := names(m); got != ">first DeepSeek-V3.2 Llama-3.3-70B-Instruct gpt-oss-20b" {
		t.Error(got)
	}
	for _, d := range made(4) {
		s.view.Apply(live.Update{Gone: d.Key})
	}
	s.view.Apply(live.Update{Gone: "first"})
	m, _ = m.Update(tick(noon))
	if text := press(m, "down", "enter", "s").View().Content; !strings.Contains(text, "Nothing is being downloaded") {
		t.Errorf("%s", text)
	}
}

func TestAPauseHoldsTheFrame(t *testing.T) {
	m, s := screen(t, 2)
	m = press(m, "p")
	before := m.View().Content
	d := made(1)[0]
	d.Rate = 99e6
	s.view.Apply(live.Update{Level: &d})
	m, _ = m.Update(tick(noon.Add(time.Hour)))
	if after := m.View().Content; after != before || !strings.Contains(after, "PAUSED") {
		t.Errorf("%s", after)
	}
	m, _ = press(m, "p").Update(tick(noon))
	if after := m.View().Content; !strings.Contains(after, "99.0MB/s") {
		t.Errorf("%s", after)
	}
}

func TestWhatHasEndedStaysForAMoment(t *testing.T) {
	m, s := screen(t, 0)
	for key, ago := range map[string]time.Duration{"new": 9 * time.Minute, "old": 11 * time.Minute} {
		s.view.Apply(live.Update{Level: &record.Download{Key: key, State: record.Completed, Record: record.Record{Model: "org/" + key, RepoType: "model", Time: noon.Add(-ago)}}})
	}
	m, _ = m.Update(tick(noon))
	if got := names(m); got != ">new" {
		t.Error(got)
	}
}

func TestTheTerminalHasABarOfItsOwn(t *testing.T) {
	m, s := screen(t, 8)
	bar := m.View().ProgressBar
	if bar == nil || bar.Value != 59 || bar.State != tea.ProgressBarWarning {
		t.Errorf("%+v", bar)
	}
	for _, d := range made(8) {
		if d.Total > 0 {
			s.view.Apply(live.Update{Gone: d.Key})
		}
	}
	m, _ = m.Update(tick(noon))
	if bar := m.View().ProgressBar; bar != nil {
		t.Errorf("%+v", bar)
	}
}
