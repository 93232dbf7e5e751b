package hfcache

import "testing"

func TestReposAreNamedAsTheHubDoes(t *testing.T) {
	for name, want := range map[string]Repo{
		"org/name":          {Model, "org/name"},
		"gpt2":              {Model, "gpt2"},
		"datasets/org/name": {Dataset, "org/name"},
		"datasets/squad":    {Dataset, "squad"},
		"spaces/org/name":   {Space, "org/name"},
		"kernels/org/name":  {Kernel, "org/name"},
	} {
		got, ok := ParseRepo(name)
		if !ok || got != want || got.String() != name {
			t.Errorf("%q is %+v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "a--b", "org/name/more", "../x", "datasets/", "org/name\n", "spaces/a/b/c"} {
		if got, ok := ParseRepo(name); ok {
			t.Errorf("%q is %+v", name, got)
		}
	}
}
