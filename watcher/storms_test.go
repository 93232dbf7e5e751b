package watcher

import (
	"testing"
	"testing/synctest"
	"time"
)

// What one user makes as fast as it can took the room of the events of others, and these
// were seen up to some polls later.
func TestAUserWhoTellsTooMuchIsPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStorms()
		s.rest = time.Minute
		wild, other, victim, pattern := &repo{box: newInbox(1001)}, &repo{box: newInbox(1001)}, &repo{box: newInbox(1002)}, &repo{box: newInbox(nobody)}
		stormy := func(p *repo, events int) (n int) {
			for range events {
				if s.counts(p) {
					n++
				}
			}
			return n
		}
		if n := stormy(wild, stormOfOne); n != 0 || !s.calm(1001, time.Now()) {
			t.Errorf("%d of so many as a directory may tell are too many", n)
		}
		if n := stormy(wild, 1); n != 1 || !s.calm(1001, time.Now()) {
			t.Error("a directory tells too much, and is heard")
		}
		if n := stormy(other, 1); n != 0 {
			t.Error("another directory pays for it")
		}
		for range stormOfUser {
			s.counts(&repo{box: other.box})
		}
		if n := stormy(other, 1); n != 1 || s.calm(1001, time.Now()) {
			t.Error("with very many directories a user tells as much as it likes")
		}
		if n := stormy(victim, 1); n != 0 || !s.calm(1002, time.Now()) {
			t.Error("another user pays for it")
		}
		if n := stormy(pattern, 2*stormOfUser); n != 0 {
			t.Error("a pattern has no user")
		}
		<-time.After(time.Minute)
		if !s.calm(1001, time.Now()) {
			t.Error("it is never watched again")
		}
		stormy(other, 2*stormOfUser)
		<-time.After(time.Minute)
		if s.calm(1001, time.Now()) {
			t.Error("who begins anew is watched again as soon as before")
		}
		<-time.After(time.Minute)
		if !s.calm(1001, time.Now()) {
			t.Error("it is never watched again, the second time")
		}
	})
}
