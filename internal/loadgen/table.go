package loadgen

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// WriteTable writes the result for people, in lines of at most 80 characters (a long address aside).
func (r *Result) WriteTable(w io.Writer) error {
	var b strings.Builder
	r.tableHead(&b)
	r.tableRates(&b)
	r.tableTimes(&b)
	r.tableFaults(&b)
	r.tableUsage(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Result) tableHead(b *strings.Builder) {
	l := r.Load
	fmt.Fprintf(b, "%s\n%s in %s, %s", r.URL, plural(l.Connections, "connection"), plural(l.Rooms, "room"), plural(l.Senders, "sender"))
	if l.Protocol {
		b.WriteString("; protocol " + subprotocol)
	}
	b.WriteString("\n")
	if l.Rate > 0 {
		fmt.Fprintf(b, "open loop: %s messages/s of %s bytes in all", decimal(l.Rate), thousands(uint64(l.Size)))
	} else {
		fmt.Fprintf(b, "closed loop: %s of %s bytes on the way per sender", plural(l.Window, "message"), thousands(uint64(l.Size)))
	}
	fmt.Fprintf(b, "\nmeasured %s", seconds(r.Seconds))
	if l.Warmup > 0 {
		fmt.Fprintf(b, " after %s of warm-up", seconds(l.Warmup))
	}
	fmt.Fprintf(b, "; connected in %s", seconds(r.ConnectSeconds))
	if r.Stopped {
		b.WriteString("; stopped early")
	}
	b.WriteString("\n\n")
}

func (r *Result) tableRates(b *strings.Builder) {
	row := func(name, total, second string) { fmt.Fprintf(b, "%-14s%18s%18s\n", name, total, second) }
	row("", "in all", "per second")
	row("messages sent", thousands(r.Messages.Total), decimal(r.Messages.Second))
	if due := r.Messages.Total + r.Unsent; float64(r.Unsent) > tolerated*float64(due) {
		fmt.Fprintf(b, "%-14s%18s  though due: server or generator too slow\n", "not sent", thousands(r.Unsent))
	}
	row("deliveries", thousands(r.Deliveries.Total), decimal(r.Deliveries.Second))
	row("payload", size(float64(r.Bytes.Total)), size(r.Bytes.Second))
	b.WriteString("\n")
}

// tolerated is the share of the messages due that may be on the point of being sent when the time is up.
const tolerated = 0.01

func (r *Result) tableTimes(b *strings.Builder) {
	row := func(name string, cells ...string) {
		fmt.Fprintf(b, "%-14s", name)
		for _, cell := range cells {
			fmt.Fprintf(b, "%11s", cell)
		}
		b.WriteString("\n")
	}
	row("", "min", "p50", "p90", "p99", "p99.9", "max")
	for _, t := range []struct {
		name  string
		times *Times
	}{{"latency", r.Latency}, {"sent late by", r.Lateness}} {
		if x := t.times; x != nil {
			row(t.name, micros(x.Min), micros(x.P50), micros(x.P90), micros(x.P99), micros(x.P999), micros(x.Max))
		}
	}
	if r.Latency == nil {
		row("latency", "-", "-", "-", "-", "-", "-")
	}
	b.WriteString("\n")
}

func (r *Result) tableFaults(b *strings.Builder) {
	f := r.Faults
	fmt.Fprintf(b, "%-14s%s\n", "exactness", thousands(f.Checked)+" deliveries checked, those of the warm-up included")
	fmt.Fprintf(b, "%-14smissing %s, duplicate %s, out of order %s\n", "", thousands(f.Missing), thousands(f.Duplicate), thousands(f.OutOfOrder))
	fmt.Fprintf(b, "%-14sdamaged %s, misdirected %s, connections lost %s\n", "", thousands(f.Damaged), thousands(f.Misdirected), thousands(f.Closed))
	if r.Load.Protocol {
		fmt.Fprintf(b, "%-14sunexpected messages %s\n", "", thousands(f.Unexpected))
	}
	for _, complaint := range r.Complaints {
		fmt.Fprintf(b, "%-14s%s\n", "", complaint)
	}
	if all := f.Closed + f.Unexpected; all > uint64(len(r.Complaints)) {
		fmt.Fprintf(b, "%-14sand %s more\n", "", thousands(all-uint64(len(r.Complaints))))
	}
}

func (r *Result) tableUsage(b *strings.Builder) {
	if r.Server != nil || r.Generator != nil {
		b.WriteString("\n")
	}
	if r.Server != nil {
		r.tableServer(b, r.Server)
	}
	g := r.Generator
	if g == nil || r.Server != nil && r.Server.WithGenerator {
		return
	}
	fmt.Fprintf(b, "%-14s%s\n", "generator", r.cpu(*g))
	if g.User+g.System > busy*r.Seconds*float64(g.Processors) {
		fmt.Fprintf(b, "%-14sit had no time left: the server may be faster than this\n", "")
	}
}

// busy is the share of its processors from which on the generator may be what limits the figures.
const busy = 0.9

func (r *Result) tableServer(b *strings.Builder, s *Server) {
	name := "server"
	if s.WithGenerator {
		name = "this process"
	}
	if s.Note != "" {
		fmt.Fprintf(b, "%-14sno figures: %s\n", name, s.Note)
		return
	}
	fmt.Fprintf(b, "%-14s%s\n", name, r.cpu(s.Usage))
	fmt.Fprintf(b, "%-14smemory %s at the end, %s connected, %s before\n", "",
		size(float64(s.End)), size(float64(s.Connected)), size(float64(s.Before)))
	each := "memory did not grow with the connections"
	if s.PerConnection > 0 {
		each = size(s.PerConnection) + " of memory per connection"
	}
	if r.Deliveries.Total > 0 {
		each = nanos(s.PerDelivery) + " of CPU per delivery, " + each
	}
	fmt.Fprintf(b, "%-14s%s\n", "", each)
	if s.WithGenerator {
		fmt.Fprintf(b, "%-14sthese figures cover both the server and the generator\n", "")
	}
}

// cpu is CPU time and what it is in processors.
func (r *Result) cpu(u Usage) string {
	all := u.User + u.System
	text := fmt.Sprintf("CPU %s (user %s, system %s)", seconds(all), seconds(u.User), seconds(u.System))
	switch {
	case r.Seconds <= 0:
		return text
	case u.Processors > 0:
		return fmt.Sprintf("%s, %.2f of %s", text, all/r.Seconds, plural(u.Processors, "processor"))
	}
	return fmt.Sprintf("%s, %.2f processors", text, all/r.Seconds)
}

// thousands writes 1234567 as 1,234,567.
func thousands(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// decimal writes a number with about three digits or more: 0.0125, 1.25, 12.5, 125, 1,250.
func decimal(x float64) string {
	if x >= 100 || x == math.Trunc(x) {
		return thousands(uint64(math.Round(x)))
	}
	return digits3(x)
}

// digits3 writes a number with three digits, without an exponent.
func digits3(x float64) string {
	switch {
	case x == 0:
		return "0"
	case math.Abs(x) >= 99.95:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case math.Abs(x) >= 9.995:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

// scaled writes a number with three digits in the largest unit that is not larger than it.
func scaled(x float64, step float64, units ...string) string {
	i := 0
	for i < len(units)-1 && math.Abs(x) >= step*0.9995 {
		x, i = x/step, i+1
	}
	if i == 0 && x == math.Trunc(x) {
		return strconv.FormatFloat(x, 'f', 0, 64) + units[0]
	}
	return digits3(x) + units[i]
}

func short(x float64) string   { return scaled(x, 1000, "", "k", "M", "G") }
func size(x float64) string    { return scaled(x, 1024, " B", " KiB", " MiB", " GiB", " TiB") }
func nanos(x float64) string   { return scaled(x, 1000, " ns", " µs", " ms", " s") }
func micros(x float64) string  { return scaled(x, 1000, " µs", " ms", " s") }
func seconds(x float64) string { return fmt.Sprintf("%.2f s", x) }

// plural counts nouns.
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(uint64(n)) + " " + noun
}
