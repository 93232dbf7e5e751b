package account

import "time"

// A bucket is what a user may spend of something: it fills with time.
type bucket struct {
	left   int64
	filled time.Time
}

// maxBuckets bounds the users of whom it is remembered what they have spent.
const maxBuckets = 4096

// bucket is that of a user, filled up to now. The clock may be set back: then
// it fills from there on.
func (b *Book) bucket(u User, what Resource, now time.Time) *bucket {
	limit := what.Limit()
	of := b.flows[what]
	if of == nil {
		of = make(map[User]*bucket)
		b.flows[what] = of
	}
	k := of[u]
	if k == nil {
		b.forgetFull(of, limit, now)
		k = &bucket{left: limit.Burst, filled: now}
		of[u] = k
	}
	k.fill(limit, now)
	return k
}

// forgetFull forgets the buckets that are full, if there are many: a new one is
// full as well.
func (b *Book) forgetFull(of map[User]*bucket, limit Limit, now time.Time) {
	if len(of) < maxBuckets {
		return
	}
	for u, k := range of {
		if k.fill(limit, now); k.left >= limit.Burst {
			delete(of, u)
		}
	}
}

func (k *bucket) fill(limit Limit, now time.Time) {
	passed := min(now.Sub(k.filled), 24*time.Hour)
	if passed < 0 {
		k.filled = now
		return
	}
	// What is less than one is left for the next time.
	gained := int64(passed.Seconds() * float64(limit.Rate))
	if gained == 0 {
		return
	}
	k.left += gained
	k.filled = k.filled.Add(time.Duration(float64(gained) / float64(limit.Rate) * float64(time.Second)))
	if k.left >= limit.Burst {
		k.left, k.filled = limit.Burst, now
	}
}

// wait is how long until there is something left to spend.
func (k *bucket) wait(limit Limit) time.Duration {
	if k.left > 0 {
		return 0
	}
	return time.Duration(float64(1-k.left) / float64(limit.Rate) * float64(time.Second))
}
