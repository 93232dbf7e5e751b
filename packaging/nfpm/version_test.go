package nfpm_test

import (
	"os/exec"
	"testing"
)

// What a package is called decides what an upgrade is: dpkg and rpm order "~" before the end and
// "+" after it.
func TestAVersionIsOneOfDpkgAndRpm(t *testing.T) {
	for described, want := range map[string]string{
		"v0.1.0":                    "0.1.0",
		"v0.1.0-rc1":                "0.1.0~rc1",
		"v0.1.0-5-gabc1234":         "0.1.0+5.gabc1234",
		"v0.1.0-dirty":              "0.1.0+dirty",
		"v0.1.0-rc1-3-gabc12-dirty": "0.1.0~rc1+3.gabc12.dirty",
		"1.2.3":                     "1.2.3",
		"1234567":                   "0~20261130.1234567",
		"76e6711-dirty":             "0~20261130.76e6711+dirty",
		"unknown":                   "0~20261130.unknown",
	} {
		cmd := exec.CommandContext(t.Context(), "./version.sh", described)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "SOURCE_DATE_EPOCH=1796040843"}
		got, err := cmd.Output()
		if err != nil || string(got) != want+"\n" {
			t.Errorf("%s is %q, %v; want %s", described, got, err, want)
		}
	}
}
