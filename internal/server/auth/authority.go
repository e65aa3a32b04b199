package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MaxTokenBytes is how long a token may be. A longer one is refused before anything of it is read.
const MaxTokenBytes = 16 << 10

// Authority verifies tokens and API keys. It is safe for concurrent use.
type Authority struct {
	log   *slog.Logger
	pace  pace
	state atomic.Pointer[state] // never nil

	revoked revocations

	changing sync.Mutex // one Reload or Close at a time
	closed   bool       // guarded by changing
}

// state is all that follows from a Config; it is changed as a whole.
type state struct {
	cfg    Config // with defaults
	parser *jwt.Parser
	static []key
	remote *remote // nil without a URL
	api    [][sha256.Size]byte
}

// longest is how long a token can count after it was issued, clocks that differ included.
func (s *state) longest() time.Duration { return s.cfg.MaxLifetime + 2*s.cfg.Leeway }

// New makes an Authority. If there is a JWKS URL, its keys are fetched before New returns; if that fails, it is logged, tried again every few
// seconds, and until it succeeds no token verifies that needs them. Ctx bounds the making alone: what was made lives until Close.
func New(ctx context.Context, c Config, log *slog.Logger) (*Authority, error) {
	return newAuthority(ctx, c, log, usualPace())
}

func newAuthority(ctx context.Context, c Config, log *slog.Logger, p pace) (*Authority, error) {
	a := &Authority{log: log, pace: p}
	s, err := newState(c)
	if err != nil {
		return nil, err
	}
	if s.cfg.JWKSURL != "" {
		s.remote = startRemote(&s.cfg, p, log)
		if _, err := s.remote.first(ctx); err != nil {
			s.remote.stop()
			return nil, err
		}
	}
	a.state.Store(s)
	return a, nil
}

func newState(c Config) (*state, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &state{cfg: c}
	if s.static, err = c.staticKeys(); err != nil {
		return nil, err
	}
	if s.api, err = c.digests(); err != nil {
		return nil, err
	}
	options := []jwt.ParserOption{jwt.WithValidMethods(allAlgs), jwt.WithStrictDecoding(), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(c.Leeway)}
	if c.Issuer != "" {
		options = append(options, jwt.WithIssuer(c.Issuer))
	}
	if len(c.Audience) > 0 {
		options = append(options, jwt.WithAudience(c.Audience...))
	}
	s.parser = jwt.NewParser(options...)
	return s, nil
}

// Reload puts another Config in the place of the one in use: files are read again, keys that are gone do not count any more, and
// whatever is verified next goes by the new one. Grants that were given stay good. If anything is wrong with it, or a JWKS URL that is
// new cannot be fetched, nothing changes. Revocations stay.
func (a *Authority) Reload(c Config) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	if a.closed {
		return errClosed
	}
	s, err := newState(c)
	if err != nil {
		return err
	}
	old := a.state.Load().remote
	switch {
	case s.cfg.JWKSURL == "":
	case old != nil && old.same(&s.cfg):
		s.remote = old
	default:
		s.remote = startRemote(&s.cfg, a.pace, a.log)
		set, err := s.remote.first(context.Background()) // at most JWKSTimeout
		if err == nil {
			err = set.err
		}
		if err != nil {
			s.remote.stop()
			return invalid("token-jwks-url", shown(s.cfg.JWKSURL), fmt.Sprintf("%v; mend that, the configuration from before stays in force", err))
		}
	}
	a.state.Store(s)
	if old != nil && old != s.remote {
		old.stop()
	}
	return nil
}

// Close ends the fetching of keys and waits for it. What is known by then goes on working. It may be called twice.
func (a *Authority) Close() {
	a.changing.Lock()
	defer a.changing.Unlock()
	a.closed = true
	if r := a.state.Load().remote; r != nil {
		r.stop()
	}
}

// Required reports whether there are keys for tokens, so that clients have to show one.
func (a *Authority) Required() bool {
	s := a.state.Load()
	return len(s.static) > 0 || s.remote != nil
}

// KeysRequired reports whether there are API keys, so that a backend has to show one.
func (a *Authority) KeysRequired() bool { return len(a.state.Load().api) > 0 }

// APIKey reports whether it is one of the API keys. How long that takes says nothing about them.
func (a *Authority) APIKey(presented string) bool {
	digest, found := sha256.Sum256([]byte(presented)), 0
	for _, key := range a.state.Load().api {
		found |= subtle.ConstantTimeCompare(key[:], digest[:])
	}
	return found == 1
}

// Verify says what a token allows, or why it does not count: with one of ErrTokenExpired, ErrTokenInvalid, ErrTokenRevoked,
// ErrUnavailable. It waits only if the token names a key that is not in the set behind the JWKS URL, for the set to be fetched: until
// ctx ends, or a few seconds.
func (a *Authority) Verify(ctx context.Context, token string) (*Grant, error) {
	if len(token) > MaxTokenBytes {
		return nil, fmt.Errorf("%w: %d bytes are too many; at most %d are taken", ErrTokenInvalid, len(token), MaxTokenBytes)
	}
	if strings.ContainsAny(token, "\r\n") { // which encoding/base64 skips: one token would have many spellings
		return nil, fmt.Errorf("%w: there are line ends in it", ErrTokenInvalid)
	}
	var (
		s      = a.state.Load()
		c      claims
		keyErr error
	)
	_, err := s.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		var set jwt.VerificationKeySet
		set, keyErr = s.keysFor(ctx, t)
		return set, keyErr
	})
	switch {
	case keyErr != nil:
		return nil, keyErr
	case err != nil:
		return nil, refusal(err, &c)
	}
	g := &Grant{User: c.user, ID: c.id, Direct: c.direct, Expires: c.expires.Add(s.cfg.Leeway), rules: c.rules}
	from := time.Now()
	if c.issued != nil {
		g.IssuedAt, from = c.issued.Time, c.issued.Time
	}
	if lasts := c.expires.Sub(from); lasts > s.cfg.MaxLifetime {
		return nil, fmt.Errorf("%w: it lasts %v from iat, or now, to exp, and at most %v is taken; make shorter ones, or raise --token-max-lifetime",
			ErrTokenInvalid, lasts.Round(time.Second), s.cfg.MaxLifetime)
	}
	if a.Revoked(g) {
		return nil, ErrTokenRevoked
	}
	return g, nil
}

// keysFor are the keys that a token may have been signed with: those that are for its algorithm and, if it names one, have its name.
func (s *state) keysFor(ctx context.Context, t *jwt.Token) (set jwt.VerificationKeySet, err error) {
	if _, ok := t.Header["crit"]; ok {
		return set, fmt.Errorf("%w: its header has crit, and no extension is known here", ErrTokenInvalid)
	}
	id, alg := "", t.Method.Alg()
	if named, ok := t.Header["kid"]; ok {
		if id, ok = named.(string); !ok {
			return set, fmt.Errorf("%w: the kid in its header is no string", ErrTokenInvalid)
		}
	}
	set = fitting(set, s.static, id, alg)
	if s.remote == nil || slices.Contains(hmacAlgs, alg) {
		return set, none(set, id, alg)
	}
	known := s.remote.current.Load()
	if set = fitting(set, known.keys, id, alg); len(set.Keys) > 0 {
		return set, nil
	}
	if known, err = s.remote.after(ctx, known); err != nil {
		return set, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	set = fitting(set, known.keys, id, alg)
	if len(set.Keys) == 0 && known.err != nil {
		return set, fmt.Errorf("%w: %w", ErrUnavailable, known.err)
	}
	return set, none(set, id, alg)
}

func fitting(set jwt.VerificationKeySet, keys []key, id, alg string) jwt.VerificationKeySet {
	for _, k := range keys {
		if slices.Contains(k.algs, alg) && (id == "" || k.id == "" || k.id == id) {
			set.Keys = append(set.Keys, k.material)
		}
	}
	return set
}

// none is the error of an empty set.
func none(set jwt.VerificationKeySet, id, alg string) error {
	switch {
	case len(set.Keys) > 0:
		return nil
	case id == "":
		return fmt.Errorf("%w: there is no key for its algorithm %s", ErrTokenInvalid, alg)
	}
	return fmt.Errorf("%w: there is no key with its kid %s for its algorithm %s", ErrTokenInvalid, quoted(id), alg)
}
