// Image makes a container image of progressd without a container engine: an OCI
// layout in one file, from nothing but the binaries. The same binaries, version and
// time make the same bytes.
//
//	image --out FILE --version V --created SECONDS ARCH=DIR...
//
// DIR holds progressd and progressctl for the processor ARCH (Go's name of it), and
// third-party-licenses, the texts that their libraries ask to be passed on.
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// release is what all processors have in common.
type release struct {
	version string
	created time.Time
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	out := flags.String("out", "", "the `FILE` to write")
	version := flags.String("version", "", "the version, which is also the tag")
	created := flags.String("created", "", "when, in `SECONDS` since 1970 (SOURCE_DATE_EPOCH)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(*created, 10, 64)
	if err != nil {
		return fmt.Errorf("cannot read --created: %w", err)
	}
	if *out == "" || *version == "" || flags.NArg() == 0 {
		return errors.New("usage: image --out FILE --version V --created SECONDS ARCH=DIR...")
	}
	rel := release{version: *version, created: time.Unix(seconds, 0).UTC()}
	index, err := rel.index(flags.Args())
	if err != nil {
		return err
	}
	return rel.write(index, *out)
}

// index is the image for all processors.
func (r release) index(binaries []string) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arg := range binaries {
		arch, dir, found := strings.Cut(arg, "=")
		if !found {
			return nil, fmt.Errorf("%q isn't ARCH=DIR", arg)
		}
		image, err := r.image(arch, dir)
		if err != nil {
			return nil, fmt.Errorf("cannot make the image for %s: %w", arch, err)
		}
		platform := &v1.Platform{OS: "linux", Architecture: arch}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	return index, nil
}

// image is that of one processor: a single layer.
func (r release) image(arch, dir string) (v1.Image, error) {
	content, err := r.layer(dir)
	if err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	layer, err := tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(base, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: r.created}, CreatedBy: "make release"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(image, r.config(arch, image))
}

func (r release) config(arch string, image v1.Image) *v1.ConfigFile {
	config, err := image.ConfigFile()
	if err != nil { // it was made a moment ago, in memory
		panic(err)
	}
	config = config.DeepCopy()
	config.Architecture, config.OS, config.Created = arch, "linux", v1.Time{Time: r.created}
	config.Config = v1.Config{
		Entrypoint: []string{"/usr/bin/progressd"},
		Env:        []string{"PATH=/usr/bin"},
		Labels: map[string]string{
			"org.opencontainers.image.title":       "progressd",
			"org.opencontainers.image.description": "Progress of Hugging Face downloads",
			"org.opencontainers.image.licenses":    "Apache-2.0",
			"org.opencontainers.image.version":     r.version,
		},
	}
	return config
}

// files are what the image holds, each in its directory, after all directories.
var files = []struct {
	dir, name string
	mode      int64
}{
	{dir: "usr/bin/", name: "progressctl", mode: 0o755},
	{dir: "usr/bin/", name: "progressd", mode: 0o755},
	{dir: "usr/share/doc/progressd/", name: "third-party-licenses", mode: 0o644},
}

// layer is the whole file system, as a tar.
func (r release) layer(dir string) ([]byte, error) {
	var content bytes.Buffer
	archive := tar.NewWriter(&content)
	for _, name := range []string{"etc/", "etc/progressd/", "usr/", "usr/bin/", "usr/share/", "usr/share/doc/", "usr/share/doc/progressd/"} {
		if err := archive.WriteHeader(r.header(name, tar.TypeDir, 0)); err != nil {
			return nil, err
		}
	}
	for _, file := range files {
		if err := r.add(archive, filepath.Join(dir, file.name), file.dir+file.name, file.mode); err != nil {
			return nil, err
		}
	}
	err := archive.Close() // writes the end
	return content.Bytes(), err
}

func (r release) header(name string, kind byte, size int64) *tar.Header {
	return &tar.Header{Name: name, Typeflag: kind, Size: size, Mode: 0o755, ModTime: r.created, Format: tar.FormatPAX}
}

// write makes the layout, with the version for a tag, and puts it into one file.
func (r release) write(index v1.ImageIndex, out string) error {
	dir, err := os.MkdirTemp(filepath.Dir(out), ".image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a directory that is left costs nothing but room
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	tag := map[string]string{
		"org.opencontainers.image.ref.name": r.version,
		// containerd and docker name the image by this one.
		"io.containerd.image.name": "localhost/progressd:" + r.version,
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(tag)); err != nil {
		return err
	}
	return r.archive(dir, out)
}

// archive packs the layout, in the order of names.
func (r release) archive(dir, out string) (err error) {
	file, err := os.Create(out) //nolint:gosec // named by who calls
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	archive := tar.NewWriter(file)
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return archive.WriteHeader(r.header(name+"/", tar.TypeDir, 0))
		}
		return r.add(archive, path, name, 0o644)
	})
	return errors.Join(err, archive.Close())
}

// add appends the file at path under a name.
func (r release) add(archive *tar.Writer, path, name string, mode int64) error {
	content, err := os.ReadFile(path) //nolint:gosec // what the build has made
	if err != nil {
		return err
	}
	header := r.header(name, tar.TypeReg, int64(len(content)))
	header.Mode = mode
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = archive.Write(content)
	return err
}
