package sizer

import (
	"reflect"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
)

// Checkpoint is what has to survive a restart about one repository in play, or
// at rest. It is JSON in the state directory. What is given away of one is Copied.
type Checkpoint struct {
	// Since: a blob whose mtime and ctime are both later came after the
	// last download that was told. Time of the cache's file system.
	Since time.Time `json:"since"`
	// From is the play's own Since, needed where no revision tells what is its.
	From time.Time `json:"from,omitzero"`
	// Attempt is when the process began that has taken over last.
	Attempt time.Time `json:"attempt,omitzero"`
	Facts
	// FailedBlobs are the blobs whose attempt failed, so that it is known
	// what mends that; Failed counts those that can't be named.
	Failed      int      `json:"failed,omitempty"`
	FailedBlobs []string `json:"failed_blobs,omitempty"`
	// CutOffs are blobs that a client has left half done that writes them under
	// their own names, in this play or before.
	CutOffs []CutOff `json:"cut_offs,omitempty"`
	// Unlinked are finished blobs of the play that no revision is known
	// for yet.
	Unlinked []string `json:"unlinked,omitempty"`
	// Counted are the blobs of which partials count that nobody writes to: an
	// attempt before has left them for the next to go on with.
	Counted []string `json:"kept,omitempty"`
}

// Facts are those of a play with which a restart goes on just as they are. One more is added
// here alone (and to the example of the test); where it moves at each look, SameFacts leaves
// it out.
type Facts struct {
	// Play identifies the play that is on, empty if none.
	Play string `json:"play,omitempty"`
	// Revisions are those in flight, newest first. Succeeded: they are still those of an
	// attempt that another one has followed.
	Revisions []string `json:"revisions,omitempty"`
	Succeeded bool     `json:"succeeded,omitempty"`
	// Base is what was there before the play, Bytes what there is of it now.
	Base  int64 `json:"base,omitempty"`
	Bytes int64 `json:"bytes,omitempty"`
	// Downloaders are who was seen to download, at most 16.
	Downloaders []downloader.Process `json:"downloaders,omitempty"`
	// Copying are the blobs under the lock of a client that writes them
	// under their own names, with its pid.
	Copying map[string]int `json:"copying,omitempty"`
	// Settled: a file of weights was begun long enough ago to tell one format of them
	// from several.
	Settled bool `json:"settled,omitempty"`
	Seen
	// Name is what a Local repository holds, as its downloader asked for
	// it; zero while nobody knows, and for others.
	Name hfcache.Repo `json:"name,omitzero"`
}

// Seen is what was seen of a play's clients. LockSeen: some lock was, PartialSeen: a partial
// of its own was; so its client writes nothing into the root. BroughtUnseen: a file came of
// which neither was, perhaps of one more client, which does.
type Seen struct {
	LockSeen      bool `json:"locks,omitempty"`
	PartialSeen   bool `json:"partials,omitempty"`
	BroughtUnseen bool `json:"brought_unseen,omitempty"`
}

// Copied shares no list and no map with what it was copied from. A downloader, once known,
// stays as it is.
func (m Checkpoint) Copied() Checkpoint {
	separate(reflect.ValueOf(&m).Elem())
	return m
}

// separate gives each list and map of a struct, and of those in it, a copy of its own.
func separate(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Kind() == reflect.Struct && f.Type() != reflect.TypeFor[time.Time]():
			separate(f)
		case f.Kind() == reflect.Slice && !f.IsNil():
			f.Set(reflect.AppendSlice(reflect.MakeSlice(f.Type(), 0, f.Len()), f))
		case f.Kind() == reflect.Map && !f.IsNil():
			own := reflect.MakeMapWithSize(f.Type(), f.Len())
			for at := f.MapRange(); at.Next(); {
				own.SetMapIndex(at.Key(), at.Value())
			}
			f.Set(own)
		}
	}
}

// SameFacts reports whether two checkpoints differ in no more than the numbers
// that move at each look: what else changes, a restart would judge by.
func (m Checkpoint) SameFacts(other Checkpoint) bool {
	for _, one := range []*Checkpoint{&m, &other} {
		one.Since, one.Base, one.Bytes = time.Time{}, 0, 0
	}
	return same(reflect.ValueOf(m), reflect.ValueOf(other))
}

// same compares two structs field by field: a time as a moment, and a list or map that is
// empty as one that there isn't.
func same(a, b reflect.Value) bool {
	if at, ok := a.Interface().(time.Time); ok {
		return at.Equal(b.Interface().(time.Time))
	}
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Map:
		return a.Len() == b.Len() && (a.Len() == 0 || reflect.DeepEqual(a.Interface(), b.Interface()))
	default:
		return a.Equal(b)
	}
}

// A CutOff is a blob whose client ended while it copied it to its name
// (swift-huggingface 0.8.1): nothing in the cache tells it from a whole one, and
// whoever comes next, of any client, takes it for that and links it. What is
// written or put there anew is another file, or has another size or time.
type CutOff struct {
	Etag string `json:"etag"`
	// Inode is 0 where files are numbered anew each time.
	Inode uint64 `json:"inode"`
	Size  int64  `json:"size"`
	// Modified is in nanoseconds since 1970.
	Modified int64 `json:"modified"`
}
