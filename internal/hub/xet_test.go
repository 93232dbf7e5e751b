package hub

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// rebuild does what a client does with a plan: it fetches every term and
// takes the chunks out of it.
func rebuild(t *testing.T, p xetPlan) []byte {
	t.Helper()
	var size int64
	for _, term := range p.Terms {
		size += term.Unpacked
	}
	all := make([]byte, 0, size)
	for _, term := range p.Terms {
		fetch := p.Fetch[term.Hash][0]
		if fetch.Range != term.Range {
			t.Fatalf("term %+v is fetched as %+v", term, fetch)
		}
		if v2 := p.Xorbs[term.Hash][0]; v2.URL != fetch.URL || v2.Ranges[0] != (xetRanges{fetch.Range, fetch.Bytes}) {
			t.Fatalf("v1 says %+v, v2 %+v", fetch, v2)
		}
		got := ask(t, http.MethodGet, fetch.URL, "Range", fmt.Sprintf("bytes=%d-%d", fetch.Bytes.Start, fetch.Bytes.End))
		if got.status != http.StatusPartialContent || int64(len(got.body)) != fetch.Bytes.End-fetch.Bytes.Start+1 {
			t.Fatalf("%s: %d, %d bytes", fetch.URL, got.status, len(got.body))
		}
		data := unpack(t, got.body, term.Range.End-term.Range.Start)
		if int64(len(data)) != term.Unpacked {
			t.Fatalf("term %+v has %d bytes", term, len(data))
		}
		all = append(all, data...)
	}
	return all[p.Offset:]
}

func unpack(t *testing.T, body []byte, chunks int64) []byte {
	t.Helper()
	data := make([]byte, 0, len(body))
	for ; len(body) > 0; chunks-- {
		packed := binary.LittleEndian.Uint32(body) >> 8
		unpacked := binary.LittleEndian.Uint32(body[4:]) >> 8
		if body[0] != 0 || body[4] != 0 || packed != unpacked {
			t.Fatalf("chunk with header % x", body[:8])
		}
		data = append(data, body[8:8+packed]...)
		body = body[8+packed:]
	}
	if chunks != 0 {
		t.Fatalf("%d chunks are missing", chunks)
	}
	return data
}

func plan(t *testing.T, h *Hub, e Entry, commit string, header ...string) (xetPlan, int) {
	t.Helper()
	head := ask(t, http.MethodHead, h.URL()+"/org/demo/resolve/main/"+e.Path)
	link := head.header.Get("Link")
	if head.header.Get("X-Xet-Hash") != e.XetHash || !strings.Contains(link, `/api/models/org/demo/xet-read-token/`+commit+`>; rel="xet-auth"`) {
		t.Fatalf("hash %q, link %q", head.header.Get("X-Xet-Hash"), link)
	}
	url, _, _ := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	token := ask(t, http.MethodGet, url)
	auth := "Bearer " + token.header.Get("X-Xet-Access-Token")
	where := token.header.Get("X-Xet-Cas-Url") + "/v1/reconstructions/" + e.XetHash
	got := ask(t, http.MethodGet, where, append(header, "Authorization", auth)...)
	var p xetPlan
	if err := json.Unmarshal(got.body, &p); got.status == http.StatusOK && err != nil {
		t.Fatal(err)
	}
	return p, got.status
}

func TestXetFileCanBeRebuiltFromItsParts(t *testing.T) {
	const xorbSize = xorbChunks * xetChunk
	for _, size := range []int64{1, xetChunk, xetChunk + 1, xorbSize, xorbSize + 5, 3*xorbSize - 70_000} {
		for _, part := range []struct {
			name     string
			from, to int64
		}{{"whole", 0, size}, {"from the middle", size / 2, size}, {"inside", size / 3, size/2 + 1}} {
			t.Run(fmt.Sprintf("%s of %d", part.name, size), func(t *testing.T) {
				h := started(t, Options{})
				commit, entries := publish(t, h, demo, File{Path: "sub/a b.bin", Size: size, Storage: Xet, Seed: 3})
				var header []string
				if part.name != "whole" {
					header = []string{"Range", fmt.Sprintf("bytes=%d-%d", part.from, part.to-1)}
				}
				p, status := plan(t, h, escaped(entries[0]), commit, header...)
				if status != http.StatusOK {
					t.Fatalf("the plan is refused: %d", status)
				}
				want := make([]byte, part.to-part.from)
				if _, err := io.ReadFull(entries[0].content().from(part.from), want); err != nil {
					t.Fatal(err)
				}
				// The last chunk comes whole.
				if got := rebuild(t, p); len(got) < len(want) || !bytes.Equal(got[:len(want)], want) {
					t.Errorf("%d bytes differ from the %d wanted", len(got), len(want))
				}
				if h.Served(entries[0].Etag) < part.to-part.from {
					t.Errorf("only %d bytes are counted", h.Served(entries[0].Etag))
				}
			})
		}
	}
}

// escaped is the entry with its path as it stands in a URL.
func escaped(e Entry) Entry {
	e.Path = strings.ReplaceAll(e.Path, " ", "%20")
	return e
}

func TestXetPlanBehindTheEndIsRefused(t *testing.T) {
	h := started(t, Options{})
	commit, entries := publish(t, h, demo, File{Path: "a", Size: 10, Storage: Xet})
	if _, status := plan(t, h, entries[0], commit, "Range", "bytes=10-20"); status != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("status %d", status)
	}
}

func TestOnlyXetFilesAreAnnouncedAsSuch(t *testing.T) {
	h := started(t, Options{})
	publish(t, h, demo, File{Path: "a", Size: 10, Storage: LFS})
	if got := ask(t, http.MethodHead, h.URL()+"/org/demo/resolve/main/a"); got.header.Get("X-Xet-Hash") != "" {
		t.Errorf("hash %q", got.header.Get("X-Xet-Hash"))
	}
}

func TestXetInfoComesInPlaceOfTheBytesWhereItIsAccepted(t *testing.T) {
	h := started(t, Options{})
	_, entries := publish(t, h, demo, File{Path: "a", Size: 10, Storage: Xet})
	for accept, want := range map[string]string{xetInfo + ", */*": "", "*/*": "0123456789"} {
		got := ask(t, http.MethodGet, h.URL()+"/org/demo/resolve/main/a", "Accept", accept)
		if len(got.body) != len(want) || (got.header.Get("Content-Type") == xetInfo) != (want == "") {
			t.Errorf("Accept %q: %q, %d bytes", accept, got.header.Get("Content-Type"), len(got.body))
		}
		if got.header.Get("X-Linked-Size") != "10" || got.header.Get("X-Linked-Etag") != `"`+entries[0].Etag+`"` {
			t.Errorf("headers %v", got.header)
		}
	}
}

func TestFaultOfAXetFileIsUsedUpByThePartItIsIn(t *testing.T) {
	h := started(t, Options{})
	commit, entries := publish(t, h, demo, File{Path: "a", Size: 2*xorbChunks*xetChunk + 9, Storage: Xet})
	gate := NewGate()
	gate.Open()
	h.Break(demo, "a", Fault{Gate: gate, GateAt: xorbChunks*xetChunk + 100, Times: 1})
	p, _ := plan(t, h, entries[0], commit)
	p.Terms = p.Terms[:1]
	rebuild(t, p)
	select {
	case <-gate.Reached():
		t.Fatal("the first part came to a gate in the second")
	default:
	}
	p, _ = plan(t, h, entries[0], commit)
	rebuild(t, p)
	select {
	case <-gate.Reached():
	default:
		t.Error("nobody came to the gate")
	}
}

func TestPathsAreTold(t *testing.T) {
	h := started(t, Options{})
	commit, entries := publish(t, h, demo, File{Path: "a", Size: 10, Storage: LFS}, File{Path: "b", Size: 5})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL()+"/api/models/org/demo/paths-info/main",
		strings.NewReader(`{"paths":["a","c"],"expand":true}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	var infos []pathInfo
	if err := json.NewDecoder(got.Body).Decode(&infos); err != nil {
		t.Fatal(err)
	}
	if len(infos) != 1 || infos[0].Path != "a" || infos[0].LFS.OID != entries[0].Etag || infos[0].LastCommit.ID != commit {
		t.Errorf("%+v", infos)
	}
}
