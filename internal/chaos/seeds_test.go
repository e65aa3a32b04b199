//go:build unix

package chaos

import (
	"fmt"
	"testing"
	"time"
)

// seeds are plans that have found something, with what it was. The run is as long as it was then.
var seeds = []struct {
	seed uint64
	time time.Duration
	was  string
}{}

// TestSeeds repeats the plans of seeds. It belongs to the long form.
func TestSeeds(t *testing.T) {
	if !formOf(t, 0).long {
		t.Skip("skipped: CHAOS_TIME is not set")
	}
	for _, s := range seeds {
		t.Run(fmt.Sprint(s.seed), func(t *testing.T) {
			form := form{time: s.time, long: true, seed: s.seed}
			t.Logf("what it was: %s", s.was)
			c := newCluster(t, form.ttl(), serveFlags...)
			run(t, c, newFleet(t, c.urls(), form.seed), form, plan(form.seed, form.time))
		})
	}
}
