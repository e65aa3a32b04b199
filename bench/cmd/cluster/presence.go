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

	watcher *client
	count   atomic.Int64 // that the watcher was told last
	notices atomic.Int64
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
	if s.watcher != nil {
		s.watcher.close()
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
			s.count.Store(int64(a.Count))
			s.notices.Add(1)
		}
		if err != nil {
			s.failed <- err
			return
		}
	}
}

// until waits until a condition is there.
func (s *stadium) until(what string, met func() bool) error {
	end := time.After(2 * patience)
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !met() {
		select {
		case err := <-s.failed:
			return err
		case <-end:
			return fmt.Errorf("in vain: %s; the count is %d", what, s.count.Load())
		case <-ticker.C:
		}
	}
	return nil
}

func (s *stadium) counts(n int) func() bool { return func() bool { return s.count.Load() == int64(n) } }

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
	figures = append(figures, figure{"watcher_notices", float64(now.notices - m.notices)}, figure{"watcher_bytes_per_s", watched / took.Seconds()},
		figure{"nats_out_bytes_per_s", float64(wire.out) / took.Seconds()}, figure{"nats_in_bytes_per_s", float64(wire.in) / took.Seconds()})
	if changes > 0 {
		n := float64(changes)
		figures = append(figures, figure{"watcher_bytes_per_change", watched / n}, figure{"nats_out_bytes_per_change", float64(wire.out) / n},
			figure{"nats_in_bytes_per_change", float64(wire.in) / n}, figure{"cpu_us_per_change", cpu.Seconds() * 1e6 / n})
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
	if err := s.until("all are there", s.counts(s.b.members+1)); err != nil {
		return err
	}
	n := float64(s.b.members)
	return s.since(m, "all connect and join", s.b.members, figure{"joins_per_s", n / joined.Seconds()}, figure{"seen_per_s", n / time.Since(m.at).Seconds()})
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
			if err := p.say(`{"type":%q,"id":1,"room":%q}`, way.kind, s.room); err != nil {
				return err
			}
		}
		if err := s.until("all have an ack", func() bool { return s.acks.Load()-acks == int64(half) }); err != nil {
			return err
		}
		acked := time.Since(m.at)
		if err := s.until("the watcher sees it", s.counts(way.left)); err != nil {
			return err
		}
		n := float64(half)
		err = s.since(m, "half "+way.kind, half, figure{"acked_per_s", n / acked.Seconds()}, figure{"seen_per_s", n / time.Since(m.at).Seconds()})
		if err != nil {
			return err
		}
	}
	return nil
}

// steady has so many changes a second for a while, as many leave as join, and looks how long the last ones take to be seen.
func (s *stadium) steady(rate int) error {
	m, err := s.meter()
	if err != nil {
		return err
	}
	changes := int((2 * s.b.seconds).Seconds() * float64(rate))
	for i := range changes {
		if wait := time.Until(m.at.Add(time.Duration(i) * time.Second / time.Duration(rate))); wait > 0 {
			time.Sleep(wait)
		}
		kind, who := "leave", i/2
		if i%2 == 1 {
			kind, who = "join", max(0, i/2-rate/4) // who left half a second ago
		}
		if i%2 == 1 && i/2 < rate/4 {
			continue
		}
		if err := s.people[who%len(s.people)].say(`{"type":%q,"id":1,"room":%q}`, kind, s.room); err != nil {
			return err
		}
	}
	return s.settle(m, rate, changes)
}

// settle lets the last ones join again who have left, and waits until that is seen.
func (s *stadium) settle(m meter, rate, changes int) error {
	err := s.since(m, fmt.Sprintf("%d changes a second", rate), changes-rate/4)
	if err != nil {
		return err
	}
	for who := (changes+1)/2 - rate/4; who < (changes+1)/2; who++ {
		if err := s.people[max(0, who)%len(s.people)].say(`{"type":"join","id":1,"room":%q}`, s.room); err != nil {
			return err
		}
	}
	return s.until("all are there again", s.counts(s.b.members+1))
}
