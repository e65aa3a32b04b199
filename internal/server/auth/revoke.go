package auth

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxRevocations is how many users, and how many tokens, can be revoked at a time. Entries vanish when what they are about has expired
// by itself, so that this is what can be revoked within one MaxLifetime.
const maxRevocations = 100_000

// ErrTooManyRevocations: the list is full; nothing was revoked. Changing the keys revokes everything.
var ErrTooManyRevocations = fmt.Errorf("%d revocations are remembered already, which is the most; nothing was revoked", maxRevocations)

// revocations are kept in memory and do not survive a restart.
type revocations struct {
	mu     sync.RWMutex
	users  map[string]time.Time // tokens issued up to then do not count
	tokens map[string]time.Time // by jti; until when to remember it
	swept  time.Time
}

// RevokeUser refuses from now on all tokens of a user that were issued (iat) at or before the given time; one that does not say when it
// was issued counts as issued before. Of two times for one user the later one counts, and a time further ahead than a token can last is
// taken as that; the zero time means now. It is remembered until such tokens have expired, and not beyond a restart. Connections that are
// open go on: ask Revoked.
func (a *Authority) RevokeUser(user string, issuedBefore time.Time) error {
	if err := CheckName(user); err != nil {
		return fmt.Errorf("user %s: %w", quoted(user), err)
	}
	now, keep := time.Now(), a.state.Load().longest()
	switch latest := now.Add(keep); {
	case issuedBefore.IsZero():
		issuedBefore = now
	case issuedBefore.After(latest):
		issuedBefore = latest
	}
	if !now.Before(issuedBefore.Add(keep)) {
		return nil // all of them have expired
	}
	r := &a.revoked
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweepLocked(now, keep)
	before, known := r.users[user]
	if !known && len(r.users) >= maxRevocations {
		return ErrTooManyRevocations
	}
	if issuedBefore.After(before) {
		r.users[user] = issuedBefore
	}
	return nil
}

// RevokeToken refuses one token from now on, by its jti, until the given time, which is best its exp. The zero time, and any that is
// further ahead than a token can last, mean as long as a token can last. It does not survive a restart. Connections that are open go
// on: ask Revoked.
func (a *Authority) RevokeToken(jti string, until time.Time) error {
	if err := CheckName(jti); err != nil {
		return fmt.Errorf("token with the jti %s: %w", quoted(jti), err)
	}
	now, keep := time.Now(), a.state.Load().longest()
	if latest := now.Add(keep); until.IsZero() || until.After(latest) {
		until = latest
	} else {
		until = until.Add(a.state.Load().cfg.Leeway)
	}
	r := &a.revoked
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweepLocked(now, keep)
	before, known := r.tokens[jti]
	if !known && len(r.tokens) >= maxRevocations {
		return ErrTooManyRevocations
	}
	if until.After(before) && until.After(now) {
		r.tokens[jti] = until
	}
	return nil
}

// Revoked reports whether the token of a grant has been revoked, so that a connection that lives by it can be ended.
func (a *Authority) Revoked(g *Grant) bool {
	now, keep := time.Now(), a.state.Load().longest()
	r := &a.revoked
	r.mu.RLock()
	defer r.mu.RUnlock()
	if before, ok := r.users[g.User]; ok && now.Before(before.Add(keep)) && !g.IssuedAt.After(before) {
		return true
	}
	until, ok := r.tokens[g.ID]
	return ok && now.Before(until)
}

// sweepLocked forgets what can no longer matter: at most once a minute, for it looks at everything.
func (r *revocations) sweepLocked(now time.Time, keep time.Duration) {
	if r.users == nil {
		r.users, r.tokens = map[string]time.Time{}, map[string]time.Time{}
	}
	if now.Sub(r.swept) < time.Minute {
		return
	}
	r.swept = now
	for user, before := range r.users {
		if !now.Before(before.Add(keep)) {
			delete(r.users, user)
		}
	}
	for jti, until := range r.tokens {
		if !now.Before(until) {
			delete(r.tokens, jti)
		}
	}
}

var errClosed = errors.New("auth: closed; make a new Authority")
