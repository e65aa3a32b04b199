package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// summary is what all measurements came to.
type summary struct {
	results map[source]result
	machine *machine
}

// row is one server in one scenario: what the columns of a table take their values from.
type row struct {
	sum    *summary
	sc     scenario
	server server
}

// column is one column of a scenario's table. value is false where there is nothing to show.
type column struct {
	title  string
	value  func(row) (float64, bool)
	format func(float64) string
}

// get is a median of server s in the row's scenario.
func (r row) get(server, run, key string) (float64, bool) {
	res, ok := r.sum.results[source{scenario: r.sc.id, run: run, server: server}]
	v, has := res.median[key]
	return v, ok && has
}

// measured says whether all runs of the scenario were made.
func (r row) measured() bool {
	for _, run := range r.sc.runs {
		if _, ok := r.sum.results[source{scenario: r.sc.id, run: run.key, server: r.server.name}]; !ok {
			return false
		}
	}
	return true
}

// field is a figure of the scenario's first run.
func field(key string) func(row) (float64, bool) {
	return func(r row) (float64, bool) { return r.get(r.server.name, r.sc.runs[0].key, key) }
}

// runField is a figure of the run with this key.
func runField(run, key string) func(row) (float64, bool) {
	return func(r row) (float64, bool) { return r.get(r.server.name, run, key) }
}

// ratio is the server's figure divided by ours.
func ratio(key string) column {
	value := func(r row) (float64, bool) {
		theirs, ok1 := r.get(r.server.name, r.sc.runs[0].key, key)
		us, ok2 := r.get(ours, r.sc.runs[0].key, key)
		return theirs / us, ok1 && ok2 && us != 0
	}
	return column{"÷ ours", value, times}
}

// limit is what the kernel alone takes for a delivery at as many frames per send. Servers with a protocol of their own send other
// frames, so there is none for them.
func limit() column {
	return column{"kernel alone", func(r row) (float64, bool) {
		batch, ok := field("deliveries_per_read")(r)
		if !ok || r.server.proto != "" {
			return 0, false
		}
		return r.sum.limitAt(r.sc.ladder.key, batch)
	}, nanoseconds}
}

// overLimit is how many times the kernel's own cost a delivery takes.
func overLimit() column {
	return column{"CPU ÷ kernel", func(r row) (float64, bool) {
		least, ok1 := limit().value(r)
		took, ok2 := field(cpuField)(r)
		return took / least, ok1 && ok2 && least != 0
	}, times}
}

const (
	limitField = "cpu_ns_per_frame"
	sendField  = "cpu_ns_per_send"
)

// limitAt is fanlimit's CPU time per frame at batch frames a send. A send costs so much, and so much more for every frame in it: so
// between two steps of the ladder the cost of a send is on the straight line between them, and above the last goes on in its direction.
func (s *summary) limitAt(ladder string, batch float64) (float64, bool) {
	type step struct{ batch, send float64 }
	var steps []step
	for key, res := range s.results {
		if key.ladder == ladder && ladder != "" {
			steps = append(steps, step{float64(key.batch), res.median[sendField]})
		}
	}
	if len(steps) == 0 {
		return 0, false
	}
	slices.SortFunc(steps, func(a, b step) int { return int(a.batch - b.batch) })
	batch = max(batch, 1)
	if len(steps) == 1 {
		return steps[0].send / steps[0].batch, true
	}
	i := 1
	for i < len(steps)-1 && steps[i].batch < batch {
		i++
	}
	low, high := steps[i-1], steps[i]
	perFrame := (high.send - low.send) / (high.batch - low.batch)
	return (low.send + perFrame*(batch-low.batch)) / batch, true
}

// kept is the share of the deliveries that is left when some members stall.
func kept(r row) (float64, bool) {
	with, ok1 := runField("stalled", "deliveries_per_s")(r)
	without, ok2 := runField("none", "deliveries_per_s")(r)
	return with / without, ok1 && ok2 && without != 0
}

// growth is how much memory the process took between the last handshake and the end of the window.
func growth(run string) func(row) (float64, bool) {
	return func(r row) (float64, bool) {
		before, ok1 := runField(run, "rss_connected")(r)
		end, ok2 := runField(run, "rss_end")(r)
		return max(end-before, 0), ok1 && ok2
	}
}

// table is a scenario's table in Markdown, best first, or "" if nothing of it was measured.
func (s *summary) table(sc scenario) string {
	rows := s.rows(sc)
	if len(rows) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| |")
	for _, c := range sc.columns {
		b.WriteString(" " + c.title + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(sc.columns)) + "\n")
	for _, r := range rows {
		b.WriteString("| " + bold(r, r.server.label) + " |")
		for _, c := range sc.columns {
			cell := "–"
			if v, ok := c.value(r); ok {
				cell = c.format(v)
			}
			b.WriteString(" " + bold(r, cell) + " |")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func bold(r row, s string) string {
	if r.server.name == ours {
		return "**" + s + "**"
	}
	return s
}

// rows are the servers that were measured in sc, best first.
func (s *summary) rows(sc scenario) []row {
	var rows []row
	for _, srv := range servers {
		if r := (row{s, sc, srv}); r.measured() {
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		x, _ := field(sc.order)(a)
		y, _ := field(sc.order)(b)
		if sc.higher {
			x, y = y, x
		}
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return rows
}

// Formats of numbers: three digits that count, and a unit.

func digits(v float64) string {
	places := 3
	switch a := math.Abs(v); {
	case a >= 99.95 || v == 0:
		places = 0
	case a >= 9.995:
		places = 1
	case a >= 0.0995:
		places = 2
	}
	return strconv.FormatFloat(v, 'f', places, 64)
}

func count(v float64) string {
	switch {
	case v >= 999_500:
		return digits(v/1e6) + " M"
	case v >= 9_995:
		return digits(v/1e3) + " k"
	}
	return whole(v)
}

func nanoseconds(v float64) string {
	if v >= 999.5 {
		return microseconds(v / 1e3)
	}
	return digits(v) + " ns"
}

func microseconds(v float64) string {
	switch {
	case v >= 999_500:
		return digits(v/1e6) + " s"
	case v >= 999.5:
		return digits(v/1e3) + " ms"
	}
	return digits(v) + " µs"
}

func bytes1024(v float64) string {
	switch {
	case v >= 1<<20:
		return digits(v/(1<<20)) + " MiB"
	case v >= 1000:
		return digits(v/(1<<10)) + " KiB"
	}
	return whole(v) + " B"
}

func plain(v float64) string   { return digits(v) }
func times(v float64) string   { return digits(v) + " ×" }
func percent(v float64) string { return digits(v*100) + " %" }

// whole puts a comma between thousands.
func whole(v float64) string {
	s := fmt.Sprintf("%.0f", math.Abs(v))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if math.Round(v) < 0 {
		return "-" + s
	}
	return s
}
