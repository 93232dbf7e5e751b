package config

import (
	"errors"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
)

// credentials stands at the start of a token_file that systemd hands over
// (LoadCredential=). The directory differs from service to service.
const credentials = "$CREDENTIALS_DIRECTORY/"

// address stores a hub's address. One with a password in it is not repeated
// in the error.
func address(to *string) func(any) error {
	store := text(to, "https://huggingface.co", endpoint)
	return func(value any) error {
		if raw, ok := value.(string); ok && strings.Contains(raw, "@") {
			return errors.New("holds a name or a password, expected an address without, and the token in token_file")
		}
		return store(value)
	}
}

// endpoint checks a hub's address. Without TLS whoever sits on the way could
// make up a listing, and by a short one a false success; so http is for this
// machine only.
func endpoint(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || strings.ContainsFunc(raw, unprintable):
		return "", errors.New("no address, expected one such as " + quote("https://huggingface.co"))
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("an address with ? or #, expected one without")
	case u.Scheme == "http" && !onLoopback(u.Hostname()):
		return "", errors.New("not encrypted, expected https:// (http:// is for 127.0.0.1, ::1 and localhost only)")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("of another scheme, expected https://")
	}
	return strings.TrimRight(raw, "/"), nil
}

func unprintable(r rune) bool { return r <= ' ' || r > '~' }

func onLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// tokenFile stores an absolute path, or one in the directory of systemd's
// credentials as it is.
func tokenFile(to *string, getenv func(string) string) func(any) error {
	return text(to, "/etc/progressd/hf_token", func(raw string) (string, error) {
		name, ok := strings.CutPrefix(raw, credentials)
		switch {
		case ok && (name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00")):
			return "", errors.New("no credential, expected " + quote(credentials+"hf_token") + " or the like")
		case ok, raw == "":
			return raw, nil
		default:
			return absolute(raw, expandHome, getenv)
		}
	})
}

// TokenFile returns where the hub's token is, empty if the configuration
// names none.
func TokenFile(cfg Config, getenv func(string) string) (string, error) {
	name, ok := strings.CutPrefix(cfg.Hub.TokenFile, credentials)
	if !ok {
		return cfg.Hub.TokenFile, nil
	}
	dir := getenv("CREDENTIALS_DIRECTORY")
	if !filepath.IsAbs(dir) {
		return "", errors.New("cannot find the token " + quote(cfg.Hub.TokenFile) +
			": systemd has handed no credentials over, add LoadCredential= to the unit")
	}
	return filepath.Join(dir, name), nil
}
