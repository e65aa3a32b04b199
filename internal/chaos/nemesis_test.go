//go:build unix

package chaos

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/chaos/proxy"
)

// step is the begin or the end of a fault.
type step struct {
	at   time.Duration
	what string
	do   func() error
}

// unleash does what the plan says, and returns when the last fault is over, or at the first that could not be done. drop takes the network away from a
// third of the clients.
func (c *cluster) unleash(ctx context.Context, faults []fault, drop func(third int)) error {
	began := time.Now()
	for _, s := range c.steps(faults, drop) {
		timer := time.NewTimer(time.Until(began.Add(s.at)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		c.t.Logf("%7.2f s (%s): %s", time.Since(began).Seconds(), time.Now().Format("15:04:05.000"), s.what)
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

func (c *cluster) steps(faults []fault, drop func(int)) []step {
	var all []step
	for _, f := range faults {
		all = append(all, step{f.at, f.String(), func() error { return c.begin(f, drop) }})
		if f.dur > 0 {
			all = append(all, step{f.at + f.dur, "over: " + f.String(), func() error { return c.end(f) }})
		}
	}
	slices.SortStableFunc(all, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return all
}

func (c *cluster) begin(f fault, drop func(int)) error {
	server, nats := c.servers[f.a], c.nats[f.a]
	switch f.kind {
	case killServer:
		server.kill()
	case pauseServer:
		server.pause()
	case stopServer:
		return server.stop(20 * time.Second)
	case killNATS:
		nats.kill()
	case pauseNATS:
		nats.pause()
	case link:
		server.setLinks(f.mode)
	case resetLink:
		for _, l := range server.links {
			l.Reset()
		}
	case route:
		c.setRoute(f.a, f.b, f.mode)
	case isolate:
		for other := range size {
			c.setRoute(f.a, other, f.mode)
		}
	case fullDisk:
		return nats.disk.fill(nats.process)
	case dropClients:
		drop(f.a)
	}
	return nil
}

// end heals one fault. A disk that is no longer full is followed by a restart: a NATS server whose disk was full has given up JetStream.
func (c *cluster) end(f fault) error {
	switch f.kind {
	case killServer, pauseServer, stopServer:
		return revive(c.servers[f.a].process)
	case killNATS, pauseNATS:
		return revive(c.nats[f.a].process)
	case link:
		c.servers[f.a].setLinks(proxy.Open)
	case route:
		c.setRoute(f.a, f.b, proxy.Open)
	case isolate:
		for other := range size {
			c.setRoute(f.a, other, proxy.Open)
		}
	case fullDisk:
		nats := c.nats[f.a]
		if err := nats.disk.empty(nats.process); err != nil {
			return err
		}
		nats.kill()
		return nats.start()
	}
	return nil
}

func (s *serverNode) setLinks(m proxy.Mode) {
	for _, l := range s.links {
		l.Set(m)
	}
}

// setRoute sets both ways between two NATS nodes: each of them may have made the connection. One direction only is that from a to b.
func (c *cluster) setRoute(a, b int, m proxy.Mode) {
	if a == b {
		return
	}
	c.routes[a][b].Set(m)
	switch m {
	case proxy.Forward:
		m = proxy.Back
	case proxy.Back:
		m = proxy.Forward
	}
	c.routes[b][a].Set(m)
}
