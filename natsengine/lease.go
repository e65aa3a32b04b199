package natsengine

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// pulse is how this node knows that what it reads is the present: it reads its own lease like those of the others. When it has seen the
// refresh that it began to write at some instant, it has seen whatever was written before it, and who has been silent until then is dead; while it does not see
// its own refreshes, it says nothing of others.
type pulse struct {
	beat     uint64    // the last refresh begun
	begun    time.Time // when
	acked    uint64    // the last refresh that was stored
	echoed   uint64    // the last refresh that was read
	unread   time.Time // since when there is one that was stored and has not been read, if there is
	proof    time.Time // when that was begun
	complete time.Time // when the whole bucket had been read; zero: not yet
	heard    time.Time // when something was read last
	well     time.Time // when nothing was missing last, over this connection
	settle   uint64    // the refresh by which a reading is settled (table.settle); 0: it is
	limit    uint64    // the revision up to which it is
}

// tick is how often a node looks at its table.
func (p *presence) tick() time.Duration { return min(p.cfg.lease/3, 250*time.Millisecond) }

// beat refreshes the lease, tries again what has failed, and finds out who is dead.
func (p *presence) beat() {
	ticker := time.NewTicker(p.tick())
	defer ticker.Stop()
	var refreshed time.Time
	last := time.Now()
	for {
		if now := time.Now(); now.Sub(refreshed) >= p.cfg.lease/3-p.tick()/2 && p.refreshLease(now) {
			refreshed = now
		}
		select {
		case <-p.ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		if now.Sub(last) > markerTTL/2 { // the process was stopped: marks of deleted keys may be gone that it has not read
			p.reread()
		}
		last = now
		p.sweep(p.look(now))
	}
}

// refreshLease reports whether the lease has been refreshed.
func (p *presence) refreshLease(now time.Time) bool {
	p.mu.Lock()
	if !p.connected || p.pulse.heard.IsZero() { // there may be no bucket
		p.mu.Unlock()
		return false
	}
	p.pulse.beat++
	p.pulse.begun = now
	beat := p.pulse.beat
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.ctx, min(p.cfg.timeout, p.cfg.lease))
	defer cancel()
	_, err := p.store(ctx, leaseKey+p.self, head{Node: p.cfg.node, Beat: beat}, nil, 0)
	if err != nil {
		if errors.Is(err, jetstream.ErrNoStreamResponse) { // somebody may have deleted the bucket
			p.reread()
		}
		if p.ctx.Err() == nil {
			p.cfg.logger.Warn("the lease of this node could not be refreshed", "node", p.cfg.node, "error", err)
		}
		return false
	}
	p.mu.Lock()
	p.pulse.stored(beat, time.Now())
	p.mu.Unlock()
	return true
}

// stored notes that a refresh is in the bucket.
func (p *pulse) stored(beat uint64, now time.Time) {
	if p.acked <= p.echoed {
		p.unread = now
	}
	p.acked = beat
}

// stalled reports whether nothing has been read for so long although there was something to read all the time. The latest refresh alone does not say
// it: there is always one that has only just begun.
func (p *pulse) stalled(now time.Time, patience time.Duration) bool {
	return p.acked > p.echoed && now.Sub(p.unread) > patience && now.Sub(p.heard) > patience
}

// look lets the table find out who is dead, and returns which leases are to be deleted.
func (p *presence) look(now time.Time) (leases map[string]uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readyLocked(now) == nil {
		p.pulse.well = now
	}
	p.table.retry()
	defer p.changedLocked()
	// After a pause everybody gets the length of a lease to be heard of again, or to be taken over.
	if !p.connected || p.closing || p.pulse.complete.IsZero() || now.Sub(p.pulse.complete) < p.cfg.lease || now.Sub(p.pulse.proof) > p.cfg.lease {
		return nil
	}
	died, expired := p.table.check(now, p.pulse.proof, p.cfg.lease, p.cfg.linger)
	for _, o := range died {
		p.cfg.logger.Warn("a node has not been heard of for the length of its lease", "node", o.node, "members", o.members)
	}
	for _, o := range expired {
		if o.members == 0 {
			continue
		}
		p.cfg.logger.Info("a node has been away for too long: its members are gone", "node", o.node, "members", o.members)
	}
	return p.table.sweep(now, p.cfg.lease)
}

// sweep deletes the leases of the dead. If one cannot be deleted, the next look finds it again.
func (p *presence) sweep(leases map[string]uint64) {
	for token, rev := range leases {
		ctx, cancel := context.WithTimeout(p.ctx, min(p.cfg.timeout, p.cfg.lease))
		if _, err := p.erase(ctx, p.js, leaseKey+token, rev); err != nil && !conflict(err) && p.ctx.Err() == nil {
			p.cfg.logger.Debug("the lease of a dead node could not be deleted", "error", err)
		}
		cancel()
	}
}

// stalled reports whether a refresh of the lease is stored that should have been read by now.
func (p *presence) stalled(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connected && p.pulse.stalled(now, p.stall())
}

func (p *presence) stall() time.Duration { return max(p.cfg.lease/2, time.Second) }
