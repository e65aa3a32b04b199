// Package auth says who may do what: it verifies tokens (JWT), knows which were revoked, and compares API keys. It knows neither
// connections nor how rooms work; docs/auth.md is the same for people who make tokens.
//
// An [Authority] is made of a [Config] by [New] and may be given another one while it is in use ([Authority.Reload]). [Authority.Verify]
// turns a token into a [Grant], which says whose it is, until when, and what it allows in which room. An error of Verify is one of four:
// [ErrTokenExpired], [ErrTokenInvalid], [ErrTokenRevoked] or [ErrUnavailable]; its text says more, never contains the token, and is one
// line whatever was in it.
//
//   - A key has its algorithms, and a token does not choose: one that is signed with HMAC finds no public key to be checked with, and
//     "none" is no algorithm here.
//   - Claims are read strictly: exact names, none twice, numbers where numbers belong. What a claim library lets pass, a user of two
//     libraries gets to feel.
//   - Nothing that a stranger can send makes it work long: a token is refused by its length before it is looked at, the key set behind
//     a URL is fetched at most every few seconds however many unknown keys are asked for, and a match of a pattern is bounded.
//
// An Authority has at most one goroutine: the one that fetches the key set (remote.go). Close ends it and waits for it.
// Locks: Authority.changing for Reload and Close, revocations.mu for the lists; neither is held while the other is taken.
//
// Files: config.go is what can be set, authority.go ties it together, claims.go reads what is in a token, grant.go says what it allows,
// keys.go reads keys, jwks.go key sets, remote.go fetches them, revoke.go remembers revocations, request.go finds tokens and keys in
// requests, mint.go makes tokens for development.
package auth
