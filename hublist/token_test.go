package hublist

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestATokenIsOneWordThatIsNotOpenToEverybody(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		want       string // of the error
	}{
		{"as a tool writes it", secret + "\n", 0o600, ""},
		{"a credential", secret, 0o440, ""},
		{"open", secret, 0o604, "mode 0604 lets everybody use it"},
		{"empty", " \n", 0o600, "empty"},
		{"two words", secret + "\n" + secret, 0o600, "more than one word"},
		{"a control character", secret + "\r\nX: y", 0o600, "more than one word"},
		{"binary", secret + "\xff", 0o600, "not plain ASCII"},
		{"large", strings.Repeat(secret, 1000), 0o600, "larger than 4096 bytes"},
	} {
		path := filepath.Join(dir, "token")
		_ = os.Remove(path)
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		got, err := readToken(path, openToken)
		if c.want == "" {
			if err != nil || got != secret {
				t.Errorf("%s: %q, %v", c.name, got, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo: "not a regular file", dir: "not a regular file", filepath.Join(dir, "none"): "no such file",
	} {
		if _, err := readToken(path, openToken); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestWithoutItsTokenNothingIsAsked(t *testing.T) {
	s := serve(t, say(200, page("a")))
	c := clientOf(t, s.URL)
	c.token = func() (string, error) { return readToken("/nowhere/token", openToken) }
	if _, err := c.list(t.Context(), demoA); kind(err) != "trouble" || len(s.requests()) > 0 {
		t.Errorf("%v, asked %q", err, s.requests())
	}
}
