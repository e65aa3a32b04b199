package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast/internal/server/auth"
)

// Revocation is which tokens are not to count any more.
type Revocation struct {
	User         string `json:"user,omitempty" maxLength:"256" doc:"All tokens of this user that were issued up to issued_before. Either this or token."`
	IssuedBefore string `json:"issued_before,omitempty" format:"date-time" doc:"For a user: tokens issued (iat) at or before it do not count, and those without iat never. Without it, now."`
	Token        string `json:"token,omitempty" maxLength:"256" doc:"The token of this name (jti). Either this or user."`
	Until        string `json:"until,omitempty" format:"date-time" doc:"For a token: how long to remember it, best its exp. Without it, as long as a token can last."`
}

// TransformSchema is huma.SchemaTransformer: it is about a user or about a token.
func (Revocation) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.OneOf = []*huma.Schema{{Required: []string{"user"}}, {Required: []string{"token"}}}
	return s
}

type revocationInput struct {
	JSON jsonBody[Revocation]
}

func (a *API) revoke(_ context.Context, in *revocationInput) (Disconnected, error) {
	r, fault := in.JSON.Value, in.JSON.Fault
	switch {
	case fault != nil:
		return Disconnected{}, fault
	case (r.User == "") == (r.Token == ""):
		return Disconnected{}, invalid("body", nil, `name either a "user" or a "token"`)
	case r.User == "" && r.IssuedBefore != "":
		return Disconnected{}, invalid("body.issued_before", nil, `it is for a user: leave it out, or say "until"`)
	case r.Token == "" && r.Until != "":
		return Disconnected{}, invalid("body.until", nil, `it is for a token: leave it out, or say "issued_before"`)
	}
	name, where, when, do := r.User, "user", "issued_before", a.hub.RevokeUser
	if r.Token != "" {
		name, where, when, do = r.Token, "token", "until", a.hub.RevokeToken
	}
	at, fault := instant("body."+when, r.IssuedBefore+r.Until)
	if err := auth.CheckName(name); err != nil {
		fault = invalid("body."+where, name, "%v; no token can have it", err)
	}
	if fault != nil {
		return Disconnected{}, fault
	}
	n, err := do(name, at)
	switch {
	case errors.Is(err, auth.ErrTooManyRevocations):
		a.log.Warn("not revoked", where, name, "error", err)
		return Disconnected{}, problem(http.StatusServiceUnavailable, "", nil,
			"%v; they are forgotten as tokens expire: repeat it later, disconnect whom it is about, or change the keys, which revokes every token", err)
	case err != nil:
		return Disconnected{}, unavailable(err)
	}
	a.log.Info("revoked by the backend", where, name, "connections", n)
	return Disconnected{n}, nil
}

// instant reads a time of a body, the zero one if there is none. That would be taken for none too if it were written out.
func instant(where, text string) (time.Time, *huma.ErrorModel) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.Unix() < 0 {
		return time.Time{}, invalid(where, text, "it is no time since 1970 as in RFC 3339: write it like 2026-11-23T18:00:00Z")
	}
	return at, nil
}

// revocations adds the operation that revokes tokens.
func (a *API) revocations(described huma.API) {
	register(described, operation{
		id: "revoke", method: http.MethodPost, path: "/v1/revocations", tag: tagUsers, summary: "Revoke tokens",
		description: "Refuses from now on all tokens that a user has, or one token, and closes the connections that live by them with 3002, those of the raw relay included. " +
			"A token that was issued later is taken. It is remembered until such tokens have expired, by the servers that run now, each until it is restarted.",
		errors: []int{http.StatusServiceUnavailable}, body: Revocation{}, maxBody: maxBody, example: `{"disconnected":1}`,
		bodies: map[string]string{
			"all of a user":      `{"user":"bob"}`,
			"issued before then": `{"user":"bob","issued_before":"2026-11-23T18:00:00Z"}`,
			"one token":          `{"token":"7d9f0c","until":"2026-11-23T18:15:00Z"}`,
		},
	}, a.revoke)
}
