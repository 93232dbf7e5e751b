package downloader

import (
	"os"
	"path/filepath"
	"testing"
)

func TestThePodOfAProcessHasItsName(t *testing.T) {
	const uid = "3d5f4c1e-7a3b-4f0e-9c55-0a1b2c3d4e5f"
	logs := t.TempDir()
	if err := os.Mkdir(filepath.Join(logs, "models_llama-0_"+uid), 0o700); err != nil {
		t.Fatal(err)
	}
	if namespace, name := podName(logs, uid, own.raise); namespace != "models" || name != "llama-0" {
		t.Errorf("it is %q of %q", name, namespace)
	}
	for _, other := range []string{"", "4" + uid[1:]} {
		if namespace, name := podName(logs, other, own.raise); namespace != "" || name != "" {
			t.Errorf("%q is %q of %q", other, name, namespace)
		}
	}
}
