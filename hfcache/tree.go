package hfcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Tree collects the pages in which a hub answers for the files of a commit:
// GET /api/models/{id}/tree/{commit}?recursive=true, as huggingface_hub 0.14
// to 2.4 asks. Its limits are for all pages together. Once a page was an
// error, what is collected is of no use.
type Tree struct {
	left  Limits
	files []ListedFile
}

// NewTree returns a Tree without files.
func NewTree(limits Limits) *Tree { return &Tree{left: limits} }

// AddPage reads one page. It is streamed: the memory it takes follows the
// entries, within the limits. Anything wrong in it is an error, since a total
// of the rest would be a wrong total.
func (t *Tree) AddPage(r io.Reader) error {
	g := &guard{r: r, left: t.left.Bytes, outer: pageDepth}
	p := listingParser{dec: json.NewDecoder(g)}
	err := t.entries(&p)
	t.left.Bytes = g.left
	if err != nil {
		return fmt.Errorf("cannot parse listing: %w", err)
	}
	return nil
}

// Listing is what the pages held, checked as a whole.
func (t *Tree) Listing() (Listing, error) { return NewListing(t.files) }

func (t *Tree) entries(p *listingParser) error {
	if err := p.delim('['); err != nil {
		return err
	}
	for p.dec.More() {
		if t.left.Entries--; t.left.Entries < 0 {
			return fmt.Errorf("%w: more files than allowed", ErrListingTooBig)
		}
		var n treeNode
		if err := p.dec.Decode(&n); err != nil {
			return err
		}
		if n.Type != nil && *n.Type != "file" {
			continue // a directory: its files are entries of their own
		}
		f, err := n.file(t.left.Path)
		if err != nil {
			return err
		}
		t.files = append(t.files, f)
	}
	if err := p.delim(']'); err != nil {
		return err
	}
	return p.end()
}

// treeNode is one entry as the hub writes it.
type treeNode struct {
	Type *string `json:"type"`
	Path *string `json:"path"`
	Size *int64  `json:"size"`
	OID  *string `json:"oid"`
	LFS  *struct {
		OID  *string `json:"oid"`
		Size *int64  `json:"size"`
	} `json:"lfs"`
}

// file chooses as clients name their blobs: a file in LFS, or Xet, by its
// sha256, any other by the git blob.
func (n treeNode) file(longest int) (ListedFile, error) {
	if n.Type == nil || n.Path == nil || n.Size == nil || n.OID == nil {
		return ListedFile{}, errors.New("type, path, size or oid is missing")
	}
	if len(*n.Path) > longest {
		return ListedFile{}, fmt.Errorf("%w: a path is longer than %d bytes", ErrListingTooBig, longest)
	}
	f := ListedFile{Path: *n.Path, Etag: *n.OID, Size: *n.Size}
	if n.LFS != nil {
		if n.LFS.OID == nil || n.LFS.Size == nil {
			return ListedFile{}, fmt.Errorf("path %+q: oid or size of lfs is missing", clip(f.Path))
		}
		f.Etag, f.Size = *n.LFS.OID, *n.LFS.Size
	}
	return f, f.check()
}
