package main

import (
	"fmt"
	"strings"
)

// goal is one thing the comparison has to show: ours divided by what it is compared with, and the bar for it.
type goal struct {
	scenario string
	text     string
	bar      float64
	atLeast  bool // else at most
	format   func(float64) string
	value    func(row) (float64, bool) // of our row
}

var goals = []goal{
	{"a", "deliveries/s ÷ Bun's", 1.1, true, times, against("deliveries_per_s", "bun")},
	{"a", "deliveries/s ÷ gorilla's", 15, true, times, against("deliveries_per_s", "gorilla")},
	{"b", "deliveries/s ÷ Bun's", 2.5, true, times, against("deliveries_per_s", "bun")},
	{"b", "deliveries/s ÷ gobwas'", 1, true, times, against("deliveries_per_s", "gobwas")},
	{"b", "CPU per delivery ÷ the kernel's", 1.5, false, times, overLimit().value},
	{"c", "CPU per delivery ÷ Bun's", 1.2, false, times, against(cpuField, "bun")},
	{"c", "latency p50 ÷ Bun's", 1.1, false, times, against("lat_p50_us", "bun")},
	{"c", "latency p99 ÷ Bun's", 1.25, false, times, against("lat_p99_us", "bun")},
	{"d", "CPU per delivery ÷ the best Go peer's", 1, false, times, againstBestGo(cpuField)},
	{"d", "CPU per delivery ÷ Bun's", 1, false, times, against(cpuField, "bun")},
	{"e", "bytes per idle connection", 600, false, bytes1024, field("rss_per_conn")},
	{"f", "CPU per cycle ÷ Bun's", 1, false, times, against("server_cpu_us_per_handshake", "bun")},
	{"g", "deliveries/s left with 5 % stalled", 0.95, true, percent, kept},
}

// against is our figure divided by that of a peer.
func against(key, peer string) func(row) (float64, bool) {
	return func(r row) (float64, bool) {
		us, ok1 := r.get(ours, r.sc.runs[0].key, key)
		them, ok2 := r.get(peer, r.sc.runs[0].key, key)
		return us / them, ok1 && ok2 && them != 0
	}
}

// againstBestGo is our figure divided by the lowest of the peers in Go.
func againstBestGo(key string) func(row) (float64, bool) {
	return func(r row) (float64, bool) {
		highest, found := 0.0, false
		for _, s := range servers {
			if s.kind != kindGo {
				continue
			}
			if v, ok := against(key, s.name)(r); ok {
				highest, found = max(highest, v), true
			}
		}
		return highest, found
	}
}

// goalTable says which goals were met; "" if none could be judged.
func (s *summary) goalTable() string {
	var b strings.Builder
	us, _ := serverNamed(ours)
	for _, g := range goals {
		sc, _ := scenarioNamed(g.scenario)
		v, ok := g.value(row{s, sc, us})
		if !ok {
			continue
		}
		sign, met := "≤", v <= g.bar
		if g.atLeast {
			sign, met = "≥", v >= g.bar
		}
		fmt.Fprintf(&b, "| %s | %s | %s %s | %s | %s |\n", g.scenario, g.text, sign, g.format(g.bar), g.format(v), yesNo(met))
	}
	if b.Len() == 0 {
		return ""
	}
	return "| | | goal | measured | met |\n|---|---|--:|--:|---|\n" + b.String()
}

func yesNo(v bool) string {
	if v {
		return "yes"
	}
	return "**no**"
}
