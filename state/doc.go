// Package state remembers over restarts what was told: the baseline of each
// root, the last download of each repository, one record for each download
// under way, and the verdicts that are not safely written yet.
//
// The Store is the memory; the Ledger takes what the engine decides, has it
// remembered and only then passes it on. So a kill at any point may lose a
// line of progress, but no verdict, and tells none twice.
//
// # Its files, from the top down
//
// A file uses what is in its own layer or below, and within a layer no two use each other
// (a test holds that: internal/house).
//
// The ends: a store that is opened, and the ledger that all decisions go through.
//
//	open.go ledger.go
//
// The start: what a former life has left, also one of a version before.
//
//	load.go former.go adopt.go files.go
//
// The life: what is noted, what waits to be written, and what is asked.
//
//	outbox.go close.go verdicts.go leftovers.go names.go roots.go
//
// The disk: when what has changed is written, and what there is no room for.
//
//	write.go share.go copy.go
//
// What is kept: in memory, and in which form on the disk.
//
//	store.go records.go record.go disk.go lock.go directory.go
package state
