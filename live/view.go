package live

import (
	"cmp"
	"slices"

	"progressd/record"
)

// A View is all downloads as they were heard of last. It is a value of one
// goroutine: Apply each Update, then look.
type View struct {
	byKey map[string]record.Download
	// Version is that of the daemon, empty before one was heard.
	Version string
	// Lost is why no daemon is heard now, nil if one is.
	Lost *Lost
}

// Apply takes an Update in.
func (v *View) Apply(u Update) {
	switch {
	case u.Standing != nil:
		v.byKey = map[string]record.Download{}
		for _, d := range u.Standing.Downloads {
			v.byKey[d.Key] = d
		}
		v.Version, v.Lost = u.Standing.Version, nil
	case u.Level != nil:
		v.set(*u.Level)
	case u.Event != nil:
		v.told(u.Key, *u.Event)
	case u.Gone != "":
		delete(v.byKey, u.Gone)
	case u.Lost != nil:
		v.Lost = u.Lost
	}
}

func (v *View) set(d record.Download) {
	if v.byKey == nil {
		v.byKey = map[string]record.Download{}
	}
	if _, known := v.byKey[d.Key]; !known { // it follows the one that has ended
		for key, old := range v.byKey {
			if old.State.Over() && old.Root == d.Root && old.Model == d.Model && old.RepoType == d.RepoType {
				delete(v.byKey, key)
			}
		}
	}
	v.byKey[d.Key] = d
}

// told brings a download up to an event.
func (v *View) told(key string, e record.Record) {
	if key == "" {
		return
	}
	d, known := v.byKey[key]
	if !known {
		d = record.Download{Key: key, State: record.Downloading, Started: e.Time}
	}
	if state, ok := record.StateAfter(e.Event); ok {
		d.State = state
	}
	if e.Bytes != nil && (d.Bytes == nil || *e.Bytes > *d.Bytes) {
		d.Grown = e.Time
	}
	free, device := d.FreeBytes, d.Device
	d.Record = e
	if d.FreeBytes == nil {
		d.FreeBytes = free
	}
	d.Device = device
	v.set(d)
}

// Downloads are all of them: those that go on first, the newest first among
// those that have ended.
func (v *View) Downloads() []record.Download {
	all := make([]record.Download, 0, len(v.byKey))
	for _, d := range v.byKey {
		all = append(all, d)
	}
	Sort(all)
	return all
}

// Sort brings downloads into the order in which people look for them: what goes
// on by name, then what needs somebody, then what has ended, the newest first.
func Sort(all []record.Download) {
	slices.SortFunc(all, func(a, b record.Download) int {
		if c := cmp.Compare(rank(a), rank(b)); c != 0 {
			return c
		}
		if a.State.Over() {
			return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Key, b.Key))
		}
		return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Root, b.Root), cmp.Compare(a.Key, b.Key))
	})
}

func rank(d record.Download) int {
	switch {
	case d.State.Running():
		return 0
	case d.State.Over():
		return 2
	default:
		return 1
	}
}

// Of are the downloads of a repository, by its name and type.
func (v *View) Of(model, repoType string) []record.Download {
	return slices.DeleteFunc(v.Downloads(), func(d record.Download) bool { return d.Model != model || d.RepoType != repoType })
}
