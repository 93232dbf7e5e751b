package config

import (
	"strings"
	"testing"
)

func TestTheTokenIsWhereTheConfigurationOrSystemdSays(t *testing.T) {
	for _, c := range []struct{ configured, directory, want string }{
		{"", "/run/credentials/x", ""},
		{"/etc/token", "", "/etc/token"},
		{"$CREDENTIALS_DIRECTORY/hf", "/run/credentials/x", "/run/credentials/x/hf"},
	} {
		cfg := Config{Hub: Hub{TokenFile: c.configured}}
		got, err := TokenFile(cfg, environ{"CREDENTIALS_DIRECTORY": c.directory}.get)
		if err != nil || got != c.want {
			t.Errorf("%+v gives %q, %v", c, got, err)
		}
	}
	cfg := Config{Hub: Hub{TokenFile: "$CREDENTIALS_DIRECTORY/hf"}}
	if _, err := TokenFile(cfg, environ{}.get); err == nil || !strings.Contains(err.Error(), "LoadCredential=") {
		t.Errorf("without credentials: %v", err)
	}
}

func TestAPasswordInTheEndpointIsNotRepeated(t *testing.T) {
	_, err := parse("f", []byte("hub.endpoint = 'https://me:hf_secret@h'"), withHome.get)
	if err == nil || strings.Contains(err.Error(), "hf_secret") {
		t.Errorf("got %v", err)
	}
}
