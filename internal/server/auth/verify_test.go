package auth

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestVerify(t *testing.T) {
	g := accepted(t, ours(t), hs(t, good(map[string]any{"jti": "t-1", "extra": []any{1, "x"}, "rooms": map[string]any{
		"chat/*": []string{"join", "send"}, "news": []string{"join"}, "**": []string{"presence"}, "log": []string{}, "bot": []string{"publish-as"}}})))
	if g.User != "ann" || g.ID != "t-1" || g.IssuedAt.IsZero() || g.Expires.Sub(g.IssuedAt) != time.Hour+defaultLeeway {
		t.Errorf("grant %+v", g)
	}
	for _, c := range []struct {
		action Action
		room   string
		want   bool
	}{
		{Join, "chat/a", true}, {Send, "chat/a", true}, {Join, "chat/", true}, {PublishAs, "chat/a", false},
		{Join, "chat", false}, {Join, "chat/a/b", false}, {Join, "Chat/a", false}, {Join, "chat/../news/x", false}, {Send, "xchat/a", false},
		{Join, "news", true}, {Send, "news", false}, {Join, "new", false}, {Presence, "any/where", true}, {Presence, "", true},
		{Join, "log", false}, {PublishAs, "bot", true}, {Join, "bot", false}, {0, "news", false}, {Join | Send, "chat/a", true}, {Join | Send, "news", false},
	} {
		if got := g.Allows(c.action, c.room); got != c.want {
			t.Errorf("%v in %q: %v, want %v", c.action, c.room, got, c.want)
		}
	}
	if g := accepted(t, ours(t), hs(t, good(map[string]any{"rooms": nil, "iat": nil}))); g.Allows(Join, "chat/a") || !g.IssuedAt.IsZero() {
		t.Errorf("a token without rooms and iat became %+v", g)
	}
	if fmt.Sprint(Join, Send, Presence, PublishAs, Action(64)) != "join send presence publish-as Action(64)" {
		t.Error("actions are called", Join, Send, Presence, PublishAs, Action(64))
	}
}

// TestAlgorithms holds that every algorithm verifies with its key, and with no other key than its own.
func TestAlgorithms(t *testing.T) {
	all := []struct {
		algs    string
		private any
		public  any
	}{
		{"HS256 HS384 HS512", []byte(secret), nil}, {"RS256 RS384 RS512 PS256 PS384 PS512", rsaKey(), rsaKey().Public()},
		{"ES256", p256Key(), p256Key().Public()}, {"ES384", p384Key(), p384Key().Public()}, {"ES512", p521Key(), p521Key().Public()},
		{"EdDSA", edKey(), edKey().Public()},
	}
	for i, mine := range all {
		c := Config{Secrets: []string{secret}}
		if mine.public != nil {
			c = Config{KeyFiles: []string{file(t, publicPEM(t, mine.public))}}
		}
		a := authority(t, c)
		for j, other := range all {
			for alg := range strings.FieldsSeq(other.algs) {
				token := sign(t, alg, other.private, fmt.Sprintf(`{"alg":%q}`, alg), good(nil))
				if i == j {
					accepted(t, a, token)
				} else {
					refused(t, a, token, ErrTokenInvalid, "no key for its algorithm "+alg)
				}
			}
		}
	}
}

// TestKeyConfusion holds that a public key is no secret: neither its PEM, in any spelling, nor its DER signs a token.
func TestKeyConfusion(t *testing.T) {
	for _, public := range []any{rsaKey().Public(), p256Key().Public(), edKey().Public()} {
		text := publicPEM(t, public)
		block, _ := pem.Decode(text)
		a := authority(t, Config{KeyFiles: []string{file(t, text)}})
		both := authority(t, Config{KeyFiles: []string{file(t, text)}, Secrets: []string{secret}})
		for _, key := range [][]byte{text, []byte(strings.TrimSpace(string(text))), block.Bytes, []byte(secret + " "), {}} {
			for _, alg := range hmacAlgs {
				token := sign(t, alg, key, fmt.Sprintf(`{"alg":%q}`, alg), good(nil))
				refused(t, a, token, ErrTokenInvalid, "no key for its algorithm")
				refused(t, both, token, ErrTokenInvalid, "not signed with a key that is known")
			}
		}
	}
}

// TestNoSignature holds that there is no spelling of "none", and that no algorithm can be claimed that is not there.
func TestNoSignature(t *testing.T) {
	a := authority(t, Config{Secrets: []string{secret}, KeyFiles: []string{file(t, publicPEM(t, rsaKey().Public()))}})
	signature := hs(t, good(nil))
	signature = signature[strings.LastIndex(signature, "."):]
	for _, alg := range []string{`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `"none "`, `""`, `null`, `1`, `["HS256"]`, `"hs256"`, `"HS256\u0000"`, `"RS1"`, `"ES256K"`} {
		for _, end := range []string{".", signature} {
			refused(t, a, segment(`{"alg":`+alg+`}`)+"."+segment(good(nil))+end, ErrTokenInvalid, "alg")
		}
	}
	refused(t, a, segment(`{}`)+"."+segment(good(nil))+".", ErrTokenInvalid, "alg")
	refused(t, a, segment(`{"alg":"HS256"}`)+"."+segment(good(nil))+".", ErrTokenInvalid, "not signed")
}

// TestDamaged holds that no token survives a change, and that nothing but a JWT is looked at.
func TestDamaged(t *testing.T) {
	a, token := ours(t), hs(t, good(nil))
	parts := strings.Split(token, ".")
	for _, bad := range []string{
		"", ".", "..", "...", "x", token + ".", token + ".x", "." + token, token + "=", token + " ", " " + token, token + "\n",
		strings.ReplaceAll(token, ".", "\x00"), parts[0] + "." + parts[1], parts[0] + ".." + parts[2], "." + parts[1] + "." + parts[2],
		parts[0] + "." + segment(good(map[string]any{"sub": "eve"})) + "." + parts[2],
		parts[0] + "." + parts[1] + "." + parts[0], "\r\n" + strings.Repeat("\x1b[31m", 10),
		segment("null") + "." + parts[1] + "." + parts[2], segment("[]") + "." + parts[1] + "." + parts[2],
	} {
		refused(t, a, bad, ErrTokenInvalid, "")
	}
	for i := range token {
		refused(t, a, token[:i], ErrTokenInvalid, "")
		refused(t, a, token[:i]+string(token[i]^1)+token[i+1:], ErrTokenInvalid, "")
	}
	// The last character of 43 has two bits that stand for nothing.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	for bits := 1; bits < 4; bits++ {
		refused(t, a, token[:len(token)-1]+alphabet[last|bits:][:1], ErrTokenInvalid, "no JWT")
	}
	refused(t, authority(t, Config{}), token, ErrTokenInvalid, "no key for its algorithm HS256")
	refused(t, authority(t, Config{Secrets: []string{secret + "!"}}), token, ErrTokenInvalid, "not signed")
}

// TestHuge holds that a token is refused by its length alone, and that the longest one there may be is read.
func TestHuge(t *testing.T) {
	refused(t, ours(t), hs(t, good(map[string]any{"x": strings.Repeat("x", MaxTokenBytes)})), ErrTokenInvalid, "bytes are too many")
	refused(t, ours(t), strings.Repeat(".", 10<<20), ErrTokenInvalid, "10485760 bytes are too many")
	accepted(t, ours(t), hs(t, good(map[string]any{"x": strings.Repeat("x", MaxTokenBytes*3/4-300)})))
}

// TestHeader holds that a header that asks for something is refused, and one that says more than is needed is not.
func TestHeader(t *testing.T) {
	a := ours(t)
	for header, want := range map[string]string{
		`{"alg":"HS256","crit":["exp"],"exp":1}`: "crit", `{"alg":"HS256","crit":[]}`: "crit", `{"alg":"HS256","crit":["b64"],"b64":false}`: "crit",
		`{"alg":"HS256","kid":1}`: "kid", `{"alg":"HS256","kid":null}`: "kid", `{"alg":"HS256","kid":["a"]}`: "kid",
		`{"alg":"RS256"}`: "no key for its algorithm RS256",
	} {
		refused(t, a, sign(t, "HS256", []byte(secret), header, good(nil)), ErrTokenInvalid, want)
	}
	for _, header := range []string{`{"alg":"HS256","kid":"any"}`, `{"alg":"HS256","typ":"at+jwt","x5u":"http://127.0.0.1:1/","jku":"http://127.0.0.1:1/","jwk":{"kty":"oct","k":""}}`} {
		accepted(t, a, sign(t, "HS256", []byte(secret), header, good(nil)))
	}
}

// TestTimes holds each time at its edge; the clock of this test stands still.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, Config{Secrets: []string{secret}, Leeway: -1, MaxLifetime: 24 * time.Hour})
		lax := authority(t, Config{Secrets: []string{secret}, Leeway: 5 * time.Second})
		for _, c := range []struct {
			claims string
			kind   error // of a; nil: it is taken
			want   string
			lax    bool // taken with a leeway
		}{
			{good(map[string]any{"exp": in(time.Second)}), nil, "", true},
			{good(map[string]any{"exp": in(0)}), ErrTokenExpired, "the token has expired, at 2000-01-01 00:00:00Z", true},
			{good(map[string]any{"exp": in(-4 * time.Second)}), ErrTokenExpired, "expired", true},
			{good(map[string]any{"exp": in(-5 * time.Second)}), ErrTokenExpired, "expired", false},
			{good(map[string]any{"exp": 0}), ErrTokenExpired, "at 1970-01-01", false},
			{good(map[string]any{"exp": float64(in(0)) + 0.5}), nil, "", true},
			{good(map[string]any{"nbf": in(0)}), nil, "", true},
			{good(map[string]any{"nbf": in(5 * time.Second)}), ErrTokenInvalid, "nbf", true},
			{good(map[string]any{"nbf": in(6 * time.Second)}), ErrTokenInvalid, "nbf", false},
			{good(map[string]any{"iat": in(5 * time.Second)}), ErrTokenInvalid, "iat", true},
			{good(map[string]any{"iat": in(6 * time.Second)}), ErrTokenInvalid, "iat", false},
			{good(map[string]any{"exp": in(24 * time.Hour)}), nil, "", true},
			{good(map[string]any{"exp": in(24*time.Hour + time.Second)}), ErrTokenInvalid, "24h0m1s", false},
			{good(map[string]any{"exp": in(time.Hour), "iat": in(-24 * time.Hour)}), ErrTokenInvalid, "--token-max-lifetime", false},
			{good(map[string]any{"exp": in(24*time.Hour + time.Second), "iat": nil}), ErrTokenInvalid, "at most 24h0m0s", false},
			{good(map[string]any{"exp": in(24 * time.Hour), "iat": nil}), nil, "", true},
			// Nothing but its age is wrong with a token that has expired.
			{good(map[string]any{"exp": in(-time.Hour), "iat": in(time.Hour)}), ErrTokenInvalid, "iat", false},
		} {
			token := hs(t, c.claims)
			if c.kind == nil {
				accepted(t, a, token)
			} else {
				refused(t, a, token, c.kind, c.want)
			}
			if g, err := lax.Verify(t.Context(), token); (err == nil) != c.lax {
				t.Errorf("with a leeway, %s: %v, want %v", c.claims, err, c.lax)
			} else if err == nil && !g.Expires.After(time.Now()) {
				t.Errorf("with a leeway, %s: the grant has ended at %v already", c.claims, g.Expires)
			}
		}
	})
}

func TestAudienceAndIssuer(t *testing.T) {
	a := authority(t, Config{Secrets: []string{secret}, Audience: []string{"rooms", "chat"}, Issuer: "https://login.example.com"})
	issuer := "https://login.example.com"
	for _, aud := range []any{"rooms", "chat", []string{"x", "chat"}} {
		accepted(t, a, hs(t, good(map[string]any{"aud": aud, "iss": issuer})))
	}
	for _, aud := range []any{"room", "Rooms", "", "rooms,chat", []string{}, []string{"x"}, nil} {
		refused(t, a, hs(t, good(map[string]any{"aud": aud, "iss": issuer})), ErrTokenInvalid, "aud")
	}
	for _, iss := range []any{nil, "", "https://login.example.com/", "HTTPS://login.example.com", "x"} {
		refused(t, a, hs(t, good(map[string]any{"aud": "chat", "iss": iss})), ErrTokenInvalid, "iss")
	}
	refused(t, a, hs(t, good(map[string]any{"aud": "other", "iss": issuer, "exp": 1})), ErrTokenInvalid, "aud")
	accepted(t, ours(t), hs(t, good(map[string]any{"aud": "anybody", "iss": "anybody"})))
}

// TestSwappedKey holds that a kid is believed: a token counts by the key it names, not by another one that is known as well.
func TestSwappedKey(t *testing.T) {
	one, two := edKey(), otherEd()
	a := authority(t, Config{KeyFiles: []string{file(t, []byte(jwks(edJWK("one", one), edJWK("two", two))))}})
	accepted(t, a, ed(t, "one", one))
	accepted(t, a, ed(t, "two", two))
	refused(t, a, ed(t, "one", two), ErrTokenInvalid, "not signed")
	refused(t, a, ed(t, "two", one), ErrTokenInvalid, "not signed")
	refused(t, a, ed(t, "../two\n", two), ErrTokenInvalid, `kid "../two\n"`)
	refused(t, a, ed(t, strings.Repeat("k", 5000), two), ErrTokenInvalid, `kkk"…`)
	accepted(t, a, sign(t, "EdDSA", two, `{"alg":"EdDSA"}`, good(nil))) // names none: any will do
}

// TestReload holds that a new configuration counts at once and as a whole, or not at all.
func TestReload(t *testing.T) {
	a := authority(t, Config{Secrets: []string{secret}, APIKeys: []string{"0123456789abcdef"}})
	old, fresh := hs(t, good(nil)), sign(t, "ES256", p256Key(), `{"alg":"ES256"}`, good(nil))
	for _, bad := range []Config{
		{Secrets: []string{"short"}}, {KeyFiles: []string{"none such"}}, {APIKeys: []string{"short"}}, {JWKSURL: "ftp://x"},
		{Secrets: []string{secret}, Leeway: time.Hour}, {JWKSURL: "http://127.0.0.1:1/"},
	} {
		if err := a.Reload(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
		accepted(t, a, old)
		refused(t, a, fresh, ErrTokenInvalid, "no key")
		if !a.KeysRequired() || !a.APIKey("0123456789abcdef") {
			t.Errorf("%+v changed the API keys", bad)
		}
	}
	if err := a.Reload(Config{KeyFiles: []string{file(t, publicPEM(t, p256Key().Public()))}}); err != nil {
		t.Fatal(err)
	}
	accepted(t, a, fresh)
	refused(t, a, old, ErrTokenInvalid, "no key")
	if a.KeysRequired() || a.APIKey("0123456789abcdef") || a.APIKey("") {
		t.Error("the API key is still there")
	}
	if err := a.Reload(Config{}); err != nil || a.Required() {
		t.Errorf("without keys: %v, required %v", err, a.Required())
	}
	a.Close()
	if err := a.Reload(Config{}); err == nil {
		t.Error("a closed Authority was reloaded")
	}
}

// TestCertificate holds that a certificate stands for its key, and so do the older forms of PEM.
func TestCertificate(t *testing.T) {
	rsaPEM := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)})
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate(t, p256Key())})
	a := authority(t, Config{KeyFiles: []string{file(t, append(append([]byte("a comment\n"), rsaPEM...), cert...))}})
	accepted(t, a, sign(t, "RS256", rsaKey(), `{"alg":"RS256"}`, good(nil)))
	accepted(t, a, sign(t, "ES256", p256Key(), `{"alg":"ES256"}`, good(nil)))
	refused(t, a, sign(t, "RS256", otherRSA(), `{"alg":"RS256"}`, good(nil)), ErrTokenInvalid, "not signed")
}
