package main

import "progressd/internal/hub"

// release is a version of a client as it is put to the test.
type release struct {
	// name stands in the table and in the ids of the repositories.
	name string
	kit
	// command is what huggingface_hub calls its program.
	command string
	// program is how any other client is called: {dir} is where it is kept,
	// {scripts} where ours are; the repository comes last.
	program []string
	env     []string
	// storage is how the hub keeps the large files; 0 is plain LFS.
	storage hub.Storage
	// costly ones take minutes to install: played only when --only is given.
	costly bool
	traits
}

// traits are how releases differ in what they leave on disk, and so in what
// progressd can know.
type traits struct {
	// listing: a whole download leaves trees/<commit>.json.
	listing bool
	// resumes: a later attempt goes on with the partial of a dead one.
	resumes bool
	// late: a new attempt shows at the next poll, and may have more than the
	// dead one by then: it writes to the root, or over what it finds.
	late bool
	// orphans: what a killed attempt wrote stays in blobs/ for ever.
	orphans bool
	// workers: its command line takes --max-workers.
	workers bool
	// lockless: nobody can know who downloads.
	lockless bool
	// shuffled: the parts of a file come in no order.
	shuffled bool
	// loads: it loads what it has fetched, which is made up, and fails.
	loads bool
}

// releases are all versions of huggingface_hub that are tested, newest first.
var releases = []release{
	{name: "2.4.0", kit: hh("2.4.0"), command: "hf", traits: traits{listing: true, orphans: true, workers: true}},
	{
		name: "2.4.0-nostore", kit: hh("2.4.0"), command: "hf", env: []string{"HF_HUB_DISABLE_SHARED_BLOBS=1"},
		traits: traits{listing: true, orphans: true, workers: true},
	},
	{name: "1.28.0", kit: hh("1.28.0"), command: "hf", traits: traits{listing: true, orphans: true, workers: true}},
	{name: "1.21.0", kit: hh("1.21.0"), command: "hf", traits: traits{orphans: true, workers: true}},
	{name: "1.16.4", kit: hh("1.16.4"), command: "hf", traits: traits{resumes: true, workers: true}},
	{name: "0.36.2", kit: hh("0.36.2"), command: "hf", traits: traits{resumes: true, workers: true}},
	{name: "0.26.5", kit: hh("0.26.5"), command: "huggingface-cli", traits: traits{resumes: true, workers: true}},
	{name: "0.21.4", kit: hh("0.21.4"), command: "huggingface-cli", traits: traits{late: true}},
}
