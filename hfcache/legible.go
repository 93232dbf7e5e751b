package hfcache

import (
	"path"
	"strings"
)

// Legible reports whether a file of that name, in the directory at an absolute
// path, is one of those whose content says something of a download: the listing of
// a revision, or the metadata of a file. All others are judged by their names,
// sizes and times.
func Legible(dir, name string) bool {
	if dir != path.Clean(dir) || !strings.HasPrefix(dir, "/") || strings.Contains(name, "/") {
		return false
	}
	if commit, ok := strings.CutSuffix(name, ".json"); ok && IsCommit(commit) {
		home, last := path.Split(dir)
		_, ofRepo := ParseFolder(path.Base(home))
		return last == "trees" && ofRepo || strings.HasSuffix(dir, "/"+LocalTrees)
	}
	_, ofFile := ParseLocalNote(name)
	return ofFile && strings.Contains(dir+"/", "/"+LocalStage+"/")
}
