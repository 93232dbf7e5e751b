package sizer

import (
	"slices"
	"testing"
)

func TestTheLargestOfTheFilesThatAreNotThereAreNamed(t *testing.T) {
	c := newCache(t)
	c.partial("w", ".01234567.incomplete", kib)
	c.list(commitA, map[string]listedFile{
		"weights.safetensors": {"w", 4 * kib}, "b.txt": {"b", 2 * kib}, "a.txt": {"a", 2 * kib},
		"README.md": {"r", 5}, "large.bin": {"l", 3 * kib},
	})
	want := []Absent{{"weights.safetensors", 4 * kib}, {"large.bin", 3 * kib}, {"a.txt", 2 * kib}}
	if l := c.look(); !slices.Equal(l.Absent, want) || l.Missing != 5 {
		t.Errorf("%d are missing: %+v", l.Missing, l.Absent)
	}
	c.partial("w", ".01234567.incomplete", 4*kib)
	c.finish("w", ".01234567.incomplete", commitA, "weights.safetensors")
	c.whole("l", 3*kib, commitA, "large.bin")
	c.whole("a", 2*kib, commitA, "a.txt")
	c.whole("b", 2*kib, commitA, "b.txt")
	if l := c.look(); !slices.Equal(l.Absent, []Absent{{"README.md", 5}}) || l.Files-l.FilesDone != 1 {
		t.Errorf("%d of %d are there, missing: %+v", l.FilesDone, l.Files, l.Absent)
	}
}
