package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// record is one line of results.json: a run of the generator, of fanlimit, or what there is to say about the machine.
type record struct {
	Scenario string    `json:"scenario,omitempty"`
	Run      string    `json:"run,omitempty"`
	Server   string    `json:"server,omitempty"`
	Ladder   string    `json:"ladder,omitempty"`
	Round    int       `json:"round,omitempty"`
	At       time.Time `json:"at,omitzero"`
	// Disturbed says what disturbed the run, if anything did; Discarded that a better run of the same round stands for it.
	Disturbed string `json:"disturbed,omitempty"`
	Discarded bool   `json:"discarded,omitempty"`

	Figures json.RawMessage `json:"figures,omitempty"` // what the generator printed, as it is
	Machine *machine        `json:"machine,omitempty"`
}

// figures are the numbers of one run, or the medians of several.
type figures map[string]float64

// parseFigures takes the numbers out of the generator's line. It fails if the line says that the run could not be made.
func parseFigures(line []byte) (figures, error) {
	var all map[string]any
	if err := json.Unmarshal(line, &all); err != nil {
		return nil, fmt.Errorf("not the generator's JSON: %w", err)
	}
	if why, failed := all["error"]; failed {
		return nil, fmt.Errorf("the generator could not run: %v", why)
	}
	f := figures{}
	for k, v := range all {
		if n, ok := v.(float64); ok {
			f[k] = n
		}
	}
	return f, nil
}

// readRecords reads what writeRecords wrote.
func readRecords(r io.Reader) ([]record, error) {
	var all []record
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		var rec record
		if err := json.Unmarshal(in.Bytes(), &rec); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, rec)
	}
	return all, in.Err()
}

// writeRecords writes one line for each record.
func writeRecords(w io.Writer, all ...record) error {
	out := json.NewEncoder(w) // one line each
	out.SetEscapeHTML(false)
	for _, rec := range all {
		if err := out.Encode(rec); err != nil {
			return err
		}
	}
	return nil
}

// source is what a set of figures was measured on.
type source struct {
	scenario, run, server string // of the generator
	ladder                string // or of fanlimit
	batch                 int
}

// result is what all rounds of one source came to.
type result struct {
	median    figures
	rounds    int      // that count
	disturbed []string // what disturbed them, where no undisturbed run was to be had
	last      time.Time
}

// summarise takes the median, figure by figure, over the rounds of each source. Where some rounds were disturbed and others were not,
// only those that were not count.
func summarise(all []record) (map[source]result, error) {
	type round struct {
		rec record
		f   figures
	}
	rounds := map[source][]round{}
	for _, rec := range all {
		if rec.Figures == nil || rec.Discarded {
			continue
		}
		f, err := parseFigures(rec.Figures)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", rec.Scenario, rec.Server, err)
		}
		key := source{scenario: rec.Scenario, run: rec.Run, server: rec.Server, ladder: rec.Ladder}
		if rec.Ladder != "" {
			key.batch = int(f["batch"])
		}
		rounds[key] = append(rounds[key], round{rec, f})
	}
	out := map[source]result{}
	for key, rs := range rounds {
		if slices.ContainsFunc(rs, func(r round) bool { return r.rec.Disturbed == "" }) {
			rs = slices.DeleteFunc(rs, func(r round) bool { return r.rec.Disturbed != "" })
		}
		res := result{median: figures{}, rounds: len(rs)}
		values := map[string][]float64{}
		for _, r := range rs {
			for k, v := range r.f {
				values[k] = append(values[k], v)
			}
			if r.rec.Disturbed != "" {
				res.disturbed = append(res.disturbed, r.rec.Disturbed)
			}
			if r.rec.At.After(res.last) {
				res.last = r.rec.At
			}
		}
		for k, v := range values {
			res.median[k] = median(v)
		}
		out[key] = res
	}
	return out, nil
}

// median is the middle one, or the mean of the middle two. It is 0 of nothing.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	if mid := len(v) / 2; len(v)%2 == 1 {
		return v[mid]
	} else {
		return (v[mid-1] + v[mid]) / 2
	}
}

// replace is old without what fresh has measured anew, and then fresh. What old says of the machine stays: it has the versions.
func replace(old, fresh []record) []record {
	type what struct{ scenario, server, ladder string }
	key := func(r record) what { return what{r.Scenario, r.Server, r.Ladder} }
	again := map[what]bool{}
	for _, r := range fresh {
		again[key(r)] = true
	}
	kept := slices.DeleteFunc(slices.Clone(old), func(r record) bool { return r.Machine == nil && again[key(r)] })
	return append(kept, fresh...)
}
