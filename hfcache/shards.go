package hfcache

import (
	"regexp"
	"strconv"
	"strings"
)

// shardName matches "model-00003-of-00012.safetensors": the last such number
// in a path counts.
var shardName = regexp.MustCompile(`^(.*)-(\d{1,9})-of-(\d{1,9})((?:[^/0-9][^/]*)?)$`)

// ShardGap reports whether among the paths some group of numbered files
// (model-00003-of-00012.safetensors) lacks members. Weights are numbered from
// 1, datasets from 0, and openai/gpt-oss-20b has 00000 to 00002 "of 00002":
// all are understood, the last as soon as its last member is seen.
func ShardGap(paths []string) bool {
	type group struct {
		prefix, suffix string
		of             int
	}
	members := make(map[group]map[int]bool)
	for _, path := range paths {
		if !strings.Contains(path, "-of-") { // most are told apart without the expression
			continue
		}
		m := shardName.FindStringSubmatch(path)
		if m == nil {
			continue
		}
		// Nine digits always fit.
		index, _ := strconv.Atoi(m[2])
		of, _ := strconv.Atoi(m[3])
		g := group{prefix: m[1], suffix: m[4], of: of}
		if members[g] == nil {
			members[g] = make(map[int]bool)
		}
		members[g][index] = true
	}
	for g, seen := range members {
		first, last := 1, g.of
		if seen[0] {
			first = 0
		}
		if seen[0] && !seen[g.of] {
			last = g.of - 1
		}
		if countWithin(seen, first, last) < last-first+1 {
			return true
		}
	}
	return false
}

// countWithin counts the numbers from first to last that are in the set. Its
// cost follows the set: the number of shards is what a name claims.
func countWithin(set map[int]bool, first, last int) int {
	n := 0
	for i := range set {
		if first <= i && i <= last {
			n++
		}
	}
	return n
}
