package hfcache

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ListedFile is one file of a revision as the hub lists it.
type ListedFile struct {
	// Path is relative to the snapshot, slash-separated, validated: no
	// empty, "." or ".." element, no leading slash, no control character,
	// no backslash.
	Path string
	// Etag is the name of its blob.
	Etag string
	// Size is in bytes, never negative.
	Size int64
}

// Listing is all files of one revision, sorted by path.
type Listing struct {
	Files []ListedFile
}

// Limits bound what a listing may hold.
type Limits struct {
	// Bytes of the whole file.
	Bytes int64
	// Entries is how many files may be listed.
	Entries int
	// Path is the longest path, in bytes.
	Path int
}

// DefaultLimits are far above the largest repositories there are, and keep
// the memory for one listing below some 50 MB.
func DefaultLimits() Limits {
	return Limits{Bytes: 64 << 20, Entries: 200_000, Path: 4096}
}

// LargeLimits are for EachListed, which keeps nothing.
func LargeLimits() Limits {
	return Limits{Bytes: 512 << 20, Entries: 1 << 20, Path: 4096}
}

var (
	// ErrListingVersion is returned for a format_version that is not 1: a
	// newer client wrote it, and clients ignore it, too.
	ErrListingVersion = errors.New("unknown format version")
	// ErrListingTooBig is returned when a limit was passed.
	ErrListingTooBig = errors.New("too big")
)

// listingVersion is the only format_version known.
const listingVersion = "1"

// ParseListing reads a tree listing (trees/<commit>.json), as written by
// huggingface_hub >= 1.22 and read by its _tree_cache.py. It is streamed: the
// memory it takes follows the entries, within limits. A listing with anything
// wrong in it is an error as a whole, since a total of the rest would be a
// wrong total.
func ParseListing(r io.Reader, limits Limits) (Listing, error) {
	var files []ListedFile
	err := eachListed(r, limits, func(f ListedFile) error {
		files = append(files, f)
		return nil
	})
	if err != nil {
		return Listing{}, err
	}
	return NewListing(files)
}

// EachListed is ParseListing for as many files as there may be: it calls use for
// each, in the order of the text. That no path comes twice is for the caller to
// see.
func EachListed(r io.Reader, limits Limits, use func(ListedFile) error) error {
	return eachListed(r, limits, func(f ListedFile) error {
		if err := f.check(); err != nil {
			return fmt.Errorf("cannot use listing: %w", err)
		}
		return use(f)
	})
}

func eachListed(r io.Reader, limits Limits, use func(ListedFile) error) error {
	p := listingParser{max: limits, use: use}
	p.dec = json.NewDecoder(&guard{r: r, left: limits.Bytes, outer: entryDepth})
	if err := p.top(); err != nil {
		return fmt.Errorf("cannot parse listing: %w", err)
	}
	return nil
}

// NewListing sorts files and checks that each path and etag is what
// ListedFile promises and that no path comes twice. It takes the slice over.
func NewListing(files []ListedFile) (Listing, error) {
	slices.SortFunc(files, func(a, b ListedFile) int { return cmp.Compare(a.Path, b.Path) })
	for i, f := range files {
		if err := f.check(); err != nil {
			return Listing{}, fmt.Errorf("cannot use listing: %w", err)
		}
		if i > 0 && files[i-1].Path == f.Path {
			return Listing{}, fmt.Errorf("cannot use listing: path %+q is listed twice", f.Path)
		}
	}
	return Listing{Files: files}, nil
}

func (f ListedFile) check() error {
	switch {
	case !validPath(f.Path):
		return fmt.Errorf("path %+q is not allowed", clip(f.Path))
	case !validEtag(f.Etag):
		return fmt.Errorf("path %+q: blob name %+q is not allowed", f.Path, clip(f.Etag))
	case f.Size < 0:
		return fmt.Errorf("path %+q: size %d is negative", f.Path, f.Size)
	}
	return nil
}

func validPath(path string) bool {
	if !utf8.ValidString(path) || strings.Contains(path, `\`) || strings.ContainsFunc(path, unicode.IsControl) {
		return false
	}
	for element := range strings.SplitSeq(path, "/") {
		if element == "" || element == "." || element == ".." {
			return false
		}
	}
	return true
}

// clip keeps an untrusted text in an error short.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// listingParser holds what one ParseListing has read so far.
type listingParser struct {
	dec     *json.Decoder
	max     Limits
	use     func(ListedFile) error
	count   int
	version bool
	listed  bool
}

// top reads the whole document.
func (p *listingParser) top() error {
	err := p.object(func(key string) error {
		switch key {
		case "format_version":
			return p.readVersion()
		case "files":
			return p.readFiles()
		default:
			return p.skip()
		}
	})
	if err != nil {
		return err
	}
	if !p.version {
		return ErrListingVersion
	}
	if !p.listed {
		return errors.New(`"files" is missing`)
	}
	return p.end()
}

// end makes sure that nothing follows.
func (p *listingParser) end() error {
	switch _, err := p.dec.Token(); {
	case err == nil:
		return errors.New("data after the end")
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("after the end: %w", err)
	}
	return nil
}

func (p *listingParser) readVersion() error {
	var version json.RawMessage
	if err := p.dec.Decode(&version); err != nil {
		return err
	}
	if string(version) != listingVersion {
		return fmt.Errorf("%w %+q", ErrListingVersion, clip(string(version)))
	}
	p.version = true
	return nil
}

func (p *listingParser) readFiles() error {
	if p.listed {
		return errors.New(`"files" comes twice`)
	}
	p.listed = true
	return p.object(func(path string) error {
		if p.count++; p.count > p.max.Entries {
			return fmt.Errorf("%w: more than %d files", ErrListingTooBig, p.max.Entries)
		}
		if len(path) > p.max.Path {
			return fmt.Errorf("%w: a path is longer than %d bytes", ErrListingTooBig, p.max.Path)
		}
		var e listingEntry
		if err := p.dec.Decode(&e); err != nil {
			return fmt.Errorf("path %+q: %w", clip(path), err)
		}
		f, err := e.file(path)
		if err != nil {
			return fmt.Errorf("path %+q: %w", clip(path), err)
		}
		return p.use(f)
	})
}

// listingEntry is one entry as it is written.
type listingEntry struct {
	Size      *int64  `json:"size"`
	BlobID    *string `json:"blob_id"`
	LFSSHA256 *string `json:"lfs_sha256"`
	LFSSize   *int64  `json:"lfs_size"`
}

// file chooses as the client does for its HEAD request: for a file in LFS its
// sha256 and lfs_size, for any other the git blob and size.
func (e listingEntry) file(path string) (ListedFile, error) {
	if e.Size == nil || e.BlobID == nil {
		return ListedFile{}, errors.New("size or blob_id is missing")
	}
	f := ListedFile{Path: path, Etag: *e.BlobID, Size: *e.Size}
	if e.LFSSHA256 != nil {
		f.Etag = *e.LFSSHA256
		if e.LFSSize != nil {
			f.Size = *e.LFSSize
		}
	}
	return f, nil
}

// object reads an object and calls value for each key: it has to consume the
// value.
func (p *listingParser) object(value func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	for p.dec.More() {
		tok, err := p.dec.Token()
		if err != nil {
			return err
		}
		key, _ := tok.(string)
		if err := value(key); err != nil {
			return err
		}
	}
	return p.delim('}')
}

func (p *listingParser) delim(want json.Delim) error {
	tok, err := p.dec.Token()
	if err != nil {
		return err
	}
	if tok != want {
		return fmt.Errorf("%q expected", want)
	}
	return nil
}

// skip passes over one value of a key that a later client added, token by
// token, so that it costs no memory.
func (p *listingParser) skip() error {
	for depth := 0; ; {
		tok, err := p.dec.Token()
		if err != nil {
			return err
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
