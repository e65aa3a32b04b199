package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// delivery measures how long messages take from one node to another and how many get there, against those that stay on a node.
func (b *bench) delivery() error {
	return b.each([]layout{inMemory, external2, embedded3}, func(c *cluster, l layout, round int) error {
		for _, room := range []string{"live", "log/live"} {
			for to := range min(2, len(c.nodes)) {
				name := l.name + ", same node, " + kindOf(room)
				if to > 0 {
					name = l.name + ", other node, " + kindOf(room)
				}
				for _, flow := range []flow{{receivers: 10, senders: 1, rate: 100}, {receivers: 100, senders: 4, window: 8}} {
					flow.room = fmt.Sprintf("%s/%d/%d", room, to, flow.window)
					flow.from, flow.to = c.nodes[0].addr, c.nodes[to].addr
					load := "latency"
					if flow.window > 0 {
						load = "throughput"
					}
					if err := b.calmly("delivery", name+", "+load, round, func() ([]figure, error) { return b.flow(c, flow) }); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

func kindOf(room string) string {
	if strings.HasPrefix(room, "log/") {
		return "history"
	}
	return "no history"
}

// flow is a load: senders that keep so many messages each on the way, or one that sends so many a second.
type flow struct {
	room, from, to     string
	receivers, senders int
	window, rate       int
}

// stream is a flow under way.
type stream struct {
	flow
	began     time.Time
	places    []chan struct{} // of each sender: the places of its window
	mu        sync.Mutex
	waiting   []map[int]int // of each sender: how many have yet to get a message
	delivered atomic.Int64
	measuring atomic.Bool
	latency   []time.Duration // guarded by mu
	failed    chan error      // cap 1, never closed
	ending    atomic.Bool
}

// flow puts the load of f on a cluster and measures it.
func (b *bench) flow(c *cluster, f flow) ([]figure, error) {
	s := &stream{flow: f, began: time.Now(), failed: make(chan error, 1)}
	var people []*client
	var receiving, sending sync.WaitGroup
	quit := make(chan struct{})
	defer func() {
		close(quit)
		sending.Wait()
		s.ending.Store(true)
		for _, p := range people {
			p.close()
		}
		receiving.Wait()
	}()
	for i := range f.receivers + f.senders {
		addr := f.to
		if i >= f.receivers {
			addr = f.from
		}
		p, err := member(addr, f.room)
		if err != nil {
			return nil, err
		}
		people = append(people, p)
		receiving.Go(func() { s.receive(p, i < f.receivers) })
	}
	for range f.senders {
		s.waiting = append(s.waiting, map[int]int{})
		s.places = append(s.places, make(chan struct{}, f.window))
	}
	for i, p := range people[f.receivers:] {
		sending.Go(func() { s.send(p, i, quit) })
	}
	return s.measure(b, c)
}

// measure waits until it is over and says what it was.
func (s *stream) measure(b *bench, c *cluster) ([]figure, error) {
	var g gauge
	var before int64
	for i, span := range []time.Duration{b.warm, b.seconds} {
		if i == 1 {
			g, before = c.gauge(), s.delivered.Load()
			s.measuring.Store(true)
		}
		select {
		case err := <-s.failed:
			return nil, err
		case <-time.After(span):
		}
	}
	s.measuring.Store(false)
	took, cpu, noise := c.since(g)
	n := float64(s.delivered.Load() - before)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n == 0 {
		return nil, fmt.Errorf("nothing was delivered in %v", took)
	}
	figures := []figure{{"p50_us", quantile(s.latency, 0.5, time.Microsecond)}, {"p99_us", quantile(s.latency, 0.99, time.Microsecond)},
		{"max_us", quantile(s.latency, 1, time.Microsecond)}, {"deliveries_per_s", n / took.Seconds()}, {"cpu_us_per_delivery", cpu.Seconds() * 1e6 / n}}
	return append(figures, noise...), nil
}

// receive counts what comes to a member; those that are no senders decide when a message has arrived.
func (s *stream) receive(c *client, counts bool) {
	for {
		text, err := c.next()
		if err != nil {
			s.fail(err)
			return
		}
		at, sender, seq, ok := readSend(text)
		if !ok {
			s.fail(fmt.Errorf("a member was sent %.200q", text))
			return
		}
		s.delivered.Add(1)
		if counts {
			s.arrived(time.Since(s.began)-at, sender, seq)
		}
	}
}

func (s *stream) arrived(after time.Duration, sender, seq int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.measuring.Load() {
		s.latency = append(s.latency, after)
	}
	if s.window == 0 {
		return
	}
	if s.waiting[sender][seq]--; s.waiting[sender][seq] == 0 {
		delete(s.waiting[sender], seq)
		<-s.places[sender] // there is one: the message has it
	}
}

// send sends as fast as it is to, until quit is closed.
func (s *stream) send(c *client, sender int, quit chan struct{}) {
	var buffer []byte
	for seq := 0; ; seq++ {
		if s.window > 0 {
			select {
			case s.places[sender] <- struct{}{}:
			case <-quit:
				return
			}
			s.mu.Lock()
			s.waiting[sender][seq] = s.receivers
			s.mu.Unlock()
		} else {
			due := time.Duration(seq) * time.Second / time.Duration(s.rate)
			select {
			case <-time.After(due - time.Since(s.began)):
			case <-quit:
				return
			}
		}
		now := time.Since(s.began) // not when it was due: timers are up to a millisecond late, and nothing holds a sender up that does not wait
		buffer = appendSend(buffer[:0], s.room, now, sender, seq)
		if err := c.write(buffer); err != nil {
			s.fail(err)
			return
		}
	}
}

// fail reports the first thing that goes wrong; ends of connections at the end are none.
func (s *stream) fail(err error) {
	if s.ending.Load() {
		return
	}
	select {
	case s.failed <- err:
	default:
	}
}
