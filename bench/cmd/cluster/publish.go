package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// publish measures what it costs to have a message stored: senders that wait for each ack, with and without idempotency keys, and the same
// without a history. Senders are members of their room, and the room's only ones.
func (b *bench) publish() error {
	return b.each([]layout{inMemory, embedded1, external1, embedded3}, func(c *cluster, l layout, round int) error {
		loads := []publishing{{1, 1, 1}, {16, 1, 1}, {16, 16, 1}}
		if len(c.nodes) > 1 {
			loads = append(loads, publishing{16, 1, len(c.nodes)})
		}
		for _, load := range loads {
			for i, kind := range []string{"no history", "history", "history and key"} {
				prefix := []string{"live", "log/plain", "log/key"}[i]
				name := fmt.Sprintf("%s, %v, %s", l.name, load, kind)
				room := fmt.Sprintf("%s/%d/%d/%d", prefix, load.senders, load.rooms, load.nodes)
				if err := b.calmly("publish", name, round, func() ([]figure, error) { return b.publishAs(c, load, room, i == 2) }); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// publishing is how many senders there are, in how many rooms, on how many nodes.
type publishing struct{ senders, rooms, nodes int }

func (p publishing) String() string {
	switch {
	case p.senders == 1:
		return "1 sender"
	case p.nodes > 1:
		return fmt.Sprintf("%d senders on all nodes, 1 room", p.senders)
	case p.rooms > 1:
		return fmt.Sprintf("%d senders, %d rooms", p.senders, p.rooms)
	}
	return fmt.Sprintf("%d senders, 1 room", p.senders)
}

// publishAs measures one of them.
func (b *bench) publishAs(c *cluster, load publishing, room string, keyed bool) ([]figure, error) {
	var sending sync.WaitGroup
	var phase atomic.Int32 // 0 before it is measured, 1 while it is, 2 after
	acks := make([][]time.Duration, load.senders)
	failed := make(chan error, load.senders) // never closed
	var people []*client
	defer func() {
		for _, p := range people {
			p.close()
		}
		sending.Wait()
	}()
	for i := range load.senders {
		own := fmt.Sprintf("%s/%d", room, i%load.rooms)
		p, err := member(c.nodes[i%load.nodes].addr, own)
		if err != nil {
			return nil, err
		}
		people = append(people, p)
		sending.Go(func() {
			for seq := 0; phase.Load() < 2; seq++ {
				key := ""
				if keyed {
					key = fmt.Sprintf(`,"idempotency_key":"%s-%d"`, p.hello.Connection, seq)
				}
				begin := time.Now()
				if err := p.store(own, i, seq, key); err != nil {
					failed <- err
					return
				}
				if phase.Load() == 1 {
					acks[i] = append(acks[i], time.Since(begin))
				}
			}
		})
	}
	time.Sleep(b.warm)
	g := c.gauge()
	phase.Store(1)
	time.Sleep(b.seconds)
	phase.Store(2)
	took, cpu, noise := c.since(g)
	sending.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
	}
	var all []time.Duration
	for _, some := range acks {
		all = append(all, some...)
	}
	n := float64(len(all))
	figures := []figure{{"publishes_per_s", n / took.Seconds()}, {"p50_us", quantile(all, 0.5, time.Microsecond)},
		{"p99_us", quantile(all, 0.99, time.Microsecond)}, {"max_us", quantile(all, 1, time.Microsecond)}, {"cpu_us_per_publish", cpu.Seconds() * 1e6 / max(n, 1)}}
	return append(figures, noise...), nil
}

// store sends a message and waits for its ack. more is what else the request has.
func (c *client) store(room string, sender, seq int, more string) error {
	request := appendSend(nil, room, 0, sender, seq)
	request = fmt.Appendf(request[:len(request)-1], `,"id":"%d"%s}`, seq, more)
	if err := c.write(request); err != nil {
		return err
	}
	var a answer
	return c.answer(fmt.Sprint(seq), "ack", &a)
}
