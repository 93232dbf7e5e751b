package hfcache

// What clients write elsewhere than into blobs/.

// RustTempDir is the directory of a cache root into which Rust's hf-hub up to
// 0.3 writes a whole download; see IsRustTemp.
const RustTempDir = "tmp"

// IsRustTemp reports whether a name in RustTempDir is that of a download:
// seven letters and digits.
func IsRustTemp(name string) bool {
	if len(name) != 7 {
		return false
	}
	for i := range len(name) {
		if !isAlnum(name[i]) {
			return false
		}
	}
	return true
}

// PartCounter is how many bytes behind its content a preallocated partial
// has: .sync.part of Rust's hf-hub 0.4 and 0.5 counts there what is written.
const PartCounter = 8

// LockDir is where the locks of a repository's files lie in a cache root:
// <etag>.lock of huggingface_hub >= 0.19 and of Rust's hf-hub >= 1.0. Older
// ones put them beside the blobs.
func LockDir(folder string) string { return ".locks/" + folder }

// OutsideLockDir is where swift-huggingface puts its locks: it mirrors the
// path of the blob. A client that locks there writes outside of the cache
// until a file is whole (read in the source of 0.8.1).
func OutsideLockDir(folder string) string { return LockDir(folder) + "/blobs" }
