package downloader

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const containerID = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParseContainer(t *testing.T) {
	const short = "0123456789ab"
	tests := map[string]string{
		"0::/system.slice/docker-" + containerID + ".scope\n":                                                                     short,
		"12:memory:/docker/" + containerID + "\n1:name=systemd:/docker/" + containerID + "\n":                                     short,
		"0::/machine.slice/libpod-" + containerID + ".scope/container\n":                                                          short,
		"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + containerID + ".scope":                            short,
		"0::/libpod_parent/libpod-" + containerID + "\n":                                                                          short,
		"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podaaaa.slice/cri-containerd-" + containerID + ".scope\n": short,
		"0::/kubepods.slice/kubepods-podaaaa.slice/crio-" + containerID + ".scope\n":                                              short,
		"4:cpu:/kubepods/burstable/podaaaa-bbbb/" + containerID + "\n0::/\n":                                                      short,
		"0::/docker/" + strings.Repeat("f", 64) + "/docker/" + containerID + "\n":                                                 short,
		`0::/machine.slice/machine-ml\x2dbox.scope/payload` + "\n":                                                                "ml-box",
		"0::/lxc.payload.trainer/system.slice/x.service\n":                                                                        "trainer",
		"0::/lxc/trainer/ns\n": "trainer",
		// The monitor beside a container is none.
		"0::/machine.slice/libpod-conmon-" + containerID + ".scope\n": "",
		"0::/system.slice/vllm.service\n":                             "",
		"0::/user.slice/user-1000.slice/session-3.scope\n":            "",
		"0::/\n":                        "",
		"":                              "",
		"garbage":                       "",
		"0::/docker/0123456789ab\n":     "",
		"0::/docker/" + containerID[1:]: "",
		"0::/" + strings.ToUpper(containerID) + "\n": "",
		"0::/lxc/a b\n":      "",
		"0::/lxc/\x1b[31m\n": "",
		"0::/lxc/" + strings.Repeat("a", maxShortName+1): "",
		`0::/machine-a\x1b.scope`:                        "",
		`0::/machine-a\x2.scope`:                         "",
		`0::/machine-a\xzz.scope`:                        "",
		"0::/machine-a":                                  "",
	}
	for text, want := range tests {
		if got := parseContainer(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzParseContainer(f *testing.F) {
	f.Add("0::/system.slice/docker-" + containerID + ".scope\n")
	f.Add(`1:name=systemd:/machine.slice/machine-a\x2db.scope` + "\n0::/lxc/x")
	f.Fuzz(func(t *testing.T, text string) {
		if name := parseContainer(text); name != printable(name) || strings.ContainsAny(name, " /\\\"") {
			t.Errorf("%q", name)
		}
	})
}

func TestParseUser(t *testing.T) {
	tests := map[string]string{
		"Name:\thf\nUid:\t1000\t1001\t1000\t1000\nGid:\t0\t0\t0\t0\n": "1001",
		"Uid:\t0\t0\t0\t0\n":  "0",
		"Uid:\t1000\n":        "",
		"Uid:\tx\tx\n":        "",
		"Uid:\t1\t-1\n":       "",
		"Uid:\t1\t4294967296": "",
		"":                    "",
	}
	for text, want := range tests {
		if got := parseUser(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestUserName(t *testing.T) {
	list := filepath.Join(t.TempDir(), "passwd")
	text := "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n\x1b[31m:x:1001:0::/:/bin/sh\n:x:1002:0::/:\nshort:x\n"
	if err := os.WriteFile(list, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[string]string{"0": "root", "1000": "alice", "1001": "1001", "1002": "1002", "7": "7", "": ""} {
		if got := userName(os.Open, list, uid); got != want {
			t.Errorf("%q: %q, want %q", uid, got, want)
		}
	}
	if got := userName(os.Open, list+".none", "1000"); got != "1000" {
		t.Errorf("without a list: %q", got)
	}
}

func TestReadProcessTellsWhereItRunsAndAsWhom(t *testing.T) {
	status := "Uid:\t4294967290\t4294967290\t0\t0\n"
	proc := fakeProc(t, 4242, map[string]string{
		"stat": statLine("hf", "S", "777"), "status": status,
		"cgroup": "0::/system.slice/docker-" + containerID + ".scope\n",
	})
	p, err := ProcDir(proc).Process(4242)
	if err != nil || p.Container != "0123456789ab" || p.User != "4294967290" || p.Unit != "docker-"+containerID+".scope" {
		t.Errorf("got %+v, %v", p, err)
	}
	// A container has users of its own: this machine's name for 0 may be wrong.
	proc = fakeProc(t, 4242, map[string]string{
		"stat": statLine("hf", "S", "777"), "status": "Uid:\t0\t0\t0\t0\n", "cgroup": "0::/docker/" + containerID + "\n",
	})
	if p, err := ProcDir(proc).Process(4242); err != nil || p.User != "0" {
		t.Errorf("got %+v, %v", p, err)
	}
}
