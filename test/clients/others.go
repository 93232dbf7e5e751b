package main

import "progressd/internal/hub"

// others are the ways to a cache beside plain huggingface_hub: what it hands
// the transfer to, and what others have written. They play the scenes that
// don't depend on its command line.
var others = []release{
	{
		name: "hf_xet-1.8.0", kit: hh("2.4.0", "hf_xet-1.8.0"), command: "hf", storage: hub.Xet,
		traits: traits{listing: true, orphans: true},
	},
	{name: "hf_xet-1.2.0", kit: hh("0.36.2", "hf_xet-1.2.0"), command: "hf", storage: hub.Xet, traits: traits{resumes: true}},
	{
		name: "hf_transfer-0.1.9", kit: hh("0.36.2", "hf_transfer-0.1.9"), command: "hf",
		env: []string{"HF_HUB_ENABLE_HF_TRANSFER=1"},
	},
	javascript("js-2.17.5", hub.LFS),
	javascript("js-2.17.5-xet", hub.Xet),
	{
		name: "go-0.3.1", kit: golang("go", "github.com/gomlx/go-huggingface@v0.3.1"), program: []string{"{dir}/fetch"},
		traits: traits{late: true},
	},
	rust("0.5.0-sync", traits{resumes: true}),
	rust("0.5.0-tokio", traits{resumes: true, shuffled: true}),
	{
		name: "rust-1.0.0", kit: cargo("rust1"), program: []string{"{dir}/bin/fetch", "1.0.0"}, storage: hub.LFS, costly: true,
	},
	{
		name: "rust-1.0.0-xet", kit: cargo("rust1"), program: []string{"{dir}/bin/fetch", "1.0.0"}, storage: hub.Xet, costly: true,
	},
}

func javascript(name string, storage hub.Storage) release {
	return release{
		name: name, kit: npm("js-2.17.5", "@huggingface/hub@2.17.5"), storage: storage,
		program: []string{"/usr/bin/env", "NODE_PATH={dir}/node_modules", "node", "{scripts}/snapshot.cjs"},
		traits:  traits{lockless: true, late: true},
	}
}

func rust(api string, t traits) release {
	return release{name: "rust-" + api, kit: cargo("rust"), program: []string{"{dir}/bin/fetch", api}, traits: t}
}
