package admission

import "sync/atomic"

// Why somebody was not let in: a closed list, the names of the counters.
const (
	TokenMissing    = "token_missing"    // none came in time
	TokenInvalid    = "token_invalid"    // signature, form, claims
	TokenExpired    = "token_expired"    // it was one of ours
	TokenRevoked    = "token_revoked"    // likewise
	KeysUnavailable = "keys_unavailable" // the key set cannot be had
	KeyInvalid      = "api_key_invalid"  // a request to the HTTP API without a valid key
	TooFast         = "accept_rate"      // Limits.AcceptRate
	TooManyAddress  = "address_full"     // Limits.ConnsPerAddress
	TooManyUser     = "user_full"        // Limits.ConnsPerUser
	Draining        = "draining"         // the server is about to stop
)

var causes = [...]string{TokenMissing, TokenInvalid, TokenExpired, TokenRevoked, KeysUnavailable, KeyInvalid, TooFast, TooManyAddress,
	TooManyUser, Draining}

// refusals counts them.
type refusals [len(causes)]atomic.Uint64

func (r *refusals) count(cause string) {
	for i, c := range causes {
		if c == cause {
			r[i].Add(1)
		}
	}
}

// Refused is how many were not let in so far, by cause; every cause is there.
func (d *Desk) Refused() map[string]uint64 {
	counts := make(map[string]uint64, len(causes))
	for i, cause := range causes {
		counts[cause] = d.refused[i].Load()
	}
	return counts
}

// Refuse counts a refusal that was decided elsewhere.
func (d *Desk) Refuse(cause string) { d.refused.count(cause) }
