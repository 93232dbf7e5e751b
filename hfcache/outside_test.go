package hfcache

import (
	"strings"
	"testing"
)

func TestIsRustTemp(t *testing.T) {
	for _, name := range []string{"aB3dE5g", "0000000", "ZZZZZZZ"} {
		if !IsRustTemp(name) {
			t.Errorf("%q refused", name)
		}
	}
	for _, name := range []string{"", "aB3dE5", "aB3dE5gh", "aB3dE5_", "aB3/E5g", "../../x", "aB3dE5\x00", "caf\u00e9aa"} {
		if IsRustTemp(name) {
			t.Errorf("%q accepted", name)
		}
	}
}

func TestSwiftsLocksMirrorTheBlobs(t *testing.T) {
	if got := OutsideLockDir("models--a--b"); got != ".locks/models--a--b/blobs" {
		t.Errorf("got %q", got)
	}
}

func FuzzIsRustTemp(f *testing.F) {
	f.Add("aB3dE5g")
	f.Add("../../x")
	f.Fuzz(func(t *testing.T, name string) {
		if IsRustTemp(name) && (len(name) != 7 || strings.ContainsAny(name, "/.\x00\n\x1b")) {
			t.Errorf("%q accepted", name)
		}
	})
}
