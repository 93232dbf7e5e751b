package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"progressd/hfcache"
)

// serveResolve answers {rev}/{path} of a repository.
func (h *Hub) serveResolve(w http.ResponseWriter, r *http.Request, repo hfcache.Repo, rest string) {
	rev, path, _ := strings.Cut(rest, "/")
	rev, path = unescape(rev), unescape(path)
	found, missing := h.lookup(repo, rev)
	e, ok := found.find(path)
	redirected := h.opts.CDN && e.Storage != Git
	wrong, info := h.fault(repo, path), wantsXetInfo(r, e)
	if r.Method == http.MethodGet && !redirected && !info {
		wrong = h.spend(repo, path)
	}
	if wrong.Status == 0 {
		wrong.Status, wrong.ErrorCode = missing.Status, missing.ErrorCode
	}
	if wrong.Status != 0 {
		refuse(w, wrong)
		return
	}
	w.Header().Set("X-Repo-Commit", found.commit)
	if !ok {
		refuse(w, Fault{Status: http.StatusNotFound, ErrorCode: "EntryNotFound"})
		return
	}
	h.announceXet(w.Header(), repo, found.commit, e)
	if info {
		w.Header().Set("Content-Type", xetInfo)
		return
	}
	if !redirected {
		h.serveContent(w, r, e, wrong)
		return
	}
	w.Header().Set("X-Linked-Size", strconv.FormatInt(e.Size, 10))
	w.Header().Set("X-Linked-Etag", strconv.Quote(e.Etag))
	// The path behind the etag is for the faults, which go by name.
	w.Header().Set("Location", fmt.Sprintf("%s/cdn/%s/%ss/%s/resolve/%s", h.cdn, e.Etag, repo.Type, repo.ID, (&url.URL{Path: path}).EscapedPath()))
	w.WriteHeader(http.StatusFound)
}

// serveCDN answers {etag}/{types}/{id}/resolve/{path}.
func (h *Hub) serveCDN(w http.ResponseWriter, r *http.Request, rest string) {
	etag, rest, _ := strings.Cut(rest, "/")
	types, rest, _ := strings.Cut(rest, "/")
	id, path, _ := strings.Cut(rest, "/resolve/")
	path = unescape(path)
	h.mu.Lock()
	e, ok := h.blobs[etag]
	h.mu.Unlock()
	if !ok {
		refuse(w, Fault{Status: http.StatusNotFound})
		return
	}
	repo := hfcache.Repo{Type: plural[types], ID: id}
	wrong := h.fault(repo, path)
	if r.Method == http.MethodGet {
		wrong = h.spend(repo, path)
	}
	if wrong.Status != 0 {
		refuse(w, wrong)
		return
	}
	h.serveContent(w, r, e, wrong)
}

// span is the part of a file that a response carries.
type span struct{ from, to int64 }

// serveContent answers with a file, or with the part that was asked for.
func (h *Hub) serveContent(w http.ResponseWriter, r *http.Request, e Entry, wrong Fault) {
	part, status := span{0, e.Size}, http.StatusOK
	if asked, ok := parseRange(r.Header.Get("Range"), e.Size); ok && !wrong.IgnoreRange {
		if asked.from >= e.Size {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", e.Size))
			refuse(w, Fault{Status: http.StatusRequestedRangeNotSatisfiable})
			return
		}
		part, status = asked, http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.from, part.to-1, e.Size))
	}
	if wrong.Short > 0 && r.Method == http.MethodGet {
		part.to = max(part.from, min(part.to, wrong.Short))
	}
	w.Header().Set("ETag", strconv.Quote(e.Etag))
	w.Header().Set("Accept-Ranges", "bytes")
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(part.to-part.from, 10))
	w.WriteHeader(status)
	if r.Method != http.MethodGet {
		return
	}
	h.mu.Lock()
	h.asked[e.Etag]++
	h.mu.Unlock()
	h.send(r.Context(), w, e, part, wrong)
}

// send writes a part of a file, piece by piece at the hub's pace, and does on
// the way what is to go wrong.
func (h *Hub) send(ctx context.Context, w http.ResponseWriter, e Entry, part span, wrong Fault) {
	buf := make([]byte, 64<<10)
	own := &bucket{rate: h.opts.FileRate}
	for at := part.from; at < part.to; {
		if wrong.CutAt > 0 && at >= wrong.CutAt {
			flush(w)
			panic(http.ErrAbortHandler)
		}
		if wrong.Gate != nil && at == wrong.GateAt {
			flush(w)
			select {
			case <-wrong.Gate.arrive():
			case <-ctx.Done():
				return
			}
		}
		n, err := e.content().ReadAt(buf[:min(int64(len(buf)), next(at, part.to, wrong)-at)], at)
		if n == 0 {
			panic(fmt.Sprintf("content of %q ended at %d: %v", e.Path, at, err))
		}
		if errors.Join(own.take(ctx, n), h.bucket.take(ctx, n)) != nil {
			return
		}
		// Counted first: who has the bytes finds them counted.
		h.count(e.Etag, int64(n))
		if _, err := w.Write(buf[:n]); err != nil {
			return
		}
		at += int64(n)
	}
}

// next is the nearest offset behind at where something is to happen.
func next(at, end int64, wrong Fault) int64 {
	if wrong.CutAt > at {
		end = min(end, wrong.CutAt)
	}
	if wrong.Gate != nil && wrong.GateAt > at {
		end = min(end, wrong.GateAt)
	}
	return end
}

func flush(w http.ResponseWriter) {
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

// parseRange reads "bytes=N-" and "bytes=N-M" (M included).
func parseRange(header string, size int64) (span, bool) {
	text, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return span{}, false
	}
	first, last, ok := strings.Cut(text, "-")
	if !ok {
		return span{}, false
	}
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil || from < 0 {
		return span{}, false
	}
	to := size
	if last != "" {
		end, err := strconv.ParseInt(last, 10, 64)
		if err != nil || end < from {
			return span{}, false
		}
		to = min(size, end+1)
	}
	return span{from, to}, true
}
