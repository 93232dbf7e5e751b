// Package sizer looks at one repository of a cache: one pass gives the files
// that a download consists of and the bytes that are truly on disk. It also
// holds the one way in which sizes and percentages become text.
//
// # Its files, from the top down
//
// A file uses what is in its own layer or below, and within a layer no two use each other
// (a test holds that: internal/house). So read from the top to learn what is done with
// what is found, and from the bottom to learn what there is.
//
// The look: one from its beginning to its end, and a play through all of its looks.
//
//	root.go stirred.go playing.go
//
// Judging: what all of that means. These files open nothing and list nothing.
//
//	claims.go       which files in the root are this repository's
//	liveness.go     which partials somebody writes to
//	evidence.go     which revisions something is known to be done for
//	flight.go       which revisions and files are in flight
//	counting.go     what of them is there, and what of that arrived
//	settling.go     very many files become numbers
//	wants.go        which files are wanted, where no command line says so
//	cutoff.go       blobs that were left half copied
//	proof.go        whether a listing proves the download complete
//	completeness.go what speaks for and against an end without one
//	describe.go     all of it as a Look
//
// Reading: what there is on the disk, and in /proc.
//
//	blobs.go tree.go                   a look's walk, of a cache and of a --local-dir
//	partials.go temps.go finished.go   how much is written
//	revisions.go listings.go links.go notes.go placed.go   what a revision consists of
//	locks.go locksearch.go             who holds what
//	arrival.go                         since when a repository is there
//	checker.go asked.go                questions that judging has
//	many.go clock.go
//
// What is kept: between two looks, or during one.
//
//	pass.go play.go crew.go
//	file.go partial.go temp.go held.go
//	revision.go listing.go localdir.go crowd.go settled.go
//	blocks.go mark.go
//
// The words: what others know this package by.
//
//	options.go look.go checkpoint.go room.go text.go sums.go
package sizer
