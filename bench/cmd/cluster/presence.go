package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// presence measures how fast members of a large room can come and go, and what that costs on the wire.
func (b *bench) presence() error {
	return b.each([]layout{embedded3, external3}, func(c *cluster, l layout, round int) error {
		s := &stadium{b: b, c: c, name: l.name, round: round, failed: make(chan error, b.members+1)}
		s.room = "stadium"
		defer s.close()
		for _, step := range []func() error{s.fill, s.rest, s.burst, func() error { return s.steady(50) }, func() error { return s.steady(500) }} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
}

// stadium is a large room.
type stadium struct {
	b     *bench
	c     *cluster
	name  string
	round int
	room  string

	watcher *client      // is told of changes, once a second
	notices atomic.Int64 // that it was sent
	asker   *client      // of another node, asks again and again how many there are
	people  []*client
	acks    atomic.Int64
	tasks   sync.WaitGroup
	ending  atomic.Bool
	failed  chan error // never closed
}

func (s *stadium) close() {
	s.ending.Store(true)
	for _, p := range s.people {
		p.close()
	}
	for _, c := range []*client{s.watcher, s.asker} {
		if c != nil {
			c.close()
		}
	}
	s.tasks.Wait()
}

// read handles what comes to a client until its connection ends.
func (s *stadium) read(c *client) {
	for {
		text, err := c.next()
		var a answer
		if err == nil {
			a, err = parse(text)
		}
		switch {
		case s.ending.Load():
			return
		case err == nil && a.Type == "error":
			err = refusal{a.Code, a.Message}
		case a.Type == "ack":
			s.acks.Add(1)
		case a.Type == "presence":
			s.notices.Add(1)
		}
		if err != nil {
			s.failed <- err
			return
		}
	}
}

// until waits until the last node of the cluster knows of so many members.
func (s *stadium) until(members int) error {
	for end := time.Now().Add(2 * patience); ; time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-s.failed:
			return err
		default:
		}
		var a answer
		if err := s.asker.say(`{"type":"members","id":"m","room":%q,"limit":1}`, s.room); err != nil {
			return err
		}
		if err := s.asker.answer("m", "members", &a); err != nil {
			return err
		}
		if a.Count == members {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("there are %d members for another node, want %d", a.Count, members)
		}
	}
}

// meter is what is measured from one moment to another.
type meter struct {
	gauge
	wire             traffic
	watched, notices int64
}

func (s *stadium) meter() (m meter, err error) {
	m = meter{gauge: s.c.gauge(), watched: s.watcher.got.Load(), notices: s.notices.Load()}
	m.wire, err = s.c.wire()
	return m, err
}

// since adds what it has cost to the figures, in all and by change.
func (s *stadium) since(m meter, step string, changes int, figures ...figure) error {
	now, err := s.meter()
	if err != nil {
		return err
	}
	took, cpu, noise := s.c.since(m.gauge)
	wire := now.wire.minus(m.wire)
	watched := float64(now.watched - m.watched)
	all := float64(wire.out + wire.in)
	figures = append(figures, figure{"watcher_notices", float64(now.notices - m.notices)}, figure{"watcher_bytes_per_s", watched / took.Seconds()},
		figure{"wire_bytes_per_s", all / took.Seconds()})
	if changes > 0 {
		n := float64(changes)
		figures = append(figures, figure{"watcher_bytes_per_change", watched / n}, figure{"wire_bytes_per_change", all / n}, figure{"cpu_us_per_change", cpu.Seconds() * 1e6 / n})
		if s.c.nats != nil {
			figures = append(figures, figure{"to_nats_bytes_per_change", float64(wire.out) / n}, figure{"from_nats_bytes_per_change", float64(wire.in) / n})
		}
	}
	return s.b.out.add("presence", s.name+", "+step, s.round, append(figures, noise...)...)
}

// fill connects a client that watches, and all members, evenly over the nodes, 32 at a time.
func (s *stadium) fill() (err error) {
	if s.watcher, err = dial(s.c.nodes[0].addr); err != nil {
		return err
	}
	if _, err := s.watcher.join(s.room, true); err != nil {
		return err
	}
	s.tasks.Go(func() { s.read(s.watcher) })
	if s.asker, err = dial(s.c.nodes[len(s.c.nodes)-1].addr); err != nil {
		return err
	}
	m, err := s.meter()
	if err != nil {
		return err
	}
	s.people = make([]*client, s.b.members)
	var dialling sync.WaitGroup
	var next atomic.Int64
	for range 32 {
		dialling.Go(func() {
			for i := next.Add(1) - 1; i < int64(s.b.members); i = next.Add(1) - 1 {
				p, err := member(s.c.nodes[i%int64(len(s.c.nodes))].addr, s.room)
				if err != nil {
					s.failed <- err
					return
				}
				s.people[i] = p
			}
		})
	}
	dialling.Wait()
	joined := time.Since(m.at)
	for i, p := range s.people {
		if p == nil {
			s.people = s.people[:i]
			return <-s.failed
		}
		s.tasks.Go(func() { s.read(p) })
	}
	if err := s.until(s.b.members + 1); err != nil {
		return err
	}
	n := float64(s.b.members)
	return s.since(m, "all connect and join", s.b.members, figure{"acked_per_s", n / joined.Seconds()}, figure{"seen_per_s", n / time.Since(m.at).Seconds()})
}

// rest is what it costs that they are there.
func (s *stadium) rest() error {
	m, err := s.meter()
	if err != nil {
		return err
	}
	time.Sleep(2 * s.b.seconds)
	return s.since(m, "nobody comes or goes", 0)
}

// burst has half of the members leave at once, and join again.
func (s *stadium) burst() error {
	half := s.b.members / 2
	for _, way := range []struct {
		kind string
		left int
	}{{"leave", s.b.members + 1 - half}, {"join", s.b.members + 1}} {
		m, err := s.meter()
		if err != nil {
			return err
		}
		acks := s.acks.Load()
		for _, p := range s.people[:half] {
			if err := p.say(`{"type":%q,"id":"1","room":%q}`, way.kind, s.room); err != nil {
				return err
			}
		}
		for s.acks.Load()-acks < int64(half) {
			select {
			case err := <-s.failed:
				return err
			case <-time.After(time.Millisecond):
			}
		}
		acked := time.Since(m.at)
		if err := s.until(way.left); err != nil {
			return err
		}
		n, seen := float64(half), time.Since(m.at)
		time.Sleep(time.Second) // the next notice
		if err := s.since(m, "half "+way.kind, half, figure{"acked_per_s", n / acked.Seconds()}, figure{"seen_per_s", n / seen.Seconds()}); err != nil {
			return err
		}
	}
	return nil
}

// steady has so many members leave each second for a while, and then join again, and looks how long after the last one all is known.
func (s *stadium) steady(rate int) error {
	n := min(s.b.members/2, int((2*s.b.seconds).Seconds()*float64(rate)))
	m, err := s.meter()
	if err != nil {
		return err
	}
	for i := range 2 * n {
		kind := "leave"
		if i >= n {
			kind = "join"
		}
		time.Sleep(time.Until(m.at.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		if err := s.people[i%n].say(`{"type":%q,"id":"1","room":%q}`, kind, s.room); err != nil {
			return err
		}
	}
	last := time.Now()
	if err := s.until(s.b.members + 1); err != nil {
		return err
	}
	return s.since(m, fmt.Sprintf("%d changes a second", rate), 2*n, figure{"known_after_ms", time.Since(last).Seconds() * 1e3})
}
