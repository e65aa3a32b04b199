//go:build unix

package chaos

import (
	"fmt"
	"testing"
	"time"
)

// seeds are plans that have found something, with what it was. The run is as long as it took then.
var seeds = []struct {
	seed uint64
	time time.Duration // 0: the short form
	was  string
}{
	{1, 0, "a connection that ended while it resumed left its session in none of the rooms that were still to come: others were told that it had left"},
	{2, 0, "a node that had fallen behind answered recovered false to who came from one that had not; there was no key for tokens though the node was ready"},
	{101, 40 * time.Second, "a node cut off from NATS claimed a session, and got it when it was back, though its client was connected to another node: that was closed with 3004"},
	{102, 12 * time.Second, "a node that had just begun called a genuine token invented, so that the client lost its session and got what it had sent with echo off"},
	{301, 17 * time.Second, "seen once: two acknowledgements for one position, and a history that could not be read across it, after the disk of the NATS node " +
		"between two others had been full"},
}

// TestSeeds repeats the plans of seeds. It belongs to the long form.
func TestSeeds(t *testing.T) {
	if !formOf(t, 0).long {
		t.Skip("skipped: CHAOS_TIME is not set")
	}
	for _, s := range seeds {
		t.Run(fmt.Sprint(s.seed), func(t *testing.T) {
			t.Parallel()
			t.Logf("what it was: %s", s.was)
			form := form{time: s.time, long: true, seed: s.seed}
			faults := plan(s.seed, s.time)
			if s.time == 0 {
				form.time, form.long, faults = shortTime, false, telling(s.seed)
			}
			c := newCluster(t, form.ttl(), serveFlags...)
			run(t, c, newFleet(t, c.urls(), form.seed), form, faults)
		})
	}
}
