package hublist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"progressd/hfcache"
)

// The bounds of one answer; see also hfcache.DefaultLimits.
const (
	// pageTime is for one page, from the name's look-up to the last byte.
	pageTime = 30 * time.Second
	// listTime is for all pages of a listing.
	listTime = 5 * time.Minute
	// maxPages is enough for 200 000 files at the hub's 1000 a page.
	maxPages     = 400
	maxRedirects = 5
	maxHeader    = 64 << 10
)

// errUnusable is matched by the error for an answer that is no listing, or
// that leads away from the endpoint.
var errUnusable = errors.New("the answer can't be used")

// A refusedError is the hub's no to one listing: 401, 403, 404 and the like.
type refusedError struct {
	status int
	code   string // X-Error-Code, such as GatedRepo
}

func (e *refusedError) Error() string {
	text := fmt.Sprintf("the hub answers %d %s", e.status, http.StatusText(e.status))
	if e.code != "" {
		text += " (" + e.code + ")"
	}
	return text
}

// A busyError is an answer that asks to be left alone for a while.
type busyError struct {
	status int
	after  time.Duration
}

func (e *busyError) Error() string {
	return fmt.Sprintf("the hub answers %d %s and asks to wait %v", e.status, http.StatusText(e.status), e.after)
}

// client asks one endpoint.
type client struct {
	endpoint *url.URL
	// token gives what the hub knows us by, empty for nobody.
	token    func() (string, error)
	http     *http.Client
	limits   hfcache.Limits
	pageTime time.Duration
}

// newTransport connects by dial, nil being this process itself. It is HTTP/1.1 with the system's certificates and proxies, and
// a limit on all that can take time.
func newTransport(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	t := &http.Transport{
		DialContext:            dial,
		Proxy:                  http.ProxyFromEnvironment,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  20 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
		MaxConnsPerHost:        1,
		// An answer is as big as it comes: no bomb to unpack.
		DisableCompression: true,
		Protocols:          new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

func newClient(endpoint *url.URL, token func() (string, error), transport http.RoundTripper) *client {
	c := &client{endpoint: endpoint, token: token, limits: hfcache.DefaultLimits(), pageTime: pageTime}
	c.http = &http.Client{Transport: transport, CheckRedirect: c.redirect}
	return c
}

// list asks for all files of a commit. No connection outlives it.
func (c *client) list(ctx context.Context, r request) (hfcache.Listing, error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	defer c.http.CloseIdleConnections()
	token, err := c.token()
	if err != nil {
		return hfcache.Listing{}, err
	}
	tree := hfcache.NewTree(c.limits)
	page := c.address(r)
	for range maxPages {
		next, err := c.page(ctx, page, token, tree)
		if err != nil {
			return hfcache.Listing{}, err
		}
		if next == nil {
			return finish(tree)
		}
		page = next
	}
	return hfcache.Listing{}, fmt.Errorf("%w: more than %d pages", errUnusable, maxPages)
}

func finish(tree *hfcache.Tree) (hfcache.Listing, error) {
	listing, err := tree.Listing()
	if err == nil && len(listing.Files) == 0 {
		err = errors.New("no file is listed")
	}
	if err != nil {
		return hfcache.Listing{}, fmt.Errorf("%w: %w", errUnusable, err)
	}
	return listing, nil
}

// address is of characters that need no escape: both names were checked.
func (c *client) address(r request) *url.URL {
	u := c.endpoint.JoinPath("api", string(r.repo.Type)+"s", r.repo.ID, "tree", r.commit)
	u.RawQuery = "recursive=true&expand=false"
	return u
}

// page adds one page to tree and gives the address of the next, nil after the
// last.
func (c *client) page(ctx context.Context, address *url.URL, token string, tree *hfcache.Tree) (*url.URL, error) {
	ctx, cancel := context.WithTimeout(ctx, c.pageTime)
	defer cancel()
	asked, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("cannot get the listing: %w", err)
	}
	asked.Header.Set("Accept", "application/json")
	asked.Header.Set("User-Agent", "progressd")
	if token != "" {
		asked.Header.Set("Authorization", "Bearer "+token)
	}
	got, err := c.http.Do(asked)
	if err != nil {
		return nil, fmt.Errorf("cannot get the listing: %w", err)
	}
	defer got.Body.Close()
	if err := refusedBy(got, time.Now()); err != nil {
		return nil, err
	}
	body := &witness{r: got.Body}
	if err := tree.AddPage(body); err != nil {
		if body.failed != nil {
			return nil, fmt.Errorf("cannot read the listing: %w", body.failed)
		}
		return nil, fmt.Errorf("%w: %w", errUnusable, err)
	}
	return c.following(got)
}

// witness tells a connection that breaks from an answer that is wrong.
type witness struct {
	r      io.Reader
	failed error
}

func (w *witness) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.failed = err
	}
	return n, err
}

// refusedBy is the error in an answer's status.
func refusedBy(got *http.Response, now time.Time) error {
	switch status := got.StatusCode; {
	case status == http.StatusOK:
		return nil
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return &busyError{status, retryAfter(got.Header, now)}
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout:
		return &refusedError{status, errorCode(got.Header.Get("X-Error-Code"))}
	case status >= 500, status == http.StatusRequestTimeout:
		return fmt.Errorf("the hub answers %d %s", status, http.StatusText(status))
	default:
		return fmt.Errorf("%w: status %d", errUnusable, status)
	}
}

// errorCode is a word of the hub's, or nothing.
func errorCode(text string) string {
	letters := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
	if len(text) > 40 || strings.TrimFunc(text, letters) != "" {
		return ""
	}
	return text
}

// retryAfter reads Retry-After, in seconds or as a date, and the t of
// RateLimit ("api";r=0;t=120, as the hub writes it); the longer one counts.
func retryAfter(h http.Header, now time.Time) time.Duration {
	after := seconds(h.Get("Retry-After"))
	if date, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		after = max(0, date.Sub(now))
	}
	for part := range strings.SplitSeq(h.Get("RateLimit"), ";") {
		if t, ok := strings.CutPrefix(strings.TrimSpace(part), "t="); ok {
			after = max(after, seconds(t))
		}
	}
	return after
}

func seconds(text string) time.Duration {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 63)
	if err != nil {
		return 0
	}
	return time.Duration(min(n, uint64(longestWait/time.Second))) * time.Second
}

// following reads the header Link: <address>; rel="next".
func (c *client) following(got *http.Response) (*url.URL, error) {
	for link := range strings.SplitSeq(strings.Join(got.Header.Values("Link"), ","), ",") {
		address, rel, ok := strings.Cut(strings.TrimSpace(link), ">")
		if !ok || !strings.HasPrefix(address, "<") || !strings.Contains(rel, `rel="next"`) {
			continue
		}
		next, err := got.Request.URL.Parse(address[1:])
		if err != nil || !c.ours(next) {
			return nil, fmt.Errorf("%w: its next page is at another place", errUnusable)
		}
		return next, nil
	}
	return nil, nil
}

// redirect follows renamed repositories, and leads nowhere else: the token
// goes with it.
func (c *client) redirect(to *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("%w: more than %d redirects", errUnusable, maxRedirects)
	}
	if !c.ours(to.URL) {
		return fmt.Errorf("%w: it leads to another place", errUnusable)
	}
	return nil
}

// ours reports whether an address has the endpoint's scheme, host and port.
func (c *client) ours(u *url.URL) bool {
	return u.User == nil && u.Scheme == c.endpoint.Scheme &&
		strings.EqualFold(u.Hostname(), c.endpoint.Hostname()) && port(u) == port(c.endpoint)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}
