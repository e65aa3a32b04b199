package auth

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Config is what can be set, in plain types: flags, environment and file fill it. What a field is called on the command line stands in
// its errors.
type Config struct {
	// Secrets (--token-secret) are shared secrets for HS256, HS384 and HS512, of 32 bytes or more each. A token may be signed with
	// any of them, so that one can take the place of another without a break.
	Secrets []string

	// KeyFiles (--token-key-file) hold public keys or certificates in PEM, a JWK set, or one secret. Their content says which.
	KeyFiles []string

	// JWKSURL (--token-jwks-url) is where a JWK set with public keys is fetched, again and again. An http:// address is for a host
	// that is trusted like this one: whoever can answer in its place can sign tokens.
	JWKSURL string

	// JWKSRefresh (--token-jwks-refresh) is how often that is done. It is also done, every five seconds at most, when a token names
	// a key that is not in the set. Zero means 15 minutes.
	JWKSRefresh time.Duration

	// JWKSTimeout (--token-jwks-timeout) is how long one fetch may take. Zero means 5 seconds.
	JWKSTimeout time.Duration

	// Audience (--token-audience): if there are any, a token has to name one of them in aud.
	Audience []string

	// Issuer (--token-issuer): if there is one, it has to be the token's iss.
	Issuer string

	// Leeway (--token-leeway) is how far the clock of whoever makes the tokens may be off, in exp, nbf and iat. Zero means 5 seconds,
	// less than zero none; it may be a minute at most, for that long a token is good beyond its time.
	Leeway time.Duration

	// MaxLifetime (--token-max-lifetime) is the longest time from iat, or without one from now, to exp. Tokens that last longer are
	// refused, and a revocation is remembered for so long. Zero means 24 hours.
	MaxLifetime time.Duration

	// APIKeys (--api-key) open the HTTP API; 16 characters or more each.
	APIKeys []string
}

const (
	defaultRefresh  = 15 * time.Minute
	defaultTimeout  = 5 * time.Second
	defaultLeeway   = 5 * time.Second
	defaultLifetime = 24 * time.Hour

	maxLeeway    = time.Minute
	minRefresh   = 10 * time.Second
	maxTimeout   = time.Minute
	maxLifetime  = 10 * 365 * 24 * time.Hour
	minSecret    = 32
	minAPIKey    = 16
	makeASecret  = "make one with `openssl rand -base64 32`"
	publicKeyPEM = "write the public key with `openssl pkey -in FILE -pubout`"
)

// Check reports what New would find wrong with a Config. It reads the files, and fetches nothing.
func Check(c Config) error {
	_, err := newState(c)
	return err
}

// withDefaults puts the defaults in the place of zeros and checks the rest.
func (c Config) withDefaults() (Config, error) {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.JWKSRefresh, defaultRefresh}, {&c.JWKSTimeout, defaultTimeout}, {&c.Leeway, defaultLeeway}, {&c.MaxLifetime, defaultLifetime}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	c.Leeway = max(c.Leeway, 0)
	switch {
	case c.JWKSRefresh < minRefresh:
		return c, invalid("token-jwks-refresh", c.JWKSRefresh, fmt.Sprintf("set %v or more", minRefresh))
	case c.JWKSTimeout < 0 || c.JWKSTimeout > maxTimeout:
		return c, invalid("token-jwks-timeout", c.JWKSTimeout, fmt.Sprintf("set at most %v, such as 5s", maxTimeout))
	case c.Leeway > maxLeeway:
		return c, invalid("token-leeway", c.Leeway, fmt.Sprintf("set at most %v; a token is good for that long beyond its time", maxLeeway))
	case c.MaxLifetime < time.Minute || c.MaxLifetime > maxLifetime:
		return c, invalid("token-max-lifetime", c.MaxLifetime, "set a time from 1m to ten years, such as 24h")
	}
	return c, c.checkURL()
}

func (c *Config) checkURL() error {
	if c.JWKSURL == "" {
		return nil
	}
	u, err := url.Parse(c.JWKSURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return invalid("token-jwks-url", "that is given", "write an address such as https://login.example.com/.well-known/jwks.json") // it may hold a password
	}
	return nil
}

// invalid is an error in the words of the command line.
func invalid(flag string, value any, remedy string) error {
	return fmt.Errorf("--%s %v: %s", flag, value, remedy)
}

// which names one of several values that must not be printed.
func which(i, of int) string {
	if of == 1 {
		return "that is given"
	}
	return fmt.Sprintf("number %d", i+1)
}

// digests are the API keys as they are compared: of one length, so that the time it takes tells nothing about them.
func (c *Config) digests() ([][sha256.Size]byte, error) {
	var all [][sha256.Size]byte
	for i, key := range c.APIKeys {
		switch {
		case len(key) < minAPIKey:
			return nil, invalid("api-key", which(i, len(c.APIKeys)), fmt.Sprintf("%d characters are too few; %d or more are asked for, %s", len(key), minAPIKey, makeASecret))
		case strings.ContainsFunc(key, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
			return nil, invalid("api-key", which(i, len(c.APIKeys)), "there are spaces in it, which a header does not carry; "+makeASecret)
		}
		all = append(all, sha256.Sum256([]byte(key)))
	}
	return all, nil
}
