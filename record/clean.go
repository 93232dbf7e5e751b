package record

import (
	"reflect"
	"slices"

	"progressd/untrusted"
)

// Printable is the record with all its texts fit to be shown.
func (r Record) Printable() Record {
	v := reflect.ValueOf(&r).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.String {
			f.SetString(untrusted.Printable(f.String()))
		}
	}
	r.InFlight = slices.Clone(r.InFlight)
	for i := range r.InFlight {
		r.InFlight[i].Name = untrusted.Printable(r.InFlight[i].Name)
	}
	return r
}

// Printable is the download with all its texts fit to be shown.
func (d Download) Printable() Download {
	d.Key, d.State, d.Device = untrusted.Printable(d.Key), State(untrusted.Printable(string(d.State))), untrusted.Printable(d.Device)
	d.Record = d.Record.Printable()
	return d
}
