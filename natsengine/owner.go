package natsengine

import "time"

// owner is one life of a node: the one whose lease and members carry the same random token. A node that was started again is another owner, so
// that what its former life has left behind is treated like that of any dead node.
type owner struct {
	node    string
	members int    // keys in the bucket
	rev     uint64 // of its lease; 0: it has none
	read    int    // the reading the lease was last seen in
	seen    time.Time
	dead    bool      // its lease has run out, or was given back
	since   time.Time // when it died, or expired
	expired bool      // it has been dead for so long that its members are gone
}

// alive notes a sign of life of an owner, after which its members are there again.
func (t *table) alive(token string, now time.Time) {
	o := t.owners[token]
	back := o.expired
	o.seen, o.dead, o.expired = now, false, false
	if back {
		t.refreshOwner(token)
	}
}

// owner returns the owner of that token.
func (t *table) owner(token, node string) *owner {
	o := t.owners[token]
	if o == nil {
		o = &owner{node: node}
		t.owners[token] = o
	}
	return o
}

// lease takes in that an owner has refreshed its lease.
func (t *table) lease(token, node string, rev uint64, now time.Time) {
	o := t.owner(token, node)
	o.read = t.reading
	if rev <= o.rev {
		return
	}
	o.rev = rev
	t.alive(token, now)
}

// leaseEnded takes in that a lease has been deleted: by its owner, which is thus dead, or after its death.
func (t *table) leaseEnded(token string, rev uint64, now time.Time) {
	o := t.owners[token]
	if o == nil || rev <= o.rev {
		return
	}
	o.rev, o.read = 0, t.reading
	if !o.dead {
		o.dead, o.since = true, now
	}
}

// alone reports whether no other owner is known, alive or dead.
func (t *table) alone() bool {
	_, here := t.owners[t.self]
	return len(t.owners) == 0 || here && len(t.owners) == 1
}

// pardon gives every owner that is not known to be dead the whole of its lease: what it wrote meanwhile may not have been seen.
func (t *table) pardon(now time.Time) {
	for _, o := range t.owners {
		o.seen = now
	}
}

// check finds out who is dead and whose members are gone. proof is the latest time up to which everything that was written has been
// read: an owner is dead if it was not heard of for the length of a lease before it.
func (t *table) check(now, proof time.Time, lease, linger time.Duration) (died, expired []*owner) {
	for token, o := range t.owners {
		switch {
		case token == t.self:
		case o.rev == 0 && o.members == 0:
			delete(t.owners, token)
		case !o.dead:
			if proof.Sub(o.seen) > lease {
				o.dead, o.since = true, now
				died = append(died, o)
			}
		case !o.expired && now.Sub(o.since) >= linger:
			o.expired, o.since = true, now
			expired = append(expired, o)
			t.refreshOwner(token)
		}
	}
	return died, expired
}

// sweep wants the keys of expired owners deleted, each only if it still is as it is known, and returns the leases that are to be deleted likewise.
// One node does it, the living one whose token is first; the others help if it has not been done after another lease.
func (t *table) sweep(now time.Time, lease time.Duration) (leases map[string]uint64) {
	first := true
	for token, o := range t.owners {
		if !o.dead && token < t.self {
			first = false
		}
	}
	due := map[string]bool{}
	for token, o := range t.owners {
		if !o.expired || !first && now.Sub(o.since) < lease {
			continue
		}
		if o.members > 0 {
			due[token] = true
		} else if o.rev != 0 {
			if leases == nil {
				leases = map[string]uint64{}
			}
			leases[token] = o.rev
		}
	}
	if len(due) == 0 {
		return leases
	}
	for _, rec := range t.records {
		if rec.stored && rec.claim == nil && due[rec.owner] {
			t.setClaim(rec, &claim{gone: true, rev: rec.rev, dirty: true})
			t.enqueue(rec)
		}
	}
	return leases
}

func (t *table) refreshOwner(token string) {
	for _, rec := range t.records {
		if rec.stored && rec.owner == token {
			t.refresh(rec)
		}
	}
}
