package admission

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// Pass is the right of one connection to be there. A nil Pass is that of a server without tokens: everything is allowed, for ever.
type Pass struct {
	desk    *Desk
	account *account
	end     func(protocol.CloseCode, string)
	grant   atomic.Pointer[auth.Grant]
	revoked bool // it has been counted as such; guarded by Desk.mu

	mu       sync.Mutex // a leaf
	expiry   *time.Timer
	released bool
}

// account is a user who is connected. Guarded by Desk.mu, save the buckets.
type account struct {
	passes          map[*Pass]struct{}
	messages, bytes atomic.Pointer[Bucket] // for all connections together
}

func (a *account) setRates(l Limits) {
	messages, bytes := NewBucket(l.UserMessageRate, l.UserMessageRate), NewBucket(l.UserByteRate, l.UserByteRate)
	a.messages.Store(&messages)
	a.bytes.Store(&bytes)
}

// Admit lets a connection in with what its token allows. end closes the connection; it is called when the token has expired or is revoked, from
// any goroutine, and must not wait. The caller calls Release when the connection has ended.
func (d *Desk) Admit(grant *auth.Grant, end func(protocol.CloseCode, string)) (*Pass, *Refusal) {
	p := &Pass{desk: d, end: end}
	p.grant.Store(grant)
	limits := d.limits.Load()
	d.mu.Lock()
	a := d.users[grant.User]
	if a == nil {
		a = &account{passes: map[*Pass]struct{}{}}
		a.setRates(*limits)
		d.users[grant.User] = a
	}
	full := limits.ConnsPerUser > 0 && len(a.passes) >= limits.ConnsPerUser
	if !full {
		a.passes[p] = struct{}{}
	}
	d.mu.Unlock()
	if full {
		d.refused.count(TooManyUser)
		return nil, &Refusal{Code: protocol.Throttled, Close: protocol.CloseThrottled,
			Message: fmt.Sprintf("this user has %d connections, the most there may be; close one", limits.ConnsPerUser)}
	}
	p.account = a
	p.watch(grant)
	p.check()
	return p, nil
}

// watch ends the connection when the grant does, instead of when the one before did.
func (p *Pass) watch(grant *auth.Grant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.released {
		return
	}
	if p.expiry != nil {
		p.expiry.Stop()
	}
	p.expiry = time.AfterFunc(time.Until(grant.Expires), func() {
		if p.grant.Load() == grant { // else a fresh one has come just now
			p.end(protocol.CloseTokenExpired, "the token has expired")
		}
	})
}

// Renew replaces the token by a fresh one of the same user.
func (p *Pass) Renew(grant *auth.Grant) *Refusal {
	if grant.User != p.grant.Load().User {
		return &Refusal{Code: protocol.Forbidden, Close: protocol.CloseForbidden,
			Message: "the token is another user's; connect anew to be somebody else"}
	}
	p.grant.Store(grant)
	p.watch(grant)
	p.check()
	return nil
}

// check ends the connection if the grant has been revoked since it was verified: who revokes may have looked at the passes before it was there.
func (p *Pass) check() {
	if p.desk.gate.Revoked(p.grant.Load()) {
		p.end(protocol.CloseForbidden, "the token has been revoked")
	}
}

// Release ends what Admit began. A second call does nothing.
func (p *Pass) Release() {
	if p == nil {
		return
	}
	p.mu.Lock()
	released := p.released
	p.released = true
	p.expiry.Stop()
	p.mu.Unlock()
	if released {
		return
	}
	d, user := p.desk, p.grant.Load().User
	d.mu.Lock()
	defer d.mu.Unlock()
	if delete(p.account.passes, p); len(p.account.passes) == 0 {
		delete(d.users, user)
	}
}

// Allows reports whether an action is allowed in a room.
func (p *Pass) Allows(a auth.Action, room string) bool {
	return p == nil || p.grant.Load().Allows(a, room)
}

// MayDirect reports whether direct messages may be sent.
func (p *Pass) MayDirect() bool { return p == nil || p.grant.Load().Direct }

// User is whose pass it is, "" if there are no tokens.
func (p *Pass) User() string {
	if p == nil {
		return ""
	}
	return p.grant.Load().User
}

// Expires is when the token does, the zero Time if never.
func (p *Pass) Expires() time.Time {
	if p == nil {
		return time.Time{}
	}
	return p.grant.Load().Expires
}

// Take takes a message of so many bytes from what the user may send, or says how long to wait.
func (p *Pass) Take(bytes int, now time.Time) (wait time.Duration) {
	if p == nil {
		return 0
	}
	if wait = p.account.messages.Load().Take(1, now); wait > 0 {
		return wait
	}
	return p.account.bytes.Load().Take(bytes, now)
}

// RevokeUser refuses all tokens of a user that were issued at or before an instant, now if it is zero, and ends the connections that live by
// them. It returns how many those are. The error is auth.ErrTooManyRevocations.
func (d *Desk) RevokeUser(user string, issuedBefore time.Time) (ended int, err error) {
	if err := d.gate.RevokeUser(user, issuedBefore); err != nil {
		return 0, err
	}
	return d.endRevoked(), nil
}

// RevokeToken refuses the token of that name (jti) until the given time, or for as long as a token can last if it is zero, and ends the connections
// that live by it. It returns how many those are. The error is auth.ErrTooManyRevocations.
func (d *Desk) RevokeToken(id string, until time.Time) (ended int, err error) {
	if err := d.gate.RevokeToken(id, until); err != nil {
		return 0, err
	}
	return d.endRevoked(), nil
}

// endRevoked ends the connections whose tokens are revoked.
func (d *Desk) endRevoked() (ended int) {
	var hit []*Pass
	d.mu.Lock()
	for _, a := range d.users {
		for p := range a.passes {
			if !p.revoked && d.gate.Revoked(p.grant.Load()) { // one that takes its time to close counts once
				p.revoked = true
				hit = append(hit, p)
			}
		}
	}
	d.mu.Unlock()
	for _, p := range hit {
		p.end(protocol.CloseForbidden, "the token has been revoked")
	}
	return len(hit)
}
