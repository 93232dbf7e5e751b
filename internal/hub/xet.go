package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"progressd/hfcache"
)

// The hub is also the content-addressed store behind Xet files, as far as a
// download by hf_xet needs one (Xet protocol specification, "CAS API" and
// "Xorb formation & serialization"): a token, the plan of a file, and the
// parts that the plan names. Hashes are made up, since hf_xet 1.1 to 1.8 check
// none of them while they download.
const (
	// xetChunk is the piece that has a header of its own, in bytes of the
	// file; the last one of a file may be shorter.
	xetChunk = 64 << 10
	// xorbChunks is how many of them one xorb holds. Real ones hold up to
	// 64 MiB; here a file of some MB has several, which come in parallel.
	xorbChunks = 128
	xetHeader  = 8
)

// xorb is a part of a file as the store keeps it.
type xorb struct {
	Entry
	index int64
}

// span is the part of the file that the xorb's chunks from (included) to to
// (not included) hold.
func (x xorb) span(from, to int64) span {
	first := x.index * xorbChunks
	return span{min(x.Size, (first+from)*xetChunk), min(x.Size, (first+to)*xetChunk)}
}

// hash makes up a name of the right form.
func (x xorb) hash() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", x.Etag, x.index))
	return hex.EncodeToString(sum[:])
}

// offset is where chunk n begins in the xorb, at most its end.
func (x xorb) offset(n int64) int64 {
	part := x.span(0, n)
	length := part.to - part.from
	return length + (length+xetChunk-1)/xetChunk*xetHeader
}

// announceXet adds to an answer about a file what makes clients with hf_xet
// turn to the store.
func (h *Hub) announceXet(header http.Header, repo hfcache.Repo, commit string, e Entry) {
	if e.XetHash == "" {
		return
	}
	header.Set("X-Xet-Hash", e.XetHash)
	header.Set("X-Linked-Size", strconv.FormatInt(e.Size, 10))
	header.Set("X-Linked-Etag", strconv.Quote(e.Etag))
	token := fmt.Sprintf("%s/api/%ss/%s/xet-read-token/%s", h.url, repo.Type, repo.ID, commit)
	header.Set("Link", fmt.Sprintf("<%s>; rel=\"xet-auth\", <%s/v2/reconstructions/%s>; rel=\"xet-reconstruction-info\"", token, h.cas(), e.XetHash))
}

// cas is the address of the store.
func (h *Hub) cas() string { return h.cdn + "/cas" }

// xetInfo is the type of an answer whose headers say where the file is.
// @huggingface/hub takes it in place of the bytes.
const xetInfo = "application/vnd.xet-fileinfo+json"

// wantsXetInfo reports whether a request takes that answer for a file.
func wantsXetInfo(r *http.Request, e Entry) bool {
	return e.XetHash != "" && r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), xetInfo)
}

// tokenJSON answers {type}/{id}/xet-read-token/{rev}. The token names the
// revision: requests to the store name only hashes.
func (h *Hub) tokenJSON(header http.Header, _ *url.URL, repo hfcache.Repo, rev revision) any {
	token := struct {
		AccessToken string `json:"accessToken"`
		Exp         int64  `json:"exp"`
		CASURL      string `json:"casUrl"`
	}{fmt.Sprintf("%ss/%s/resolve/%s", repo.Type, repo.ID, rev.commit), time.Now().Add(time.Hour).Unix(), h.cas()}
	header.Set("X-Xet-Access-Token", token.AccessToken)
	header.Set("X-Xet-Token-Expiration", strconv.FormatInt(token.Exp, 10))
	header.Set("X-Xet-Cas-Url", token.CASURL)
	return token
}

// serveCAS answers v1/ and v2/reconstructions/{file hash}, and xorb/... of its
// own plans. hf_xet before 1.3 names no version.
func (h *Hub) serveCAS(w http.ResponseWriter, r *http.Request, rest string) {
	if rest, ok := strings.CutPrefix(rest, "xorb/"); ok {
		h.serveXorb(w, r, rest)
		return
	}
	for _, version := range []string{"", "v1/", "v2/"} {
		if hash, ok := strings.CutPrefix(rest, version+"reconstructions/"); ok {
			h.servePlan(w, r, hash)
			return
		}
	}
	refuse(w, Fault{Status: http.StatusNotFound})
}

type xetRange struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"`
}

type xetTerm struct {
	Hash     string   `json:"hash"`
	Unpacked int64    `json:"unpacked_length"`
	Range    xetRange `json:"range"`
}

type xetFetch struct {
	Range xetRange `json:"range"`
	URL   string   `json:"url"`
	// Bytes has its last byte included, the others don't.
	Bytes xetRange `json:"url_range"`
}

type xetRanges struct {
	Chunks xetRange `json:"chunks"`
	Bytes  xetRange `json:"bytes"`
}

type xetEntry struct {
	URL    string      `json:"url"`
	Ranges []xetRanges `json:"ranges"`
}

// xetPlan is the answer to both versions of the question: they differ in how
// they say where the parts are.
type xetPlan struct {
	Offset int64                 `json:"offset_into_first_range"`
	Terms  []xetTerm             `json:"terms"`
	Fetch  map[string][]xetFetch `json:"fetch_info"` // v1
	Xorbs  map[string][]xetEntry `json:"xorbs"`      // v2
}

// servePlan tells of which parts a file, or a range of it, is made.
func (h *Hub) servePlan(w http.ResponseWriter, r *http.Request, hash string) {
	types, rest, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "/")
	id, commit, _ := strings.Cut(rest, "/resolve/")
	repo := hfcache.Repo{Type: plural[types], ID: id}
	rev, missing := h.lookup(repo, commit)
	if missing.Status != 0 {
		refuse(w, missing)
		return
	}
	for _, e := range rev.files {
		if e.XetHash == hash {
			h.writePlan(w, r, repo, e)
			return
		}
	}
	refuse(w, Fault{Status: http.StatusNotFound})
}

func (h *Hub) writePlan(w http.ResponseWriter, r *http.Request, repo hfcache.Repo, e Entry) {
	part, ok := parseRange(r.Header.Get("Range"), e.Size)
	if !ok {
		part = span{0, e.Size}
	}
	if ok && part.from >= e.Size {
		refuse(w, Fault{Status: http.StatusRequestedRangeNotSatisfiable})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// If the client has gone, there is nobody to tell.
	_ = json.NewEncoder(w).Encode(h.plan(repo, e, part))
}

func (h *Hub) plan(repo hfcache.Repo, e Entry, part span) xetPlan {
	p := xetPlan{Offset: part.from % xetChunk, Terms: []xetTerm{}, Fetch: map[string][]xetFetch{}, Xorbs: map[string][]xetEntry{}}
	const xorbSize = xorbChunks * xetChunk
	for at := part.from; at < part.to; at = at/xorbSize*xorbSize + xorbSize {
		x := xorb{e, at / xorbSize}
		inside := min(part.to-x.index*xorbSize, xorbSize)
		chunks := xetRange{at % xorbSize / xetChunk, (inside + xetChunk - 1) / xetChunk}
		unpacked := x.span(chunks.Start, chunks.End)
		p.Terms = append(p.Terms, xetTerm{x.hash(), unpacked.to - unpacked.from, chunks})
		// The path behind the etag is for the faults, which go by name.
		where := fmt.Sprintf("%s/xorb/%d/%s/%ss/%s/resolve/%s", h.cas(), x.index, e.Etag, repo.Type, repo.ID, (&url.URL{Path: e.Path}).EscapedPath())
		bytes := xetRange{x.offset(chunks.Start), x.offset(chunks.End) - 1}
		p.Fetch[x.hash()] = []xetFetch{{chunks, where, bytes}}
		p.Xorbs[x.hash()] = []xetEntry{{where, []xetRanges{{chunks, bytes}}}}
	}
	return p
}

// serveXorb answers {index}/{etag}/{types}/{id}/resolve/{path} with the whole
// chunks that the range asks for.
func (h *Hub) serveXorb(w http.ResponseWriter, r *http.Request, rest string) {
	number, rest, _ := strings.Cut(rest, "/")
	etag, rest, _ := strings.Cut(rest, "/")
	types, rest, _ := strings.Cut(rest, "/")
	id, path, _ := strings.Cut(rest, "/resolve/")
	repo, path := hfcache.Repo{Type: plural[types], ID: id}, unescape(path)
	index, err := strconv.ParseInt(number, 10, 32)
	h.mu.Lock()
	e, ok := h.blobs[etag]
	h.mu.Unlock()
	if err != nil || !ok {
		refuse(w, Fault{Status: http.StatusNotFound})
		return
	}
	x := xorb{e, index}
	size := x.offset(xorbChunks)
	asked, ok := parseRange(r.Header.Get("Range"), size)
	if !ok {
		asked = span{0, size}
	}
	const stride = xetHeader + xetChunk
	first, last := asked.from/stride, (asked.to+stride-1)/stride
	wrong := h.faultWithin(repo, path, x.span(first, last))
	if wrong.Status != 0 {
		refuse(w, wrong)
		return
	}
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", x.offset(first), x.offset(last)-1, size))
	w.Header().Set("Content-Length", strconv.FormatInt(x.offset(last)-x.offset(first), 10))
	w.WriteHeader(http.StatusPartialContent)
	h.mu.Lock()
	h.asked[e.Etag]++
	h.mu.Unlock()
	for n := first; n < last && r.Context().Err() == nil; n++ {
		h.sendChunk(w, r, e, x.span(n, n+1), wrong)
	}
}

// sendChunk sends a part of a file as one chunk: version, length as it is
// sent, scheme 0 (as it is), length unpacked.
func (h *Hub) sendChunk(w http.ResponseWriter, r *http.Request, e Entry, part span, wrong Fault) {
	n := part.to - part.from
	if n == 0 {
		return
	}
	length := [3]byte{byte(n), byte(n >> 8), byte(n >> 16)}
	if _, err := w.Write([]byte{0, length[0], length[1], length[2], 0, length[0], length[1], length[2]}); err != nil {
		return
	}
	h.send(r.Context(), w, e, part, wrong)
}

// faultWithin is what is wrong with a part of a file. A file comes in many
// responses: a fault at an offset is used up only by the one that comes there.
func (h *Hub) faultWithin(repo hfcache.Repo, path string, part span) Fault {
	wrong := h.fault(repo, path)
	at := max(wrong.GateAt, wrong.CutAt)
	if wrong.Status == 0 && (at < part.from || at >= part.to) {
		return Fault{}
	}
	return h.spend(repo, path)
}
