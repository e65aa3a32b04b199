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
	return b.each([]layout{embedded3}, func(c *cluster, l layout, round int) error {
		for victim := range c.nodes {
			if err := b.recover(c, victim, round); err != nil {
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
}

// recover has one node die.
func (b *bench) recover(c *cluster, victim, round int) error {
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
	for i := range roomsLost {
		room := fmt.Sprintf(recoveryRoom, victim, i)
		if _, err := publisher.join(room, false); err != nil {
			return err
		}
		for seq := range sentBefore {
			if err := publisher.store(room, 0, seq, ""); err != nil {
				return err
			}
		}
	}
	failed := make(chan error, len(people)+1) // never closed
	var tasks sync.WaitGroup
	for _, p := range people {
		tasks.Go(func() {
			if err := p.live(); err != nil {
				failed <- err
			}
		})
	}
	g := c.gauge()
	dead := time.Now()
	for _, p := range people {
		p.dead <- dead
	}
	c.nodes[victim].kill()
	first, last, err := publisher.afterwards(victim, dead)
	if err != nil {
		failed <- err
	}
	tasks.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	_, _, noise := c.since(g)
	return b.out.add("recovery", fmt.Sprintf("%d sessions, R3", len(people)), round, append(summary(people, first, last), noise...)...)
}

func summary(people []*refugee, first, last time.Duration) []figure {
	var resumed, missed, all []time.Duration
	attempts := 0
	for _, p := range people {
		resumed, missed, all = append(resumed, p.resumed), append(missed, p.missed), append(all, p.all)
		attempts = max(attempts, p.attempts)
	}
	ms := time.Millisecond
	return []figure{{"resumed_p50_ms", quantile(resumed, 0.5, ms)}, {"resumed_all_ms", quantile(resumed, 1, ms)}, {"missed_p50_ms", quantile(missed, 0.5, ms)},
		{"missed_all_ms", quantile(missed, 1, ms)}, {"first_publish_ms", float64(first) / float64(ms)}, {"last_publish_ms", float64(last) / float64(ms)},
		{"all_ms", quantile(all, 1, ms)}, {"most_attempts", float64(attempts)}}
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
	resumed := false
	for at := p.from.Offset; !resumed || p.all == 0; {
		_ = p.conn.SetReadDeadline(time.Now().Add(patience))
		text, err := p.next()
		if err != nil {
			return err
		}
		a, err := parse(text)
		switch {
		case err != nil:
			return err
		case a.Type == "error":
			p.close()
			return refusal{a.Code, a.Message}
		case a.Type == "joined" && (!a.Recovered || a.Offset != p.from.Offset), a.Type == "resumed" && !a.Resumed:
			return fmt.Errorf("it was not recovered: %s", text)
		case a.Type == "resumed":
			p.resumed, resumed = time.Since(dead), true
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
