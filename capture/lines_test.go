package capture

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func split(t *testing.T, stream string) []Line {
	t.Helper()
	var got []Line
	l := NewLines(func(line Line) { got = append(got, line) })
	if n, err := l.Write([]byte(stream)); n != len(stream) || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	l.Flush()
	return got
}

func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		stream string
		want   []Line
	}{
		"newlines":           {"a\nb\n", []Line{{"a", false}, {"b", false}}},
		"carriage returns":   {"a\rb\rc\n", []Line{{"a", true}, {"b", true}, {"c", false}}},
		"both":               {"a\r\nb", []Line{{"a", true}, {"b", false}}},
		"unfinished":         {"Password: ", []Line{{"Password:", false}}},
		"empty":              {"\n\n \r\n", nil},
		"colours":            {"\x1b[1m\x1b[31mError: x\x1b[0m\n", []Line{{"Error: x", false}}},
		"cursor up":          {"a\n\x1b[A\x1b[2Kb\n", []Line{{"a", false}, {"b", false}}},
		"title, BEL":         {"\x1b]0;evil\x07a\n", []Line{{"a", false}}},
		"link, ST":           {"\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\\n", []Line{{"text", false}}},
		"character set":      {"\x1b(Ba\n", []Line{{"a", false}}},
		"control characters": {"a\x00\x07b\x7fc\td\n", []Line{{"abc d", false}}},
		"backspace":          {"ab\bc\n", []Line{{"ac", false}}},
		"backspace at start": {"\b\ba\n", []Line{{"a", false}}},
		"C1 and bad UTF-8":   {"a\u009b31mb\xffc\n", []Line{{"a31mbc", false}}},
		"cut sequence":       {"\x1b[31\na\n", []Line{{"a", false}}},
		"runaway sequence":   {"\x1b]0;never ended\na\n", []Line{{"a", false}}},
		"UTF-8":              {"✓ Downloaded\n", []Line{{"✓ Downloaded", false}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := split(t, c.stream); !slices.Equal(got, c.want) {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestALineThatIsTooLongLosesItsEnd(t *testing.T) {
	got := split(t, strings.Repeat("word ", 1<<20)+"hf_secret\nnext\n")
	if len(got) != 2 || len(got[0].Text) > maxLine || got[1].Text != "next" {
		t.Fatalf("%d lines, the first of %d bytes", len(got), len(got[0].Text))
	}
	if got := split(t, strings.Repeat("x", 1<<20)+"\n"); len(got) != 0 {
		t.Errorf("a word of which the end is missing: %d bytes", len(got[0].Text))
	}
}

func TestWhatIsLostInBetweenJoinsNoLines(t *testing.T) {
	var got []string
	l := NewLines(func(line Line) { got = append(got, line.Text) })
	_, _ = l.Write([]byte("one half\x1b]0;"))
	l.Lost()
	_, _ = l.Write([]byte("of another\nwhole\n"))
	if !slices.Equal(got, []string{"one", "of another", "whole"}) {
		t.Errorf("%q", got)
	}
}

func TestMask(t *testing.T) {
	const secret = "abcdEFGH0123456789abcdEFGH01234567"
	for _, line := range []string{
		"token hf_" + secret,
		"HF_TOKEN=" + secret + " hf download",
		`{"Authorization": "Bearer ` + secret + `"}`,
		"Authorization: Basic " + secret,
		"curl -H 'authorization: bearer " + secret + "'",
		"https://user:" + secret + "@hub.example/x",
		"https://cdn/x?X-Amz-Algorithm=A&X-Amz-Credential=" + secret + "&X-Amz-Signature=" + secret + "&a=b",
		"https://cdn/x?Policy=" + secret + "&Signature=" + secret + "~&Key-Pair-Id=" + secret,
		"https://blob/x?sv=2020&sig=" + secret + "%3D",
		"hf download o/m --token " + secret,
		"api_key='" + secret + "'",
		"Set-Cookie: session=" + secret + "; Path=/",
		"jwt eyJhbGciOiJIUzI1NiJ9." + secret + ".x" + secret,
	} {
		if got := Mask(line); strings.Contains(got, secret) || !strings.Contains(got, hidden) {
			t.Errorf("%s\n%s", line, got)
		}
	}
	for _, line := range []string{
		"hf_hub_download of hf_transfer and hf_xet", "https://hub.example/org/model/resolve/main/x?download=true",
		"Fetching 9 files", "tokenizer.json: token 5 of 9",
	} {
		if got := Mask(line); got != line {
			t.Errorf("%s\n%s", line, got)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("\rFetching 9 files:  33%|###   | 3/9 [00:12<00:24]\x1b[A\nError: Access denied. Model 'x' requires approval."), uint8(3))
	f.Add([]byte("\x1b]0;\x1b\\x\x1b[31mhf_abcdefghijklmnopqrstuvwx\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		r := NewReader(func(m Message) {
			if m.Text != Mask(m.Text) || !utf8.ValidString(m.Text) || strings.ContainsFunc(m.Text, unicode.IsControl) {
				t.Errorf("%q", m.Text)
			}
		})
		for at := start; len(stream) > 0; at = at.Add(time.Second) {
			n := min(int(piece)+1, len(stream))
			r.Read(stream[:n], at)
			stream = stream[n:]
		}
		r.Close(start)
	})
}
