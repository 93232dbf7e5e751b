package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"progressd/internal/hub"
	"progressd/sizer"
)

var userNames = []string{"alice", "bob"}

// about wants something to be told of the act's own repository.
func (a *act) about(lines string, files []hub.File) want {
	if a.storage == hub.Xet {
		// Parts come at once, and may all be there at the first look.
		lines = strings.ReplaceAll(lines, "( progress)+", "( progress)*")
	}
	return want{of: source{a.root(), a.repo()}, lines: lines, wholes: []whole{wholeOf(files)}}
}

func wholeOf(files []hub.File) whole {
	all := whole{paths: len(files)}
	counted := map[hub.File]bool{}
	for _, f := range files {
		content := hub.File{Seed: f.Seed, Size: f.Size, Text: f.Text}
		if !counted[content] {
			counted[content] = true
			all.bytes += f.Size
		}
	}
	return all
}

func (w want) says(texts ...string) want {
	w.texts = append(w.texts, texts...)
	return w
}

func (w want) withListing() want {
	w.listed = true
	return w
}

// started is the line that says how much it will be.
func (w want) started() string {
	return regexp.QuoteMeta(fmt.Sprintf(": %s in %d file", sizer.FormatBytes(w.wholes[0].bytes), w.wholes[0].paths)) + "s?"
}

// A download from its first byte to its end, with a listing and without.
const (
	listedRun   = "preparing started( progress)+ completed:listing"
	askedRun    = "preparing started( progress)+ completed:request"
	unlistedRun = "preparing started( progress)+ unlisted completed:quiet"
)

func unknownTotal(noun string) string {
	return "Downloading " + noun + ` \(this may take 10-60 minutes\)`
}

// complete: all of these files, which are all that the revision has.
func complete(files ...hub.File) func(*act) []want {
	return func(a *act) []want { return []want{a.run(listedRun, files)} }
}

// asked: these files of more, and the command line says so.
func asked(files ...hub.File) func(*act) []want {
	return func(a *act) []want { return []want{a.run(askedRun, files)} }
}

// single: one file, asked for by itself: no release leaves a listing then.
func single(file hub.File) func(*act) []want {
	return func(a *act) []want { return []want{a.unlisted([]hub.File{file})} }
}

// run is a download without trouble.
func (a *act) run(lines string, files []hub.File) want {
	if !a.listing {
		return a.unlisted(files)
	}
	w := a.about(lines, files).withListing()
	return w.says(a.opening(), "Downloading "+string(a.repo().Type)+w.started(), a.success())
}

func (a *act) unlisted(files []hub.File) want {
	return a.about(unlistedRun, files).says(a.opening(), unknownTotal(string(a.repo().Type)), a.success())
}

func (a *act) opening() string {
	return "Preparing to download " + string(a.repo().Type) + ": " + regexp.QuoteMeta(a.repo().ID)
}

func (a *act) success() string {
	return map[bool]string{true: "Model", false: "Dataset"}[a.repo().Type == "model"] + " downloaded successfully"
}

// unknownSubset: a script tells nobody what it wants.
func unknownSubset(a *act) []want {
	files := []hub.File{many[1]}
	if !a.listing {
		return []want{a.unlisted(files)}
	}
	w := a.about("preparing started( progress)+ ended", many).withListing()
	return []want{w.says("Downloading model"+w.started(), "Download ended: 36.0MB in 1 of 5 files, without .+")}
}

func (a *act) gone() string {
	if a.lockless {
		return `.*: no new data for [0-9ms]+, and no downloader to be seen`
	}
	return `.*: downloader ` + a.process() + ` is gone`
}

// process is how a text names who downloads.
func (a *act) process() string {
	command := a.command
	if command == "" {
		command = "fetch"
	}
	return `\(pid [0-9]+, ` + command + `\)`
}

// oneInterrupted: while a client tries a hub that is away it still downloads.
func oneInterrupted(a *act) []want {
	w := a.about("preparing started( progress)+( keepalive)* interrupted", few)
	w.listed = a.listing
	return []want{w.says("Download interrupted at " + a.gone())}
}

func oneRemoved(a *act) []want {
	w := a.about("preparing started( progress)+ removed", few)
	w.listed = a.listing
	return []want{w.says("Download removed at .*: the model was deleted from disk")}
}

// diskFull: the releases from 1.18 on remove what they had begun.
func diskFull(a *act) []want {
	lines := "preparing started( progress)+ interrupted"
	texts := []string{"Download interrupted at " + a.gone() + `, disk (?:is full|is all but full \(.*\)|was full)`}
	if a.listing {
		lines = "preparing started( progress| low-space)+ interrupted"
		texts = append(texts, `Disk space is short: [0-9.]+MB left to download, [0-9.]+MB free`)
	}
	w := a.about(lines, few)
	w.listed = a.listing
	return []want{w.says(texts...)}
}

// stalled: who can't be seen may as well be dead. By Xet the rest may be in
// memory already, and comes in no time.
func stalled(a *act) []want {
	verdict, text := "stalled", `Download stalled at `+a.reached()+`.*: no new data for 10m[0-9]{2}s, downloader stopped `+a.process()
	if a.lockless {
		verdict, text = "interrupted", "Download interrupted at "+a.gone()
	}
	moving := "moving( progress)*"
	if a.storage == hub.Xet {
		moving = "(" + moving + " )?"
	} else {
		moving += " "
	}
	lines := "preparing started( progress)+( keepalive)* " + verdict + " " + moving
	if a.listing {
		lines += "completed:listing"
	} else {
		lines += "unlisted completed:quiet"
	}
	w := a.about(lines, few)
	w.listed = a.listing
	return []want{w.says(text)}
}

// reached is how far a file came that stood at a gate: plain huggingface_hub
// writes 10 MiB at a time.
func (a *act) reached() string {
	if plain(a.release) {
		return `10\.5MB`
	}
	return `[1-5][0-9]\.[0-9]MB`
}

// kept is what a new attempt leaves of an old one. One that truncates the
// file may have written again before it is seen.
func (a *act) kept() string {
	if plain(a.release) {
		return "700B of 31.5MB"
	}
	return `[0-9.]+[KM]?B of [1-5][0-9]\.[0-9]MB`
}

// resumed: an attempt dies, the next one makes it good.
func resumed(a *act) []want {
	lines := "preparing started( progress)+ interrupted "
	if a.lockless { // nobody can know sooner
		lines = "preparing started( progress)+( keepalive)* interrupted "
	}
	texts := []string{"Download interrupted at " + a.gone(), a.success()}
	switch {
	case a.resumes:
		lines += "moving( progress)*"
	case a.late:
		lines += "(restarted|moving)( progress)*"
	default:
		lines += "restarted( progress)*"
		texts = append(texts, "Download began again: "+a.kept()+" kept")
	}
	if a.orphans {
		lines += " orphans"
	}
	if a.listing {
		lines += " completed:listing"
	} else {
		lines += " unlisted completed:quiet"
	}
	w := a.about(lines, few)
	w.listed = a.listing
	return []want{w.says(texts...)}
}

// endedByHand: what was asked for is known where there is a listing, so it is
// known that it didn't come; elsewhere the numbers of the parts tell.
func endedByHand(a *act) []want {
	if !a.listing {
		return endedScript(a)
	}
	w := a.about("preparing started( progress)+ interrupted moving( progress)* completed:listing", numbered).withListing()
	return []want{w.says("Download interrupted at 24.0MB/49.0MB ~ 49.0%" + a.gone())}
}

func endedScript(a *act) []want {
	lines, ended := "preparing started( progress)+ ended preparing resumed( progress)* ", "Download ended: 24.0MB in 2 files"
	if a.listing {
		lines += "completed:listing"
		ended = "Download ended: 24.0MB in 2 of 4 files, without .+"
	} else {
		lines += "unlisted completed:quiet"
	}
	w := a.about(lines, numbered)
	w.listed = a.listing
	return []want{w.says(ended, "Resuming download: 24.0MB.* already on disk")}
}

// twoRevisions: the second needs only the file that is new.
func twoRevisions(a *act) []want {
	if !a.listing {
		// Without a listing the old file is part of it when it is linked:
		// that may be after the new one has begun.
		w := a.about(unlistedRun+" preparing (resumed|started)( progress)+ unlisted completed:quiet", before)
		w.wholes = append(w.wholes, wholeOf(after))
		return []want{w}
	}
	w := a.about(listedRun+" preparing resumed( progress)+ completed:listing", before).withListing()
	w.wholes = append(w.wholes, wholeOf(after))
	return []want{w.says("Resuming download: 31.*MB/64.0MB ~ .* already on disk")}
}

func bothModels(a *act) []want {
	one := a.run(listedRun, few)
	other := one
	other.of.repo = a.other("-b")
	other.texts = nil
	return []want{one, other}
}

func bothUsers(a *act) []want {
	var wants []want
	for _, name := range userNames {
		w := a.run(listedRun, few)
		w.of.root = filepath.Join(a.userHome(name), "hub")
		wants = append(wants, w)
	}
	return wants
}

// storeThenSilence: what another model has brought is no download.
func storeThenSilence(a *act) []want {
	silent := want{of: source{a.root(), a.other("-b")}}
	return []want{a.run(listedRun, stored), silent}
}
