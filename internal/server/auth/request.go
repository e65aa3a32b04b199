package auth

import (
	"net/http"
	"strings"
)

// TokenOf finds the token in a request: in the header Authorization, as Bearer, or else as token in the query.
func TokenOf(r *http.Request) (token string, found bool) {
	if token, found = bearer(r); found {
		return token, true
	}
	token = r.URL.Query().Get("token")
	return token, token != ""
}

// KeyOf finds the API key in a request: in the header Authorization, as Bearer, or else in X-API-Key. It is never looked for in the query,
// which ends up in logs: an API key has no end by itself.
func KeyOf(r *http.Request) (key string, found bool) {
	if key, found = bearer(r); found {
		return key, true
	}
	key = strings.TrimSpace(r.Header.Get("X-API-Key"))
	return key, key != ""
}

// bearer reads "Authorization: Bearer …" (RFC 6750). Schemes are the same in upper and lower case.
func bearer(r *http.Request) (credentials string, found bool) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	rest = strings.TrimSpace(rest)
	return rest, strings.EqualFold(scheme, "Bearer") && rest != ""
}
