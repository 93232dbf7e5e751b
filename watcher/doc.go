// Package watcher decides when to look at which repository of a Hugging Face
// cache, and at nothing else: what a look finds is the Looker's business.
//
// The scan is the truth: every poll interval each root is checked for being
// the same directory, listed if its time stamp moved, and each repository at
// rest costs one stat, or where it has a watch one every few polls. Where all of a
// root is watched, the finder of its pattern does both, as it asks about the root anyway,
// and the root's own goroutine sleeps until something has happened. Of very many roots
// that rest, each is asked about every few polls. File system events say only "this directory is dirty" and make the same code run sooner;
// with events switched off everything is still true within one poll.
//
// # Its files, from the top down
//
// A file uses what is in its own layer or below, and within a layer no two use each other
// (a test holds that: internal/house).
//
// The whole: all roots and patterns, from start to stop.
//
//	run.go
//
// Finding roots: where a pattern leads to, and what tells that this has changed.
//
//	seek.go round.go survey.go trap.go guards.go
//
// One root: when to look at which of its repositories.
//
//	life.go scan.go visit.go rest.go arming.go ask.go
//	local.go links.go stirred.go
//
// Events: who is told of what the kernel tells, and how many watches there are.
//
//	notifying.go shares.go limits.go storms.go
//
// What is kept: of the whole, of a pattern, of a root, and of a repository.
//
//	options.go watcher.go status.go runner.go finder.go
//	index.go probe.go trail.go resting.go orders.go notifier.go repo.go
//
// The words: what others know this package by, and what all of it needs.
//
//	looker.go errors.go rhythm.go watches.go
package watcher
