package recording

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// plain are the keys under which a text is one of ours: a kind, a phase, a source, a
// level. All other texts may tell of whom or of what a recording is.
var plain = []string{
	"version", "type", "phase", "TotalSource", "Proof", "Settled", "Level", "Cause", "cause", "unreadable", "signal", "Signal", "asked", "play", "Play",
}

// HashNames copies a file with a hash in place of every name in it: of caches,
// models, files, commits, users, processes, and of all that a downloader has printed.
// One name has the same hash everywhere in it, and another one in each copy. Paths
// keep their slashes. Numbers and times stay.
func HashNames(from io.Reader, to io.Writer) error {
	key := make([]byte, sha256.Size)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	out := bufio.NewWriter(to)
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, longest)
	for n := 1; lines.Scan(); n++ {
		var value any
		numbers := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		numbers.UseNumber()
		if err := numbers.Decode(&value); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		text, err := json.Marshal(hasher(key).value("", value))
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if _, err := out.Write(append(text, '\n')); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return out.Flush()
}

// A hasher is the key of one copy.
type hasher []byte

// value is a value of JSON that stands under a key.
func (h hasher) value(key string, value any) any {
	switch v := value.(type) {
	case string:
		if _, err := time.Parse(time.RFC3339Nano, v); err == nil || slices.Contains(plain, key) && isWord(strings.ReplaceAll(v, "/", " ")) {
			return v
		}
		return h.text(v)
	case []any:
		for i := range v {
			v[i] = h.value(key, v[i])
		}
	case map[string]any:
		copied := make(map[string]any, len(v))
		for k, inner := range v {
			inner = h.value(k, inner)
			if !isWord(k) || key == "copying" { // a map by etags
				k = h.text(k)
			}
			copied[k] = inner
		}
		return copied
	}
	return value
}

// isWord reports whether a text can be one of ours.
func isWord(text string) bool {
	const most = 40
	return len(text) <= most && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-. ()") == ""
}

// text hashes each element of a path by itself.
func (h hasher) text(text string) string {
	elements := strings.Split(text, "/")
	for i, element := range elements {
		if element == "" {
			continue
		}
		mac := hmac.New(sha256.New, h)
		mac.Write([]byte(element))
		const digits = 12
		elements[i] = hex.EncodeToString(mac.Sum(nil))[:digits]
	}
	return strings.Join(elements, "/")
}
