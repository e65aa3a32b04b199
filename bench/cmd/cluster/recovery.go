package main

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	roomsLost    = 100 // in which the sessions are that lose their node, as many in each
	sentBefore   = 10  // to each room, before the node dies
	unread       = 5   // of these, that the clients have not read
	recoveryRoom = "log/recovery/%d/%d"
)

// recovery measures how long it takes from the death of a node until all its clients are on other nodes with everything that they have missed.
// Each node dies once in each round.
func (b *bench) recovery() error {
	return b.each([]layout{embedded3, external3}, func(c *cluster, l layout, round int) error {
		for victim := range c.nodes {
			if err := b.recover(c, l, victim, round); err != nil {
				return err
			}
			if err := c.startNode(victim); err != nil {
				return err
			}
			if err := c.ready(); err != nil {
				return err
			}
		}
		return nil
	})
}

// refugee is a client that loses its node.
type refugee struct {
	*client
	room   string
	token  string
	from   answer // epoch and offset after which it has read nothing
	others []string
	dead   chan time.Time // cap 1, never closed: when its node died

	resumed, missed, all time.Duration // after the death: it is resumed, has what was sent before, and what was sent after
	attempts             int
	joined               bool // the server did not know that it was in the room
}

// recover has one node die.
func (b *bench) recover(c *cluster, l layout, victim, round int) error {
	var others []string
	for i, n := range c.nodes {
		if i != victim {
			others = append(others, n.addr)
		}
	}
	people, err := b.settle(c, victim, others)
	defer func() {
		for _, p := range people {
			p.close()
		}
	}()
	if err != nil {
		return err
	}
	publisher, err := dial(others[0])
	if err != nil {
		return err
	}
	defer publisher.close()
	if err := publisher.before(victim); err != nil {
		return err
	}
	known, err := publisher.seen(victim, b.sessions/roomsLost+1)
	if err != nil {
		return err
	}
	failed := make(chan error, len(people)+1) // closed when nobody is left
	var tasks sync.WaitGroup
	for _, p := range people {
		tasks.Go(func() {
			if err := p.live(); err != nil {
				failed <- err
			}
		})
	}
	dead := time.Now()
	for _, p := range people {
		p.dead <- dead
	}
	c.nodes[victim].kill()
	g := c.gauge() // of those that live on
	first, last, err := publisher.afterwards(victim, dead)
	if err != nil {
		failed <- err
	}
	tasks.Wait()
	close(failed)
	if err := <-failed; err != nil {
		return fmt.Errorf("%w (and %d more; the publishes after it took until %v)", err, len(failed), last)
	}
	_, cpu, noise := c.since(g)
	noise = append([]figure{{"cpu_ms", cpu.Seconds() * 1e3}}, noise...)
	return b.out.add("recovery", fmt.Sprintf("%s, %d sessions", l.name, len(people)), round, append(append(summary(people, first, last), figure{"known_ms", known.Seconds() * 1e3}), noise...)...)
}

// before sends what is there before the node dies, as a member of all rooms.
func (c *client) before(victim int) error {
	for i := range roomsLost {
		room := fmt.Sprintf(recoveryRoom, victim, i)
		if _, err := c.join(room, false); err != nil {
			return err
		}
		for seq := range sentBefore {
			if err := c.store(room, 0, seq, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// seen waits until the node that it is connected to knows all members of the rooms, itself included, and says how long that took.
func (c *client) seen(victim, members int) (time.Duration, error) {
	began := time.Now()
	for i := 0; i < roomsLost; {
		var a answer
		if err := c.say(`{"type":"members","id":"m","room":%q,"limit":1}`, fmt.Sprintf(recoveryRoom, victim, i)); err != nil {
			return 0, err
		}
		if err := c.answer("m", "members", &a); err != nil {
			return 0, err
		}
		if a.Count == members {
			i++
		} else if time.Since(began) > patience {
			return 0, fmt.Errorf("after %v room %d has %d members for another node, want %d", time.Since(began), i, a.Count, members)
		}
	}
	return time.Since(began), nil
}

func summary(people []*refugee, first, last time.Duration) []figure {
	var resumed, missed, all []time.Duration
	attempts, joins := 0, 0
	for _, p := range people {
		if p.joined {
			joins++
		}
		resumed, missed, all = append(resumed, p.resumed), append(missed, p.missed), append(all, p.all)
		attempts = max(attempts, p.attempts)
	}
	ms := time.Millisecond
	return []figure{{"resumed_p50_ms", quantile(resumed, 0.5, ms)}, {"resumed_all_ms", quantile(resumed, 1, ms)}, {"missed_p50_ms", quantile(missed, 0.5, ms)},
		{"missed_all_ms", quantile(missed, 1, ms)}, {"first_publish_ms", float64(first) / float64(ms)}, {"last_publish_ms", float64(last) / float64(ms)},
		{"all_ms", quantile(all, 1, ms)}, {"most_attempts", float64(attempts)}, {"not_in_room", float64(joins)}}
}

// settle connects the sessions to the node that will die.
func (b *bench) settle(c *cluster, victim int, others []string) (people []*refugee, err error) {
	for i := range b.sessions {
		p := &refugee{room: fmt.Sprintf(recoveryRoom, victim, i%roomsLost), others: others, dead: make(chan time.Time, 1)}
		if p.client, err = dial(c.nodes[victim].addr); err != nil {
			return people, err
		}
		people = append(people, p)
		p.token = p.hello.Resume
		if i%2 == 1 {
			p.others = []string{others[1], others[0]}
		}
		if p.from, err = p.join(p.room, false); err != nil {
			return people, err
		}
		p.from.Offset += sentBefore - unread
	}
	return people, nil
}

// afterwards sends one more message to each room until it is stored, and says when the first and the last one was.
func (c *client) afterwards(victim int, dead time.Time) (first, last time.Duration, err error) {
	for i := range roomsLost {
		for {
			err := c.store(fmt.Sprintf(recoveryRoom, victim, i), 0, sentBefore, fmt.Sprintf(`,"idempotency_key":"after-%d"`, i))
			if r, ok := errors.AsType[refusal](err); ok && r.code == "unavailable" && time.Since(dead) < patience {
				continue
			}
			if err != nil {
				return 0, 0, fmt.Errorf("publishing after the death of a node: %w", err)
			}
			break
		}
		if last = time.Since(dead); i == 0 {
			first = last
		}
	}
	return first, last, nil
}

// live reads until the connection ends, and goes on elsewhere.
func (p *refugee) live() error {
	for {
		if _, err := p.next(); err != nil {
			break
		}
	}
	p.close()
	dead := <-p.dead
	for {
		err := p.resume(p.others[p.attempts%len(p.others)], dead)
		p.attempts++
		if r, ok := errors.AsType[refusal](err); ok && r.code == "unavailable" && time.Since(dead) < patience {
			continue
		}
		return err
	}
}

// resume makes the next connection and reads all that was missed.
func (p *refugee) resume(addr string, dead time.Time) error {
	next, err := dial(addr)
	if err != nil {
		return fmt.Errorf("dialling again: %w", err)
	}
	p.client = next
	if err := p.say(`{"type":"resume","id":"resume","resume":%q,"rooms":[{"room":%q,"epoch":%q,"offset":%d}]}`, p.token, p.room, p.from.Epoch, p.from.Offset); err != nil {
		return err
	}
	resumed, in := false, false
	for at := p.from.Offset; !resumed || p.all == 0; {
		_ = p.conn.SetReadDeadline(time.Now().Add(patience))
		text, err := p.next()
		if err != nil {
			return fmt.Errorf("after %v, resumed: %v, %d messages read: %w", time.Since(dead), resumed, at-p.from.Offset, err)
		}
		a, err := parse(text)
		switch {
		case err != nil:
			return err
		case a.Type == "error":
			p.close()
			return refusal{a.Code, a.Message}
		case (a.Type == "joined" || a.Type == "ack") && (!a.Recovered || a.Offset != p.from.Offset), a.Type == "resumed" && !a.Resumed:
			return fmt.Errorf("it was not recovered: %s", text)
		case a.Type == "joined", a.Type == "ack":
			in = true
		case a.Type == "resumed":
			if p.resumed, resumed = time.Since(dead), true; in {
				continue
			}
			p.joined = true
			if err := p.say(`{"type":"join","id":"join","room":%q,"since":{"epoch":%q,"offset":%d}}`, p.room, p.from.Epoch, p.from.Offset); err != nil {
				return err
			}
		case a.Type == "message":
			if at++; a.Offset != at || a.Epoch != p.from.Epoch {
				return fmt.Errorf("after %d came %s", at-1, text)
			}
			switch at - p.from.Offset {
			case unread:
				p.missed = time.Since(dead)
			case unread + 1:
				p.all = time.Since(dead)
			}
		}
	}
	p.missed = max(p.missed, p.resumed) // what was missed may come before the last word
	return nil
}
