package admission

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/roomcast/roomcast/internal/server/protocol"
)

// retrySpread is how many seconds those who are sent away are told to wait, at most, each another number: they are not to come back together.
const retrySpread = 10

// Guard passes upgrades to next unless they are too many. Refusals are plain text with Retry-After: 503 while too many come at once, or the
// server drains, 429 for an address with too many connections.
func (d *Desk) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header["Upgrade"]) == 0 { // whatever else it says, next may take for an upgrade
			next.ServeHTTP(w, r)
			return
		}
		switch limits := d.limits.Load(); {
		case d.draining.Load():
			d.sendAway(w, Draining, http.StatusServiceUnavailable, "the server is about to stop; connect again later")
		case d.full(limits.addressOf(r), limits.ConnsPerAddress):
			d.sendAway(w, TooManyAddress, http.StatusTooManyRequests, "there are "+strconv.Itoa(limits.ConnsPerAddress)+
				" connections from this address, the most it may have; close one, or connect again later")
		case d.accepts.Load().Take(1, time.Now()) > 0:
			d.sendAway(w, TooFast, http.StatusServiceUnavailable, "too many clients connect at once; connect again later")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (d *Desk) sendAway(w http.ResponseWriter, cause string, status int, text string) {
	d.refused.count(cause)
	w.Header().Set("Retry-After", strconv.Itoa(1+rand.IntN(retrySpread)))
	http.Error(w, text, status)
}

// full reports whether an address has as many connections as it may have.
func (d *Desk) full(address netip.Addr, most int) bool {
	if most == 0 || !address.IsValid() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.addresses[address] >= most
}

// Enter counts a connection for its address until leave is called, once. leave is nil if the address has no limit. The refusal is for those who
// came through Guard at the same time as others: their connection is closed with it.
func (d *Desk) Enter(r *http.Request) (leave func(), _ *Refusal) {
	limits := d.limits.Load()
	address := limits.addressOf(r)
	if !address.IsValid() {
		return nil, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if limits.ConnsPerAddress > 0 && d.addresses[address] >= limits.ConnsPerAddress {
		d.refused.count(TooManyAddress)
		return nil, &Refusal{Code: protocol.Throttled, Close: protocol.CloseThrottled, Message: "too many connections from this address"}
	}
	d.addresses[address]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.addresses[address]--; d.addresses[address] == 0 {
			delete(d.addresses, address)
		}
	}, nil
}
