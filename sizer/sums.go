package sizer

import (
	"hash/maphash"
	"math"
	"time"
)

// AddSaturating adds two counts that are not negative, and stops at the largest there is.
func AddSaturating(a, b int64) int64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxInt64
}

func mulSaturating(n uint64, unit int64) int64 {
	if n > math.MaxInt64 || int64(n) > math.MaxInt64/unit {
		return math.MaxInt64
	}
	return int64(n) * unit
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func hashOf(key string) uint64 { return maphash.String(settledSeed, key) }

var settledSeed = maphash.MakeSeed()
