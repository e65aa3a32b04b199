package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// section is the part of RESULTS.md that is generated. Whatever stands outside its markers stays as it is.
const section = "comparison"

func markers(name string) (begin, end string) {
	return "<!-- " + name + ": generated, changes are lost -->\n", "<!-- " + name + ": end -->\n"
}

// blank is a RESULTS.md without any figures, and with a place for one that the generator cannot take: it does not speak TLS.
func blank() string {
	begin, end := markers(section)
	return "# What was measured\n\n" + begin + end + "\n## Idle memory with TLS\n\nNot measured yet.\n"
}

// insert puts body between the markers of the section, instead of what was there.
func insert(doc, name, body string) (string, error) {
	begin, end := markers(name)
	before, rest, ok := strings.Cut(doc, begin)
	if !ok {
		return "", errors.New("the line " + strings.TrimSpace(begin) + " is missing")
	}
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return "", errors.New("the line " + strings.TrimSpace(end) + " is missing")
	}
	return before + begin + body + end + after, nil
}

const preface = `
Every server is the same relay: ` + "`GET /rooms/{room}`" + ` upgrades, and each message goes to every other member of the room, unchanged
(centrifuge and Socket.IO do so in their own protocols). It has one processor and GOMAXPROCS=1; an independent load generator
has the other, checks every delivery, and reads the CPU time of the server's process. That time suffers least from what else the
machine does. The servers take turns; each figure is the median of %s; runs that something disturbed are made again.

- **÷ ours** is a server's figure divided by Roomcast's in the same table.
- **frames per read** is how many frames the generator finds in one read: about as many as left in one send.
- **kernel alone** is what ` + "`fanlimit`" + ` takes, a C program that does nothing but send one prepared frame to all, at as many frames per send. Where the
  generator finds the frames of several sends in one read, the true limit is higher than the one given.
- **lost** are deliveries that members were due and did not get, those of members that the server cut off included.
`

const picture = `
<picture>
  <source media="(prefers-color-scheme: dark)" srcset="chart-dark.svg">
  <img alt="%s" src="chart.svg">
</picture>
`

// report is the generated section.
func (s *summary) report() string {
	var b strings.Builder
	b.WriteString("\n" + s.when() + "\n")
	fmt.Fprintf(&b, picture, s.chartText())
	fmt.Fprintf(&b, preface, s.rounds())
	if goals := s.goalTable(); goals != "" {
		b.WriteString("\n## Goals\n\n" + goals)
	}
	for _, sc := range scenarios {
		table := s.table(sc)
		if table == "" {
			continue
		}
		fmt.Fprintf(&b, "\n## %s. %s\n\n%s\n\n`fanload %s`\n\n%s", sc.id, sc.title, sc.about, arguments(sc), table)
		if notes := s.notes(sc); notes != "" {
			b.WriteString("\n" + notes)
		}
	}
	if s.machine != nil {
		b.WriteString("\n## Versions\n\n| | |\n|---|---|\n")
		for _, srv := range servers {
			if v := s.machine.Versions[srv.name]; v != "" {
				fmt.Fprintf(&b, "| %s | %s |\n", srv.label, v)
			}
		}
	}
	b.WriteString("\n")
	return b.String()
}

// arguments are the generator's, of all the scenario's runs.
func arguments(sc scenario) string {
	var all []string
	for _, r := range sc.runs {
		all = append(all, r.command(server{}, -1, -1))
	}
	return strings.Join(all, "` and `fanload ")
}

// when says on which days and on what machine.
func (s *summary) when() string {
	var first, last time.Time
	for _, res := range s.results {
		if first.IsZero() || res.last.Before(first) {
			first = res.last
		}
		if res.last.After(last) {
			last = res.last
		}
	}
	text := "Measured on " + first.Format(time.DateOnly)
	if day := last.Format(time.DateOnly); day != first.Format(time.DateOnly) {
		text = "Measured from " + first.Format(time.DateOnly) + " to " + day
	}
	if s.machine != nil {
		text += " on " + s.machine.text()
	}
	return text + "."
}

// rounds says how many runs a median was taken of.
func (s *summary) rounds() string {
	least, most := 0, 0
	for _, res := range s.results {
		if least == 0 || res.rounds < least {
			least = res.rounds
		}
		most = max(most, res.rounds)
	}
	switch {
	case most == 1:
		return "one run"
	case least == most:
		return fmt.Sprintf("%d runs", most)
	}
	return fmt.Sprintf("%d to %d runs", least, most)
}

// notes lists the figures that were disturbed in every round, or that the generator could not take cleanly.
func (s *summary) notes(sc scenario) string {
	var b strings.Builder
	var disturbed []string
	for _, r := range s.rows(sc) {
		for _, run := range sc.runs {
			res := s.results[source{scenario: sc.id, run: run.key, server: r.server.name}]
			if len(res.disturbed) > 0 {
				disturbed = append(disturbed, fmt.Sprintf("%s%s (%s)", r.server.label, dash(run.key), res.disturbed[0]))
			}
			if n := res.median["closed_by_server"]; n > 0 {
				fmt.Fprintf(&b, "- %s%s: cut off %s members that did read.\n", r.server.label, dash(run.key), whole(n))
			}
			if n := res.median["dup"] + res.median["out_of_order"]; n > 0 {
				fmt.Fprintf(&b, "- %s%s: %s deliveries came twice or out of order.\n", r.server.label, dash(run.key), whole(n))
			}
		}
	}
	if len(disturbed) > 0 {
		fmt.Fprintf(&b, "- Disturbed in every round: %s.\n", strings.Join(disturbed, ", "))
	}
	return b.String()
}
