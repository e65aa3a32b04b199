package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// kinds of errors that Verify may return.
var kinds = []error{ErrTokenExpired, ErrTokenInvalid, ErrTokenRevoked, ErrUnavailable}

// FuzzVerify holds that no text at all makes Verify panic or return anything but one of its errors, and that what it takes has been
// signed: its last part is the signature of the others, by a secret that is checked here by another way.
func FuzzVerify(f *testing.F) {
	a, err := New(f.Context(), Config{Secrets: []string{secret}, KeyFiles: []string{file(f, publicPEM(f, rsaKey().Public()))}}, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(a.Close)
	token := hs(f, good(nil))
	parts := strings.Split(token, ".")
	for _, seed := range []string{
		"", "..", token, token + ".", parts[0] + "." + parts[1] + ".", segment(`{"alg":"none"}`) + "." + parts[1] + ".", token + "\n",
		sign(f, "RS256", rsaKey(), `{"alg":"RS256"}`, good(nil)), segment(`{"alg":"HS256","crit":[]}`) + "." + segment("null") + "." + parts[2],
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		g, err := a.Verify(t.Context(), token)
		if err != nil {
			checkError(t, err)
			return
		}
		parts := strings.Split(token, ".")
		signature, bad := base64.RawURLEncoding.DecodeString(parts[len(parts)-1])
		if bad != nil || len(parts) != 3 || g.User != "ann" {
			t.Fatalf("%q was taken, as %+v", token, g)
		}
		if text := parts[0] + "." + parts[1]; jwt.SigningMethodHS256.Verify(text, signature, []byte(secret)) != nil &&
			jwt.SigningMethodRS256.Verify(text, signature, rsaKey().Public()) != nil {
			t.Fatalf("%q was taken and is not signed", token)
		}
	})
}

// FuzzClaims holds that whatever claims are signed, a grant that comes of them has all it must have, and an error is fit for a log.
func FuzzClaims(f *testing.F) {
	a := ours(f)
	for _, seed := range []string{
		good(nil), `{}`, "null", `{"sub":"ann","exp":1e9}`, `{"sub":"a","exp":9,"rooms":{"a":["join"],"a":[]}}`, `{"SUB":"a","sub":"\ud800"}`,
		`{"sub":"ann","exp":9999999999.5,"nbf":-1,"aud":["x"],"iss":"y","jti":"z","iat":null}`, strings.Repeat("[", 100),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, claims string) {
		g, err := a.Verify(t.Context(), hs(t, claims))
		if err != nil {
			checkError(t, err)
			return
		}
		if CheckName(g.User) != nil || g.Expires.IsZero() || len(g.rules) > maxRules {
			t.Fatalf("%q became %+v", claims, g)
		}
		var all map[string]any
		if err := json.Unmarshal([]byte(claims), &all); err != nil || all["sub"] != g.User {
			t.Fatalf("%q became the user %q; %v", claims, g.User, err)
		}
		if _, ok := all["rooms"].(map[string]any); !ok && g.rules != nil {
			t.Fatalf("%q became rules", claims)
		}
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	n := 0
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			n++
		}
	}
	if n != 1 || !utf8.ValidString(err.Error()) || strings.ContainsFunc(err.Error(), unicode.IsControl) || len(err.Error()) > 3000 {
		t.Fatalf("error %q is of %d kinds, or not fit for a log", err, n)
	}
}
