package capture

import (
	"strings"
	"testing"
)

func TestExplainsACauseThatSomebodyElseTells(t *testing.T) {
	const invalid, missing = "does not take the token", "wants a valid token"
	for _, tt := range []struct {
		cause        Cause
		line, remedy string
		class        Class
	}{
		{Gated, "", "access to %s is gated", Error},
		{BadToken, "", invalid, Error},
		{BadToken, "Error: Invalid user token.", invalid, Error},
		{BadToken, "x.HfHubHTTPError: 401 Client Error", missing, Error},
		{NoName, "", "can't be resolved", Suspect},
		{Retrying, "", "", Event},
		{Progress, "Fetching 9 files: 3/9", "", Event},
	} {
		m, ok := Explain(tt.cause, tt.line)
		if !ok || m.Cause != tt.cause || m.Class != tt.class || !strings.Contains(m.Remedy, tt.remedy) {
			t.Errorf("%s, %q: %+v %v", tt.cause, tt.line, m, ok)
		}
	}
	if m, ok := Explain("of-tomorrow", "Error: Invalid user token."); ok {
		t.Errorf("%+v", m)
	}
}
