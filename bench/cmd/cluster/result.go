package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// figure is one number of a run. Its name says its unit at the end, as it stands in the JSON.
type figure struct {
	name  string
	value float64
}

// run is what came of one case in one round.
type run struct {
	part, name string
	figures    []figure
}

// results are all runs so far.
type results struct {
	lines io.Writer // nil if nobody wants them as JSON
	runs  []run
}

// add takes a run, and tells that it is there: all of it takes many minutes.
func (r *results) add(part, name string, round int, figures ...figure) error {
	r.runs = append(r.runs, run{part, name, figures})
	line := map[string]any{"part": part, "case": name, "round": round}
	var text []string
	for _, f := range figures {
		line[f.name] = f.value
		text = append(text, f.name+" "+number(f.value))
	}
	fmt.Fprintf(os.Stderr, "%s  %s  %s: %s\n", time.Now().Format(time.TimeOnly), part, name, strings.Join(text, ", "))
	if r.lines == nil {
		return nil
	}
	return json.NewEncoder(r.lines).Encode(line)
}

// table prints the medians of a part, a row for each case and a column for each figure. A part whose cases have different figures gets
// several tables.
func (r *results) table(w io.Writer, part string) {
	var cases []string
	values := map[string]map[string][]float64{} // by case and figure
	columns := map[string][]string{}
	for _, one := range r.runs {
		if one.part != part {
			continue
		}
		if values[one.name] == nil {
			values[one.name] = map[string][]float64{}
			cases = append(cases, one.name)
			for _, f := range one.figures {
				columns[one.name] = append(columns[one.name], f.name)
			}
		}
		for _, f := range one.figures {
			values[one.name][f.name] = append(values[one.name][f.name], f.value)
		}
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	var head []string
	for _, name := range cases {
		if !slices.Equal(head, columns[name]) {
			head = columns[name]
			fmt.Fprintf(out, "\n%s, medians\t%s\t\n", part, strings.Join(head, "\t"))
		}
		fmt.Fprintf(out, "%s\t", name)
		for _, column := range head {
			all := values[name][column]
			fmt.Fprintf(out, "%s (%s–%s)\t", number(median(all)), number(slices.Min(all)), number(slices.Max(all)))
		}
		fmt.Fprintln(out)
	}
	_ = out.Flush() // to the terminal
}

// number has three digits that count.
func number(v float64) string {
	if v >= 1000 || v <= -1000 || v == 0 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// quantile sorts times and returns one of them in a unit.
func quantile(times []time.Duration, q float64, unit time.Duration) float64 {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return float64(times[min(len(times)-1, int(q*float64(len(times))))]) / float64(unit)
}
