package main

import "testing"

func TestTheLinesOfASwarmAreHeldAgainstWhatIsTrue(t *testing.T) {
	const begins, grows = "[INFO] Preparing to download model: swarm", "[INFO] Download progress: 200MB/300MB ~ 66.6%"
	for name, tt := range map[string]struct {
		said []string
		ok   bool
	}{
		"one of each":             {[]string{begins, "[INFO] Download progress: 100MB/300MB ~ 33.3%", grows, "[SUCCESS] Model downloaded successfully"}, true},
		"without a total":         {[]string{begins, "[INFO] Downloaded 900MB...", "[INFO] Downloaded 1.2GB...", "[INFO] Download ended: 1.2GB in 3 files"}, true},
		"two beginnings":          {[]string{begins, begins, "[SUCCESS] Model downloaded successfully"}, false},
		"no verdict":              {[]string{begins, grows}, false},
		"a verdict that is taken": {[]string{begins, "[WARNING] Download interrupted at 1.0MB: x", "[SUCCESS] Model downloaded successfully"}, false},
		"progress that goes back": {[]string{begins, grows, "[INFO] Download progress: 100MB/300MB ~ 33.3%", "[SUCCESS] Model downloaded successfully"}, false},
	} {
		if err := trueOfSwarm(tt.said); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEachWayOfASwarmHasTheLineThatIsTrueInTheEnd(t *testing.T) {
	s := swarm{files: 300_000}
	for name, want := range map[string]string{
		"cache with a listing":               " downloaded successfully",
		"--local-dir without a listing":      "Download ended: 300MB in 300000 files",
		"cache with a listing, killed":       "Download interrupted at 300MB/300MB ~ ",
		"cache without a listing, killed":    "Download interrupted at 300MB: ",
		"--local-dir with a listing, killed": "Download interrupted at 300MB/300MB ~ ",
	} {
		found := false
		for _, k := range swarmKinds() {
			if k.name == name {
				found = true
				if got := k.verdict(s); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		}
		if !found {
			t.Errorf("no way is %q", name)
		}
	}
}
