package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// made makes an image of made-up binaries and returns the file.
func made(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"progressd", "progressctl", "third-party-licenses"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("program "+name), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "image.tar")
	if err := run([]string{"--out", out, "--version", "1.2.3", "--created", "1796040843", "amd64=" + dir, "arm64=" + dir}); err != nil {
		t.Fatal(err)
	}
	return out
}

// unpacked is the layout that the file holds.
func unpacked(t *testing.T, file string) layout.Path {
	t.Helper()
	content, err := os.ReadFile(file) //nolint:gosec // of this test
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	archive := tar.NewReader(bytes.NewReader(content))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return layout.Path(dir)
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			path := filepath.Join(dir, header.Name) //nolint:gosec // of this test
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(archive)
			if err = errors.Join(err, os.WriteFile(path, text, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestTwoImagesAreTheSameToTheByte(t *testing.T) {
	var sums [2][sha256.Size]byte
	for i := range sums {
		content, err := os.ReadFile(made(t))
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = sha256.Sum256(content)
	}
	if sums[0] != sums[1] {
		t.Error("they differ")
	}
}

func TestTheImageIsWholeAndForEveryProcessor(t *testing.T) {
	top, err := unpacked(t, made(t)).ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(top); err != nil {
		t.Fatal(err)
	}
	manifest, err := top.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("%d images, %v", len(manifest.Manifests), err)
	}
	if tag := manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"]; tag != "1.2.3" {
		t.Errorf("the tag is %q", tag)
	}
	index, err := top.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err = index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var processors []string
	for _, descriptor := range manifest.Manifests {
		processors = append(processors, descriptor.Platform.Architecture)
		image, err := index.Image(descriptor.Digest)
		if err != nil {
			t.Fatal(err)
		}
		wantRuns(t, image)
	}
	if !slices.Equal(processors, []string{"amd64", "arm64"}) {
		t.Errorf("for %q", processors)
	}
}

// wantRuns has the image start the daemon, as a file that is there.
func wantRuns(t *testing.T, image v1.Image) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil || !slices.Equal(config.Config.Entrypoint, []string{"/usr/bin/progressd"}) {
		t.Fatalf("it starts %q, %v", config.Config.Entrypoint, err)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	// A tar ends with two blocks of zeros; without them it is cut off, also for those that read it all.
	if !bytes.HasSuffix(whole, make([]byte, 1024)) || len(whole)%512 != 0 {
		t.Errorf("the layer has %d bytes, and no end", len(whole))
	}
	archive := tar.NewReader(bytes.NewReader(whole))
	modes := map[string]int64{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		modes[header.Name] = header.Mode
	}
	if modes["usr/bin/progressd"] != 0o755 || modes["usr/share/doc/progressd/third-party-licenses"] != 0o644 {
		t.Errorf("in it: %v", modes)
	}
}
