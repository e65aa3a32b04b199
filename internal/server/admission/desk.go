package admission

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// Limits is what is let in. A limit that is 0 does not exist. They can be changed while the server runs: Desk.SetLimits.
type Limits struct {
	AcceptRate      int // upgrades per second, from all addresses together
	ConnsPerAddress int // connections from one address: IPv6 by /64; the loopback address has no limit
	ConnsPerUser    int // connections with tokens of one user

	UserMessageRate int // messages per second of all connections of a user
	UserByteRate    int // bytes per second of all connections of a user

	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
}

// Desk lets clients in. Its methods may be called from anywhere at any time.
type Desk struct {
	gate     *auth.Authority
	log      *slog.Logger
	limits   atomic.Pointer[Limits]
	accepts  atomic.Pointer[Bucket] // by Limits.AcceptRate
	draining atomic.Bool
	refused  refusals

	mu        sync.Mutex // a leaf: nothing is called with it held
	addresses map[netip.Addr]int
	users     map[string]*account
}

// New returns a desk that asks gate about tokens.
func New(gate *auth.Authority, limits Limits, log *slog.Logger) *Desk {
	d := &Desk{gate: gate, log: log, addresses: map[netip.Addr]int{}, users: map[string]*account{}}
	d.SetLimits(limits)
	return d
}

// SetLimits changes the limits for what comes from now on. Who is connected stays.
func (d *Desk) SetLimits(limits Limits) {
	d.limits.Store(&limits)
	accepts := NewBucket(limits.AcceptRate, limits.AcceptRate)
	d.accepts.Store(&accepts)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.users {
		a.setRates(limits)
	}
}

// Drain lets nobody in any more.
func (d *Desk) Drain() { d.draining.Store(true) }

// Draining reports whether Drain has been called.
func (d *Desk) Draining() bool { return d.draining.Load() }

// TokenRequired reports whether clients have to show a token.
func (d *Desk) TokenRequired() bool { return d.gate.Required() }

// Refusal is why a token does not count, or a connection is not admitted with it.
type Refusal struct {
	Code    protocol.ErrorCode // in the error, if it came in a message
	Close   protocol.CloseCode // of the connection, if it came with the request
	Message string             // for people; it says nothing about what is wrong with the token
	cause   string             // for the counter
}

// checkTimeout is how long a token may wait for its key.
const checkTimeout = 10 * time.Second

// Check says what a token allows. What is wrong with one that does not count is logged, with the address it came from.
func (d *Desk) Check(ctx context.Context, token, from string) (*auth.Grant, *Refusal) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	grant, err := d.gate.Verify(ctx, token)
	if err == nil {
		return grant, nil
	}
	refusal := &Refusal{protocol.Unauthorized, protocol.CloseUnauthorized, "the token is not valid", TokenInvalid}
	switch {
	case errors.Is(err, auth.ErrTokenExpired):
		refusal = &Refusal{protocol.TokenExpired, protocol.CloseTokenExpired, "the token has expired", TokenExpired}
	case errors.Is(err, auth.ErrTokenRevoked):
		refusal = &Refusal{protocol.Forbidden, protocol.CloseForbidden, "the token has been revoked", TokenRevoked}
	case errors.Is(err, auth.ErrUnavailable):
		refusal = &Refusal{protocol.Unavailable, protocol.CloseInternal, "tokens cannot be checked at present", KeysUnavailable}
	}
	d.log.Info("token refused", "remote", from, "error", err)
	d.refused.count(refusal.cause)
	return nil, refusal
}
