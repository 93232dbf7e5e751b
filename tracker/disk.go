package tracker

import "progressd/sizer"

// full reports whether next to nothing can be written any more, and that is
// less than what is left to download.
func (d *download) full() bool {
	return d.look.Room.Full() && (d.total() == 0 || d.left() > d.look.Room.Free)
}

// fill notes whether the disk is full, and forgets it only when an attempt
// has gone on with room.
func (d *download) fill() {
	switch {
	case d.full():
		d.ep.DiskFull = true
	case d.look.Room.Size > 0 && attempting(d.look) && !abandoned(d.look):
		d.ep.DiskFull = false
	}
}

// left is how many bytes have yet to be written, 0 without a total.
func (d *download) left() int64 {
	return max(d.total()-d.ep.Bytes-d.look.Ahead, 0)
}

// exact reports whether the total is known to be what is wanted.
func (d *download) exact() bool {
	source := d.look.TotalSource
	return source.Loader() || source != sizer.NoTotal && !source.AtMost() && !source.Estimate()
}

// disk adds to a verdict what speaks for the disk as its cause.
func (d *download) disk(e *Event) {
	room := d.look.Room
	switch {
	case d.full():
		e.Disk = DiskFull
	case d.ep.DiskFull:
		e.Disk = DiskWasFull
	case room.Size > 0 && d.exact() && d.left() > room.Free:
		e.Disk = DiskShort
	default:
		return
	}
	e.Needed, e.Free = d.left(), room.Free
}

// writing reports whether the download is about to use up room that is known.
func (d *download) writing() bool {
	return d.active() && d.seen && d.look.Room.Size > 0 && !quiet(d.look) && !abandoned(d.look)
}
