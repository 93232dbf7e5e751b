package web

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"progressd/live"
	"progressd/record"
	"progressd/socket"
)

const (
	// shownFor is how long the series of a download stay when it has ended, so
	// that each scraper sees the end.
	shownFor = 5 * time.Minute
	// maxShown bounds the downloads with series of their own.
	maxShown = 200
)

// metrics answers how all stands in Prometheus' form.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	n, ok := s.heard(w, r)
	if !ok {
		return // without an answer the scraper says "up 0"
	}
	facts, err := live.Facts(r.Context(), s.opts.Sockets)
	if err != nil { // it has just gone, or is an older one
		s.opts.Log.Debug("progressd does not say how it fares", "err", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(&scrape{now: time.Now(), version: n.version, downloads: chosen(n.downloads, time.Now()), facts: facts})
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// chosen are the downloads that have series: of several under one name the
// first, which goes on if any does.
func chosen(all []record.Download, now time.Time) []record.Download {
	var some []record.Download
	seen := map[[3]string]bool{}
	for _, d := range all {
		key := [3]string{d.Model, d.RepoType, d.Root}
		if seen[key] || d.State.Over() && now.Sub(d.Time) > shownFor {
			continue
		}
		seen[key] = true
		if some = append(some, d); len(some) == maxShown {
			break
		}
	}
	return some
}

// scrape is a Collector over how all stands at one moment.
type scrape struct {
	now       time.Time
	version   string
	downloads []record.Download
	facts     *socket.Facts // nil if they may not be known
}

// A metric is one of progressd, by its name without the prefix.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

var labels = []string{"model", "repo_type", "root"}

func ofDownload(name, help string, more ...string) metric {
	return metric{prometheus.NewDesc("progressd_download_"+name, help, slices.Concat(labels, more), nil), prometheus.GaugeValue}
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("progressd_"+name, help, labels, nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("progressd_"+name, help, labels, nil), prometheus.CounterValue}
}

var (
	infoMetric = ofDownload("info", "1, with what else is known of a download.", "revision", "total_source", "command", "unit", "user", "container", "namespace", "pod")
	stateOf    = ofDownload("state", "1 for the state that a download is in, 0 for the others.", "state")
	written    = ofDownload("written_bytes", "Bytes of its files on disk.")
	size       = ofDownload("size_bytes", "Bytes of its files when all are there; absent if unknown.")
	rate       = ofDownload("rate_bytes_per_second", "How fast bytes come; absent if unknown.")
	remaining  = ofDownload("remaining_seconds", "Time left, at most so much if total_source is an upper bound; absent if unknown.")
	filesAll   = ofDownload("files", "Files that it has when all are there; absent if unknown.")
	filesDone  = ofDownload("files_done", "Files that are whole.")
	started    = ofDownload("start_timestamp_seconds", "When it was first seen.")
	grown      = ofDownload("last_growth_timestamp_seconds", "When its last byte came.")

	diskFree   = gauge("disk_free_bytes", "Bytes that can be written to a file system that is downloaded to.", "disk")
	diskNeeded = gauge("disk_needed_bytes", "Bytes left to download to a file system, as far as totals are known.", "disk")
	buildInfo  = gauge("build_info", "1, with the version of the daemon.", "version")

	finished  = counter("downloads_finished_total", "Verdicts that were told.", "result")
	received  = counter("received_bytes_total", "Bytes seen to come into a cache.", "root")
	rootUp    = gauge("root_up", "1 if a cache is there and looked after.", "root")
	leftover  = gauge("leftover_bytes", "Bytes that dead attempts have left in a cache, as told within the last day.", "root")
	dropped   = counter("lines_dropped_total", "Lines that could not be written.", "sink")
	startTime = gauge("start_time_seconds", "Since when the daemon counts: its start, or its last reload.")
	cpuTime   = counter("process_cpu_seconds_total", "Processor time that the daemon has taken.")
	resident  = gauge("process_resident_memory_bytes", "Memory of the daemon.")
	openFiles = gauge("process_open_fds", "Open descriptors of the daemon.")
)

// states are those that a download with series can be in.
var states = []record.State{
	record.Preparing, record.Downloading, record.Stalled, record.Interrupted, record.Failed, record.Completed, record.Ended, record.Removed,
}

// Describe implements prometheus.Collector: nothing is promised ahead.
func (s *scrape) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *scrape) Collect(out chan<- prometheus.Metric) {
	c := collected{out}
	for _, d := range s.downloads {
		c.download(d)
	}
	c.disks(s.downloads)
	if f := s.facts; f != nil {
		c.daemon(f)
	}
	c.put(buildInfo, 1, s.version)
}

// collected is where metrics go.
type collected struct{ out chan<- prometheus.Metric }

func (c collected) put(m metric, value float64, labels ...string) {
	c.out <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
}

func (c collected) download(d record.Download) {
	names := []string{d.Model, d.RepoType, d.Root}
	c.put(infoMetric, 1, append(slices.Clone(names), d.Revision, d.TotalSource, d.Command, d.Unit, d.User, d.Container, d.Namespace, d.Pod)...)
	for _, state := range states {
		value := 0.0
		if d.State == state {
			value = 1
		}
		c.put(stateOf, value, append(slices.Clone(names), string(state))...)
	}
	known := func(m metric, value int64) {
		if value > 0 {
			c.put(m, float64(value), names...)
		}
	}
	if d.Bytes != nil {
		c.put(written, float64(*d.Bytes), names...)
	}
	if d.FilesDone != nil {
		c.put(filesDone, float64(*d.FilesDone), names...)
	}
	known(size, d.Total)
	known(filesAll, d.Files)
	if d.State.Running() {
		known(rate, d.Rate)
		known(remaining, d.SecondsLeft)
	}
	if !d.Started.IsZero() {
		c.put(started, seconds(d.Started), names...)
	}
	if !d.Grown.IsZero() {
		c.put(grown, seconds(d.Grown), names...)
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (c collected) disks(all []record.Download) {
	free, needed := map[string]int64{}, map[string]int64{}
	for _, d := range all {
		if d.Device != "" && d.FreeBytes != nil && d.State.Running() {
			free[d.Device] = *d.FreeBytes
			needed[d.Device] += d.NeededBytes
		}
	}
	for disk, bytes := range free {
		c.put(diskFree, float64(bytes), disk)
		if needed[disk] > 0 { // else no total is known
			c.put(diskNeeded, float64(needed[disk]), disk)
		}
	}
}

func (c collected) daemon(f *socket.Facts) {
	for _, result := range slices.Sorted(maps.Keys(f.Finished)) {
		c.put(finished, float64(f.Finished[result]), result)
	}
	for _, sink := range slices.Sorted(maps.Keys(f.Dropped)) {
		c.put(dropped, float64(f.Dropped[sink]), sink)
	}
	named := map[string]bool{}
	for _, root := range f.Roots {
		if named[root.Path] {
			continue
		}
		named[root.Path] = true
		up := 0.0
		if root.Up {
			up = 1
		}
		c.put(rootUp, up, root.Path)
		c.put(received, float64(root.Received), root.Path)
		c.put(leftover, float64(root.Leftover), root.Path)
	}
	c.put(startTime, seconds(f.Started))
	c.put(cpuTime, float64(f.CPUMilliseconds)/1000)
	c.put(resident, float64(f.Resident))
	c.put(openFiles, float64(f.Files))
}
