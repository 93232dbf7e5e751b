package untrusted

import (
	"strings"
	"testing"
)

func TestNothingGoesThroughRaw(t *testing.T) {
	long := strings.Repeat("a", 300)
	for _, c := range []struct{ in, name, escaped, printable, visible string }{
		{"models--a--b", "models--a--b", "models--a--b", "models--a--b", "models--a--b"},
		{"", `""`, "", "", ""},
		{`"a"`, `"\"a\""`, `\"a\"`, `"a"`, `"a"`},
		{"a\nb", `"a\nb"`, `a\nb`, "a?b", "ab"},
		{"a\x1b[31m", `"a\x1b[31m"`, `a\x1b[31m`, "a?[31m", "a[31m"},
		{"\u202eevil", `"\u202eevil"`, `\u202eevil`, "?evil", "\u202eevil"},
		{"\xff", `"\xff"`, `\xff`, "?", ""},
		{"schön\u0085", `"sch\u00f6n\u0085"`, `sch\u00f6n\u0085`, "sch?n?", "schön"},
		{"deepseek-ai/deepseek-ocr", "deepseek-ai/deepseek-ocr", "deepseek-ai/deepseek-ocr", "deepseek-ai/deepseek-ocr", "deepseek-ai/deepseek-ocr"},
		{"a b (c) %n", "a b (c) %n", "a b (c) %n", "a b (c) %n", "a b (c) %n"},
		{`back\slash`, `back\slash`, `back\\slash`, `back\slash`, `back\slash`},
		{"caf\u00e9", `"caf\u00e9"`, `caf\u00e9`, "caf?", "caf\u00e9"},
		{long, long[:255] + "...", long[:255] + "...", long, long},
	} {
		if got := Name(c.in); got != c.name {
			t.Errorf("the name %q becomes %s, want %s", c.in, got, c.name)
		}
		if got := Escaped(c.in, nameLimit); got != c.escaped {
			t.Errorf("%q escaped becomes %s, want %s", c.in, got, c.escaped)
		}
		if got := Printable(c.in); got != c.printable {
			t.Errorf("%q made printable becomes %s, want %s", c.in, got, c.printable)
		}
		if got := Visible(c.in); got != c.visible {
			t.Errorf("%q made visible becomes %q, want %q", c.in, got, c.visible)
		}
	}
	if got := Path(long); got != long {
		t.Errorf("a path of 300 bytes becomes %s", got)
	}
	for in, want := range map[string]string{"": "", `"a" is none`: `"a" is none`, "a\nb": `"a\nb"`, "abcdefghijklmnop": "abcdefghijkl..."} {
		if got := Plain(in, 12); got != want {
			t.Errorf("plain, %q becomes %s, want %s", in, got, want)
		}
	}
	if got := Quoted("abcdef", 3); got != "abc..." {
		t.Errorf("bounded: %s", got)
	}
}
