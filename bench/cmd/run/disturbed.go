package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Above these shares of the measured time a run counts as disturbed.
const (
	maxOther  = 0.04 // CPU time of everything else on the machine
	maxSteal  = 0.02 // CPU time the hypervisor gave to others
	maxWait   = 0.03 // that the generator, which has one thread, waited for its processor
	maxClient = 0.95 // that the generator was busy: it was the limit then, not the server
	tick      = 0.02 // s: the kernel counts other CPU time and steal in steps of 10 ms
)

// disturbance says what disturbed a run, and how badly: 0 is not at all.
func disturbance(f figures) (what string, badness float64) {
	seconds := f["seconds"]
	if seconds <= 0 {
		return "", 0
	}
	var all []string
	check := func(value, slack, most float64, format string) {
		share := value / seconds
		if value-slack <= most*seconds {
			return
		}
		all = append(all, fmt.Sprintf(format, share*100))
		badness += share - most
	}
	check(f["other_cpu_s"], tick, maxOther, "others had %.0f %% of a processor")
	check(f["steal_s"], tick, maxSteal, "%.0f %% stolen by the hypervisor")
	check(f["client_runq_wait_s"], 0, maxWait, "the generator waited %.0f %% of the time")
	if f["spin"] == 0 {
		check(f["client_cpu_s"], 0, maxClient, "the generator was busy %.0f %% of the time and may be the limit")
	}
	return strings.Join(all, "; "), badness
}

// best marks all attempts of one round but the best as discarded.
func best(attempts []record, badness []float64) {
	keep := slices.Index(badness, slices.MinFunc(badness, cmp.Compare[float64]))
	for i := range attempts {
		attempts[i].Discarded = i != keep
	}
}
