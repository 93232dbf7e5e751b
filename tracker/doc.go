// Package tracker judges: from looks it keeps one life per download and says
// which lines are due and which verdict is earned. It is pure but for
// Tracker.Run: no I/O, no clock of its own.
//
// # Its files, from the top down
//
// A file uses what is in its own layer or below, and within a layer no two use each other
// (a test holds that: internal/house).
//
// The loop: it takes inputs one after the other, and lets time pass.
//
//	loop.go trace.go
//
// All downloads: which there are, and what is told to others of them.
//
//	open.go run.go homes.go   how one begins, is set aside, and ends
//	room.go leftovers.go      what several have in common
//	attention.go              when to look next
//	note.go standing.go status.go
//
// Judging: one download, from a look to its lines.
//
//	judge.go      a look or a tick, and what follows in which order
//	take.go       what the look changes
//	lines.go      lines of its course
//	verdict.go    its end, as far as the disk tells
//	exit.go       its end, as far as its program's exit tells
//	failure.go percent.go disk.go facts.go rest.go
//
// What is kept: of each download, and of all.
//
//	tracker.go life.go
//	clocks.go speed.go rate.go beats.go
//	signs.go why.go
//
// The words: what others know this package by.
//
//	event.go episode.go report.go input.go hooks.go outbox.go step.go
package tracker
