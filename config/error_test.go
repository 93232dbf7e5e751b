package config

import (
	"errors"
	"strings"
	"testing"
)

func TestProblemsNameFileLineAndKey(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"unknown key", "\npol_interval = '5s'", "2: pol_interval: unknown key, did you mean poll_interval?"},
		{"unknown key of another table", "stall_after = '5m'", "1: stall_after: unknown key, did you mean download.stall_after?"},
		{"unknown key in a table", "[log]\n\nstile = 'plain'", "3: log.stile: unknown key, did you mean log.style?"},
		{"key in the wrong case", "Roots = ['/a']", "1: Roots: unknown key, did you mean roots?"},
		{"unknown table", "# x\n[metrics]\nport = 1\nhost = ''", "2: metrics: unknown key, expected one of roots, poll_interval, "},
		{"unknown dotted key", "\nmetrics.port = 1", "2: metrics.port: unknown key, expected one of "},
		{"quoted key with a dot", `"log.dir" = "/x"`, `1: "log.dir": unknown key, did you mean log.dir?`},
		{"hostile key", `"\u001b]0;\u202e" = 1`, `1: "\x1b]0;\u202e": unknown key, expected one of`},
		{"table of tables", "[[x]]\na=1\n[[x]]\na=2", "3: x: unknown key"},

		{"syntax", "a = 1\nroots = [\n'/a'\nstep = 'x'", "4: expected a comma"},
		{"syntax at a line's end", "\n[log\ndir = ''", `2: expected '.' or ']' to end table name`},
		{"syntax behind a byte order mark", "\ufeff\n\n\n= 1", "4: "},
		{"key twice", "step = '1MB'\n\nstep = '1MB'", "3: Key 'step' has already been defined."},
		{"invalid UTF-8", "\nstep = '\xff'", "2: invalid UTF-8 byte: 0xff"},
		{"a byte order mark of UTF-16 alone", "\xff\xfe", "1: encoded in UTF-16, expected UTF-8"},
		{"UTF-16", "\xfe\xff\x00#\x00\n", "1: encoded in UTF-16, expected UTF-8"},
		{"a second byte order mark", "\ufeff\xff\xfe", "1: encoded in UTF-16, expected UTF-8"},
		{"binary", "\x00\x01", "1: files cannot contain NULL bytes"},

		{"roots a string", "\nroots = '/a'", `2: roots: found a string, expected a list of paths`},
		{"roots a table", "[roots]\na = 1", "1: roots: found a table, expected a list of paths"},
		{"roots empty", "roots = []", "1: roots: names no root, expected at least one"},
		{"root empty", "roots = ['/a', '']", `1: roots: entry 2: "" is empty, expected a path`},
		{"root a number", "roots = ['/a', 1]", `1: roots: entry 2: found a number, expected a string such as "~/.cache/huggingface/hub"`},
		{"root relative", "roots = ['hub']", `1: roots: entry 1: "hub" is relative, expected a path that begins with / or ~/`},
		{"root of a variable", "roots = ['$HF_HOME/hub']", `1: roots: entry 1: "$HF_HOME/hub" is relative`},
		{"root of another user", "roots = ['~bob/hub']", `1: roots: entry 1: "~bob/hub" is relative`},
		{"root with a NUL", `roots = ["/a\u0000b"]`, `1: roots: entry 1: "/a\x00b" is no path`},
		{"root beneath a root", "roots = ['/a', '/a/b']", ""},
		{"root twice in other words", "\nroots = ['~/hub/', '/b', '/home/ada/x/../hub']", `2: roots: entry 3: "/home/ada/hub" is given twice, expected each root once (see entry 1)`},
		{"root with a bad pattern", "roots = ['/a/[b']", `1: roots: entry 1: "/a/[b" is no valid pattern`},
		{"root with a pattern over a slash", "roots = ['/a[/]b']", `1: roots: entry 1: "/a[/]b" is no valid pattern`},

		{"interval a number", "poll_interval = 5", `1: poll_interval: found a number, expected a string such as "5s"`},
		{"interval without unit", "poll_interval = '5'", `1: poll_interval: "5" is not a duration, expected one such as "5s"`},
		{"interval zero", "keepalive_interval = '0s'", `1: keepalive_interval: "0s" is out of bounds, expected 100ms to 24h`},
		{"interval negative", "[download]\nquiet_after = '-1s'", `2: download.quiet_after: "-1s" is out of bounds`},
		{"poll too short", "poll_interval = '99ms'", `1: poll_interval: "99ms" is out of bounds, expected 100ms to 1h`},
		{"poll too long", "poll_interval = '1h1s'", `1: poll_interval: "1h1s" is out of bounds, expected 100ms to 1h`},
		{"interval too long", "download = { stall_after = '25h' }", `1: download.stall_after: "25h" is out of bounds`},
		{"longest poll", "poll_interval = '1h'", ""},
		{"longest interval", "keepalive_interval = '24h'", ""},
		{"interval short", "download.interrupt_after = '1ms'", `1: download.interrupt_after: "1ms" is out of bounds`},

		{"step zero", "step = '0MB'", `1: step: "0MB" is zero, so that no step would ever end, expected at least "1B", or "auto"`},
		{"step a number", "step = 0", `1: step: found a number, expected a string such as "100MB"`},
		{"step binary", "step = '1MiB'", `1: step: "1MiB" is not a size, expected one such as "100MB"`},
		{"step negative", "step = '-1MB'", `1: step: "-1MB" is not a size`},
		{"step of half a byte", "step = '0.5B'", `1: step: "0.5B" is not a size that a file can have`},
		{"step over int64", "step = '9223372036854775808B'", `1: step: "9223372036854775808B" is not a size that a file can have`},

		{"timestamps", "[log]\ntimestamps = 'iso'", `2: log.timestamps: "iso" is unknown, expected "clock" or "rfc3339"`},
		{"style", "[log]\nstyle = 3", `2: log.style: found a number, expected a string such as "plain"`},
		{"level", "[diagnostics]\nlevel = 'trace'", `2: diagnostics.level: "trace" is unknown, expected "info" or "debug"`},
		{"style empty", "log.style = ''", `1: log.style: "" is unknown, expected "plain" or "detailed"`},
		{"log dir relative", "[log]\ndir = 'logs'", `2: log.dir: "logs" is relative`},
		{"state dir a list", "[state]\ndir = []", `2: state.dir: found a list, expected a string`},
		{"boolean in quotes", "[journal]\nenabled = 'yes'", `2: journal.enabled: found a string, expected true or false`},
		{"table a value", "log = 1", "1: log: found a number, expected the table [log]"},
		{"table a list", "\n[[log]]\ndir = '/x'", "2: log: found a list of tables, expected the table [log]"},
		{"key a table", "[log.dir]\nx = 1", "1: log.dir: found a table, expected a string"},
		{"a date", "step = 1979-05-27", "1: step: found a date or time, expected a string"},

		{"hub on", "[hub]\n\nenabled = true", ""},
		{"hub neither", "hub.enabled = 'x'", "1: hub.enabled: found a string, expected true or false"},
		{"endpoint", "[hub]\nendpoint = 'https://hf.example:8443/mirror'", ""},
		{"endpoint on loopback", "[hub]\nendpoint = 'http://[::1]:80'", ""},
		{"endpoint empty", "[hub]\nendpoint = ''", `2: hub.endpoint: "" is no address, expected one such as "https://huggingface.co"`},
		{"endpoint a host", "[hub]\nendpoint = 'huggingface.co'", `2: hub.endpoint: "huggingface.co" is no address`},
		{"endpoint a port", "[hub]\nendpoint = 'https://:443'", `2: hub.endpoint: "https://:443" is no address`},
		{"endpoint with a space", "[hub]\nendpoint = 'https://h/a b'", `2: hub.endpoint: "https://h/a b" is no address`},
		{"endpoint unencrypted", "[hub]\nendpoint = 'http://hf.example'", `2: hub.endpoint: "http://hf.example" is not encrypted, expected https://`},
		{"endpoint that only looks like loopback", "[hub]\nendpoint = 'http://localhost.example'", `2: hub.endpoint: "http://localhost.example" is not encrypted`},
		{"endpoint of a scheme", "[hub]\nendpoint = 'ftp://h'", `2: hub.endpoint: "ftp://h" is of another scheme, expected https://`},
		{"endpoint with a query", "[hub]\nendpoint = 'https://h/?x=1'", `2: hub.endpoint: "https://h/?x=1" is an address with ? or #`},
		{"endpoint with a secret", "[hub]\nendpoint = 'https://me:hf_secret@h'", `2: hub.endpoint: holds a name or a password`},
		{"endpoint a list", "[hub]\nendpoint = []", `2: hub.endpoint: found a list, expected a string`},
		{"token relative", "[hub]\ntoken_file = 'token'", `2: hub.token_file: "token" is relative`},
		{"token a credential", "[hub]\ntoken_file = '$CREDENTIALS_DIRECTORY/hf_token'", ""},
		{"token no credential", "[hub]\ntoken_file = '$CREDENTIALS_DIRECTORY/../x'", `2: hub.token_file: "$CREDENTIALS_DIRECTORY/../x" is no credential`},
		{"token of a variable", "[hub]\ntoken_file = '$HOME/x'", `2: hub.token_file: "$HOME/x" is relative`},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg, err := parse("config.toml", []byte(test.text), withHome.get)
			if test.want == "" {
				if err != nil {
					t.Fatalf("%v, want no error", err)
				}
				return
			}
			if err == nil {
				t.Fatalf("gives %+v, want an error", cfg)
			}
			if got := err.Error(); !strings.HasPrefix(got, "config.toml:"+test.want) || strings.Contains(got, "\n") {
				t.Errorf("got  %s\nwant config.toml:%s", got, test.want)
			}
		})
	}
}

func TestAllProblemsAreTold(t *testing.T) {
	_, err := parse("dir\n/c.toml", []byte("step = 1\n[log]\nstyle = 'x'\n[nolog]\na = 1\nb = 2\n[nolog.c]\nd = 1\n"), withHome.get)
	var first *Error
	if !errors.As(err, &first) || first.Key != "step" || first.Line != 1 || first.File != "dir\n/c.toml" {
		t.Errorf("first problem is %+v, want the one of step in line 1", first)
	}
	lines := strings.Split(err.Error(), "\n")
	want := []string{`"dir\n/c.toml":1: step: `, `"dir\n/c.toml":3: log.style: `, `"dir\n/c.toml":4: nolog: `}
	if len(lines) != len(want) {
		t.Fatalf("got %q, want %d lines", lines, len(want))
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("line %d is %s, want %s...", i, lines[i], want[i])
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	var text strings.Builder
	for i := range 100 {
		text.WriteString("k" + strings.Repeat("x", i) + " = 1\n")
	}
	_, err := parse("f", []byte(text.String()), withHome.get)
	if got := strings.Count(err.Error(), "\n") + 1; got != maxProblems {
		t.Errorf("%d problems are told, want %d", got, maxProblems)
	}
	_, err = parse("f", []byte("step = '"+strings.Repeat("x", 100_000)+"'"), withHome.get)
	if got := len(err.Error()); got > 1000 {
		t.Errorf("a long value gives an error of %d bytes", got)
	}
}

func TestHomeUnknownIsSaid(t *testing.T) {
	_, err := parse("f", []byte("roots = ['~/hub']"), environ{}.get)
	if err == nil || !strings.Contains(err.Error(), `f:1: roots: entry 1: "~/hub" is nowhere, since the home directory is unknown: set HOME`) {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("roots = ['/a', '~/b*']\npoll_interval = '5s'\nstep = 'auto'\n[log]\nstyle = 'plain'\n")
	f.Add("[hub]\nenabled = true\nendpoint = 'https://h'\ntoken_file = '$CREDENTIALS_DIRECTORY/t'\n[x.y]\n'\x1b' = {a = 1}\n[[log]]\n")
	f.Add("log.dir.x = 1\n[journal]\nenabled = 0x1\n")
	f.Fuzz(func(t *testing.T, text string) {
		// The library takes memory by the square of a dotted key's length.
		if len(text) > 4096 {
			t.Skip("too long")
		}
		cfg, err := parse("f", []byte(text), withHome.get)
		if err == nil {
			checkValid(t, cfg)
			return
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !strings.HasPrefix(line, "f:") || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("error %q is no line of printable ASCII that begins with the file", line)
			}
		}
	})
}

func checkValid(t *testing.T, cfg Config) {
	t.Helper()
	for _, d := range []Duration{cfg.PollInterval, cfg.KeepaliveInterval, cfg.Download.StallAfter, cfg.Download.InterruptAfter, cfg.Download.QuietAfter} {
		if d < Duration(shortest) || d > Duration(longest) {
			t.Errorf("interval %s is out of bounds", d)
		}
	}
	if cfg.Step < 0 {
		t.Errorf("step %d", cfg.Step)
	}
	for _, path := range append(cfg.Roots, cfg.Log.Dir, cfg.State.Dir) {
		if path != "" && path[0] != '/' {
			t.Errorf("path %q is relative", path)
		}
	}
}
