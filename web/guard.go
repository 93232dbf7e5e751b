package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"progressd/live"
)

// guard is around all answers: who only reads is let in, under a name of this
// machine, and nothing of another origin is let into the page.
func (s *Server) guard(next http.Handler) http.Handler {
	machine, _ := os.Hostname()
	hosts := append([]string{machine}, s.opts.Hosts...)
	policy := s.page.policy()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)) != nil {
			return // the connection is gone
		}
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			problem(w, r, http.StatusMethodNotAllowed, "nothing can be changed here: GET and HEAD alone are answered")
		case !ownHost(r.Host, hosts):
			problem(w, r, http.StatusMisdirectedRequest,
				fmt.Sprintf("%.100q is not known as a name of this machine; if it is one, have progressctl serve take it: --host NAME", r.Host))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// ownHost keeps pages of others out that have their name resolved to an address
// of this machine (DNS rebinding): they come under that name. Addresses, names
// without a dot and localhost can't be others'.
func ownHost(host string, known []string) bool {
	name := strings.ToLower(host)
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"), ".")
	if !strings.Contains(name, ".") || net.ParseIP(name) != nil || strings.HasSuffix(name, ".localhost") {
		return true
	}
	return slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
}

// problem answers that something is wrong, as RFC 9457 has it.
func problem(w http.ResponseWriter, r *http.Request, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}

// busy answers that there is no room now.
func busy(w http.ResponseWriter, r *http.Request, why string) {
	w.Header().Set("Retry-After", "5")
	problem(w, r, http.StatusServiceUnavailable, why+": try again later")
}

// errSlow is what a request is answered where the daemon isn't heard.
var errSlow = errors.New("progressd has not answered in time")

// nobody answers that no daemon does.
func nobody(w http.ResponseWriter, r *http.Request, err error) {
	text := err.Error()
	if none := new(live.NobodyError); errors.As(err, &none) {
		text += "; " + none.Hint()
	}
	w.Header().Set("Retry-After", "5")
	problem(w, r, http.StatusServiceUnavailable, text)
}
