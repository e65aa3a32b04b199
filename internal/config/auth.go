package config

import (
	"math"
	"time"

	"github.com/roomcast/roomcast"
)

// Auth is who is let in, and how long a client may take to say so. What a key or a URL has to look like, package auth knows.
type Auth struct {
	TokenSecret      []string      `sep:"none" secret:"true" reload:"true" placeholder:"SECRET" env:"ROOMCAST_TOKEN_SECRET" help:"Shared secret of 32 bytes or more with which tokens are signed (HS256, HS384, HS512). May be repeated. Other users of this machine can read a command line: the environment or a file is the better place."`
	TokenKeyFile     []string      `reload:"true" placeholder:"FILE" env:"ROOMCAST_TOKEN_KEY_FILE" help:"Keys with which tokens are verified: public keys or certificates in PEM, a JWK set, or a shared secret. May be repeated."`
	TokenJWKSURL     string        `name:"token-jwks-url" reload:"true" placeholder:"URL" env:"ROOMCAST_TOKEN_JWKS_URL" help:"Where a JWK set with the public keys of tokens is fetched."`
	TokenJWKSRefresh time.Duration `name:"token-jwks-refresh" reload:"true" default:"15m" placeholder:"TIME" env:"ROOMCAST_TOKEN_JWKS_REFRESH" help:"How often it is fetched again (default: ${default})."`
	TokenJWKSTimeout time.Duration `name:"token-jwks-timeout" reload:"true" default:"5s" placeholder:"TIME" env:"ROOMCAST_TOKEN_JWKS_TIMEOUT" help:"How long that may take (default: ${default})."`
	TokenAudience    []string      `reload:"true" placeholder:"NAME" env:"ROOMCAST_TOKEN_AUDIENCE" help:"A token has to be for this audience (aud). May be repeated: for one of them."`
	TokenIssuer      string        `reload:"true" placeholder:"NAME" env:"ROOMCAST_TOKEN_ISSUER" help:"A token has to be from this issuer (iss)."`
	TokenLeeway      time.Duration `reload:"true" default:"5s" placeholder:"TIME" env:"ROOMCAST_TOKEN_LEEWAY" help:"How far the clocks of who makes tokens and of this machine may differ (default: ${default})."`
	TokenMaxLifetime time.Duration `reload:"true" default:"24h" placeholder:"TIME" env:"ROOMCAST_TOKEN_MAX_LIFETIME" help:"How long a token may be good for, and how long a revocation is remembered (default: ${default})."`
	TokenTimeout     time.Duration `default:"10s" placeholder:"TIME" env:"ROOMCAST_TOKEN_TIMEOUT" help:"How long a client of /ws may take to show a token; then it is closed with 3001 (default: ${default})."`

	APIKey         []string `name:"api-key" sep:"none" secret:"true" reload:"true" placeholder:"KEY" env:"ROOMCAST_API_KEY" help:"Key of 16 characters or more that the HTTP API asks for; without one it answers this machine only. May be repeated. The environment is the better place, as for secrets."`
	AllowAnonymous bool     `env:"ROOMCAST_ALLOW_ANONYMOUS" help:"Listen on any address though there are no keys for tokens, so that whoever can reach it can join any room."`
}

func (a *Auth) problems() (found []error) {
	for _, f := range []struct {
		flag  string
		value time.Duration
		least time.Duration
	}{
		{"token-jwks-refresh", a.TokenJWKSRefresh, time.Second}, {"token-jwks-timeout", a.TokenJWKSTimeout, time.Millisecond},
		{"token-max-lifetime", a.TokenMaxLifetime, time.Second}, {"token-timeout", a.TokenTimeout, time.Millisecond},
		{"token-leeway", a.TokenLeeway, 0},
	} {
		if f.value < f.least || f.value > math.MaxInt64/4 {
			found = append(found, invalid(f.flag, f.value, "set a time such as 10s"))
		}
	}
	return found
}

func (a *Auth) apply(*roomcast.Options) {}

// Tokens reports whether there are keys for tokens, so that clients have to show one.
func (a *Auth) Tokens() bool {
	return len(a.TokenSecret) > 0 || len(a.TokenKeyFile) > 0 || a.TokenJWKSURL != ""
}
