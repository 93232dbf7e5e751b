// Package fleet_test holds what collectors are told in step with what the daemon
// says. How each of them was run docs/fleet.md tells; the queries are tried in web.
package fleet_test

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"progressd/kubepod"
	"progressd/record"
	"progressd/sink"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryFieldThatIsAskedForIsTold(t *testing.T) {
	told := record.FieldNames()
	for _, path := range []string{"vector.toml", "alloy.alloy", "../../docs/fleet.md"} {
		asked := regexp.MustCompile(`\bPROGRESSD_[A-Z_]+\b`).FindAllString(read(t, path), -1)
		if len(asked) == 0 {
			t.Errorf("%s asks for nothing", path)
		}
		for _, name := range asked {
			if !slices.Contains(told, name) {
				t.Errorf("%s asks for %s", path, name)
			}
		}
	}
	var names []string
	for i := range reflect.TypeFor[record.Record]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[record.Record]().Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	for _, m := range regexp.MustCompile(`attributes\.([a-z_]+)`).FindAllStringSubmatch(read(t, "otel-collector.yaml"), -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("otel-collector.yaml asks for %s", m[1])
		}
	}
}

func TestTheJournalIsAskedForTheDaemonsLines(t *testing.T) {
	for path, want := range map[string]string{
		"vector.toml": `include_matches.SYSLOG_IDENTIFIER = ["` + sink.Identifier + `"]`,
		"alloy.alloy": `"SYSLOG_IDENTIFIER=` + sink.Identifier + `"`,
	} {
		if !strings.Contains(read(t, path), want) {
			t.Errorf("%s doesn't have %s", path, want)
		}
	}
}

// What a collector in a cluster looks for is what the manifests make.
func TestTheClusterIsWhatIsLookedFor(t *testing.T) {
	manifests := "../kubernetes/"
	namespace := regexp.MustCompile(`(?m)^namespace: (.*)$`).FindStringSubmatch(read(t, manifests+"base/kustomization.yaml"))[1]
	set := regexp.MustCompile(`(?m)^  name: (.*)$`).FindStringSubmatch(read(t, manifests+"base/daemonset.yaml"))[1]
	container := regexp.MustCompile(`(?m)^        - name: (.*)$`).FindStringSubmatch(read(t, manifests+"base/daemonset.yaml"))[1]
	logs := kubepod.Logs + "/" + namespace + "_" + set + "-*/" + container + "/*.log"
	if text := read(t, "otel-collector.yaml"); !strings.Contains(text, "include: ["+logs+"]") {
		t.Errorf("the logs are %s, in\n%s", logs, text)
	}
	label := regexp.MustCompile(`app\.kubernetes\.io/name: \S+`).FindString(read(t, manifests+"base/kustomization.yaml"))
	port := regexp.MustCompile(`\{name: (\S+), containerPort: (\d+)\}`).FindStringSubmatch(read(t, manifests+"metrics/kustomization.yaml"))
	for path, wanted := range map[string][]string{
		"podmonitor.yaml": {"  namespace: " + namespace + "\n", "matchLabels: {" + label + "}", "port: " + port[1] + "\n"},
		"prometheus.yml":  {"namespaces: {names: [" + namespace + "]}", "_container_port_name], regex: " + port[1] + ",", ":" + port[2] + `"`},
	} {
		for _, want := range wanted {
			if !strings.Contains(read(t, path), want) {
				t.Errorf("%s doesn't have %q", path, want)
			}
		}
	}
	rule := regexp.MustCompile(`\{source_?[lL]abels: \[__name__, root\].*`)
	if one, other := rule.FindString(read(t, "prometheus.yml")), rule.FindString(read(t, "podmonitor.yaml")); strings.Replace(one, "source_labels", "sourceLabels", 1) != other {
		t.Errorf("they drop different series:\n%s\n%s", one, other)
	}
}
