//go:build unix

package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/chaos/proxy"
)

// kind is what is done.
type kind string

const (
	killServer  kind = "kill server"
	pauseServer kind = "pause server"
	stopServer  kind = "stop server" // as an upgrade does
	killNATS    kind = "kill NATS node"
	pauseNATS   kind = "pause NATS node"
	link        kind = "link of server" // all its links to NATS
	resetLink   kind = "reset the links of server"
	route       kind = "route between NATS node"
	isolate     kind = "routes of NATS node"
	fullDisk    kind = "full disk of NATS node"
	dropClients kind = "the network of clients" // of a third of them, at once
)

// fault is one thing that is done for a while.
type fault struct {
	kind kind
	a, b int        // to which node, and of a route the other one
	mode proxy.Mode // of links and routes
	at   time.Duration
	dur  time.Duration // 0: it is over when it has begun
}

func (f fault) String() string {
	s := fmt.Sprintf("%s %d", f.kind, f.a)
	if f.kind == route {
		s += fmt.Sprintf(" and %d", f.b)
	}
	if f.kind == link || f.kind == route || f.kind == isolate {
		s += " " + f.mode.String()
	}
	if f.dur > 0 {
		s += fmt.Sprintf(", for %v", f.dur)
	}
	return s
}

// target is what nothing else is done to meanwhile.
func (f fault) target() string {
	switch f.kind {
	case killServer, pauseServer, stopServer, link, resetLink, dropClients:
		return fmt.Sprint("server", f.a)
	case route, isolate: // a node may be cut off by both of its routes at once, if that is what comes
		return fmt.Sprint("route", f.a, f.b)
	default:
		return fmt.Sprint("nats", f.a)
	}
}

var weights = []struct {
	kind   kind
	weight int
}{
	{killServer, 4}, {pauseServer, 3}, {stopServer, 2}, {killNATS, 4}, {pauseNATS, 3}, {link, 5}, {resetLink, 2}, {route, 3}, {isolate, 3}, {fullDisk, 2}, {dropClients, 1},
}

// plan draws faults for a time from a seed. There are two at once at most.
func plan(seed uint64, total time.Duration) []fault {
	random := rand.New(rand.NewPCG(seed, 0))
	between := func(lo, hi time.Duration) time.Duration {
		return (lo + time.Duration(random.Int64N(int64(hi-lo)))).Round(10 * time.Millisecond)
	}
	var all []fault
	for at := between(500*time.Millisecond, 1500*time.Millisecond); ; at += between(700*time.Millisecond, 4*time.Second) {
		f := draw(random)
		f.at = at
		if f.kind != resetLink && f.kind != dropClients {
			f.dur = between(500*time.Millisecond, 6*time.Second)
		}
		if f.at+f.dur > total {
			return all
		}
		if others := during(all, f); len(others) < 2 && !slices.ContainsFunc(others, func(o fault) bool { return o.target() == f.target() }) {
			all = append(all, f)
		}
	}
}

// during returns the faults that are still there when another one begins.
func during(all []fault, f fault) (there []fault) {
	for _, o := range all {
		if o.at+o.dur+300*time.Millisecond > f.at {
			there = append(there, o)
		}
	}
	return there
}

func draw(random *rand.Rand) fault {
	sum := 0
	for _, w := range weights {
		sum += w.weight
	}
	n := random.IntN(sum)
	f := fault{a: random.IntN(size), mode: []proxy.Mode{proxy.Cut, proxy.Frozen, proxy.Forward, proxy.Back}[random.IntN(4)]}
	f.b = (f.a + 1 + random.IntN(size-1)) % size
	for _, w := range weights {
		if n -= w.weight; n < 0 {
			f.kind = w.kind
			break
		}
	}
	if f.kind == fullDisk {
		f.a = 0 // only this one has a disk that can be filled
	}
	return f
}

// telling is a plan of the faults that show most, one after the other, for the short form: which nodes they hit, the seed says.
func telling(seed uint64) []fault {
	random := rand.New(rand.NewPCG(seed, 0))
	second := time.Second
	server, nats := random.IntN(size), random.IntN(size)
	return []fault{
		{kind: killServer, a: server, at: second, dur: 3 * second},
		{kind: killNATS, a: nats, at: 5 * second, dur: 2 * second},
		{kind: link, a: (server + 1) % size, mode: []proxy.Mode{proxy.Cut, proxy.Frozen}[random.IntN(2)], at: 8 * second, dur: 3 * second},
	}
}

// TestPlan holds that a seed says everything, and that all kinds of faults come up.
func TestPlan(t *testing.T) {
	seen := map[kind]int{}
	for seed := range uint64(50) {
		all := plan(seed, time.Minute)
		if !slices.Equal(all, plan(seed, time.Minute)) {
			t.Errorf("seed %d makes two plans", seed)
		}
		if len(all) < 10 {
			t.Errorf("seed %d has only %d faults in a minute", seed, len(all))
		}
		for _, f := range all {
			seen[f.kind]++
			if f.at+f.dur > time.Minute {
				t.Errorf("seed %d: %v at %v does not end in time", seed, f, f.at)
			}
		}
	}
	for _, w := range weights {
		if seen[w.kind] == 0 {
			t.Errorf("%s does not come up in 50 plans", w.kind)
		}
	}
}
