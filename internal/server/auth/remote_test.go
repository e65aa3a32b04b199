package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// issuer is a server with a key set, which a test changes; it serves over HTTP, or in memory as a RoundTripper.
type issuer struct {
	mu      sync.Mutex
	status  int
	text    string
	fail    error
	stuck   bool
	fetched int
}

func (i *issuer) set(status int, text string, fail error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status, i.text, i.fail = status, text, fail
}

func (i *issuer) fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetched
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetched++
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(i.status)
	_, _ = io.WriteString(w, i.text) // it may not want all of it
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	stuck, fail := i.stuck, i.fail
	i.mu.Unlock()
	if stuck {
		<-r.Context().Done()
		fail = r.Context().Err()
	}
	if fail != nil {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.fetched++
		return nil, fail
	}
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	return w.Result(), nil
}

// logged is a logger and what it has written.
func logged() (*slog.Logger, *strings.Builder) {
	var out strings.Builder
	return slog.New(slog.NewTextHandler(&out, nil)), &out
}

// bubble runs a test on a clock of its own, with an Authority that fetches from an issuer in memory.
func bubble(t *testing.T, i *issuer, test func(t *testing.T, a *Authority, log *strings.Builder)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log, out := logged()
		p := usualPace()
		p.transport = i
		a, err := newAuthority(t.Context(), Config{JWKSURL: "https://user:geheim@login.example.com/keys?key=geheim"}, log, p)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		test(t, a, out)
		if strings.Contains(out.String(), "geheim") {
			t.Errorf("the log contains what is secret in the URL:\n%s", out)
		}
	})
}

// TestRotation holds, over HTTP, that a token with a new key is taken once the key is in the set, and one with a key that has gone is not.
func TestRotation(t *testing.T) {
	i := &issuer{status: 200, text: jwks(edJWK("one", edKey()))}
	server := httptest.NewServer(i)
	defer server.Close()
	log, out := logged()
	p := usualPace()
	p.pause = 0
	a, err := newAuthority(t.Context(), Config{JWKSURL: server.URL}, log, p)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if !a.Required() || !strings.Contains(out.String(), "without TLS") || !strings.Contains(out.String(), "keys=1") {
		t.Errorf("required: %v, log:\n%s", a.Required(), out)
	}
	accepted(t, a, ed(t, "one", edKey()))
	if n := i.fetches(); n != 1 {
		t.Errorf("%d fetches for a key that is known, want 1", n)
	}
	refused(t, a, ed(t, "two", otherEd()), ErrTokenInvalid, `kid "two"`)
	i.set(200, jwks(edJWK("two", otherEd()), edJWK("one", edKey())), nil)
	accepted(t, a, ed(t, "two", otherEd()))
	accepted(t, a, ed(t, "one", edKey()))
	i.set(200, jwks(edJWK("two", otherEd())), nil)
	refused(t, a, ed(t, "three", otherEd()), ErrTokenInvalid, `kid "three"`)
	refused(t, a, ed(t, "one", edKey()), ErrTokenInvalid, `kid "one"`)
	accepted(t, a, ed(t, "two", otherEd()))
}

// TestRefresh holds that a set is fetched again by itself, so that a key that was taken back stops counting though nobody misses one.
func TestRefresh(t *testing.T) {
	i := &issuer{status: 200, text: jwks(edJWK("one", edKey()), edJWK("two", otherEd()))}
	bubble(t, i, func(t *testing.T, a *Authority, _ *strings.Builder) {
		i.set(200, jwks(edJWK("two", otherEd())), nil)
		advance(t, defaultRefresh-time.Second)
		if i.fetches() != 1 {
			t.Errorf("%d fetches before it is time, want 1", i.fetches())
		}
		accepted(t, a, sign(t, "EdDSA", edKey(), `{"alg":"EdDSA","kid":"one"}`, good(nil)))
		advance(t, time.Second)
		refused(t, a, ed(t, "one", edKey()), ErrTokenInvalid, "kid")
		if i.fetches() != 3 { // the refresh, and the one for the key that is missing
			t.Errorf("%d fetches, want 3", i.fetches())
		}
	})
}

// TestDownAtFirst holds that a server starts without its key set, says why tokens do not verify, and that they do once it is there.
func TestDownAtFirst(t *testing.T) {
	i := &issuer{fail: errors.New("connection refused\nby a \x1b[31mhost")}
	bubble(t, i, func(t *testing.T, a *Authority, log *strings.Builder) {
		if want := `level=WARN msg="token keys cannot be fetched" url=https://login.example.com/keys error=`; !strings.Contains(log.String(), want) || !strings.Contains(log.String(), "connection refused") {
			t.Errorf("log %s, want %s", log, want)
		}
		refused(t, a, ed(t, "one", edKey()), ErrUnavailable, "connection refused")
		refused(t, a, hs(t, good(nil)), ErrTokenInvalid, "no key for its algorithm HS256") // no key of a set would do
		i.set(200, jwks(edJWK("one", edKey())), nil)
		accepted(t, a, ed(t, "one", edKey()))
		if !strings.Contains(log.String(), "token keys fetched") || strings.Count(log.String(), "cannot be fetched") != 1 {
			t.Errorf("log %s, want one line of the failure and one of its end", log)
		}
		// Away again: the keys from before go on, and an unknown key is not called invalid.
		i.set(0, "", errors.New("no route"))
		advance(t, 24*time.Hour)
		accepted(t, a, sign(t, "EdDSA", edKey(), `{"alg":"EdDSA","kid":"one"}`, good(nil)))
		refused(t, a, ed(t, "two", otherEd()), ErrUnavailable, "no route")
	})
}

// TestDownRetries holds that a set that could not be fetched is tried again soon, though nobody asks.
func TestDownRetries(t *testing.T) {
	i := &issuer{fail: errors.New("down")}
	bubble(t, i, func(t *testing.T, a *Authority, _ *strings.Builder) {
		i.set(200, jwks(edJWK("one", edKey())), nil)
		advance(t, 10*time.Second)
		if len(a.state.Load().remote.current.Load().keys) != 1 {
			t.Error("no key after 10 s")
		}
	})
}

// TestUnknownKeysAreCheap holds that a thousand tokens with keys that nobody knows cost one fetch, and one more after each pause.
func TestUnknownKeysAreCheap(t *testing.T) {
	i := &issuer{status: 200, text: jwks(edJWK("one", edKey()))}
	bubble(t, i, func(t *testing.T, a *Authority, _ *strings.Builder) {
		began := time.Now()
		var all sync.WaitGroup
		for n := range 1000 {
			token := ed(t, fmt.Sprint("forged-", n), otherEd())
			all.Go(func() { refused(t, a, token, ErrTokenInvalid, "forged") })
		}
		all.Wait()
		if n, took := i.fetches(), time.Since(began); n != 2 || took != 5*time.Second {
			t.Errorf("%d fetches in %v, want the first one and one more after 5s", n, took)
		}
	})
}

// TestWhoeverLeaves holds that a token waits no longer than its client, and that the fetch is not the client's to end.
func TestWhoeverLeaves(t *testing.T) {
	i := &issuer{status: 200, text: jwks(edJWK("one", edKey()))}
	bubble(t, i, func(t *testing.T, a *Authority, _ *strings.Builder) {
		i.set(200, jwks(edJWK("two", otherEd())), nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Verify(ctx, ed(t, "two", otherEd())); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want ErrUnavailable for the deadline", err)
		}
		advance(t, 4*time.Second)
		if i.fetches() != 2 {
			t.Errorf("%d fetches, want 2", i.fetches())
		}
		accepted(t, a, ed(t, "two", otherEd()))
		a.Close()
		refused(t, a, ed(t, "three", otherEd()), ErrUnavailable, "being changed")
		accepted(t, a, ed(t, "two", otherEd()))
		a.Close()
	})
}

// TestStuck holds that a server that never answers is given up, and that Close does not wait for it.
func TestStuck(t *testing.T) {
	i := &issuer{stuck: true}
	bubble(t, i, func(t *testing.T, a *Authority, _ *strings.Builder) {
		refused(t, a, ed(t, "one", edKey()), ErrUnavailable, "deadline exceeded")
		advance(t, 12*time.Second) // it hangs in a fetch again
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := usualPace()
		p.transport = i
		if a, err := newAuthority(ctx, Config{JWKSURL: "https://x.example/"}, slog.New(slog.DiscardHandler), p); a != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("New: %v, %v; want the deadline of its context", a, err)
		}
	})
}

// TestGarbage holds that an answer that is no key set changes nothing, and that the log says what came instead.
func TestGarbage(t *testing.T) {
	oct := `{"kty":"oct","k":"` + strings.Repeat("YWFh", 20) + `"}`
	for name, c := range map[string]struct {
		status int
		text   string
		want   string
	}{
		"empty": {200, "", "no JWK set"}, "html": {200, "<html>", "no JWK set"}, "null": {200, "null", "no JWK set"}, "array": {200, "[]", "no JWK set"},
		"object": {200, `{"error":"x"}`, "no JWK set"}, "no keys": {200, jwks(), "no JWK set"}, "keys of a kind": {200, `{"keys":{}}`, "no JWK set"},
		"cut off": {200, jwks(edJWK("one", edKey()))[:60], "no JWK set"}, "trailing": {200, jwks(edJWK("one", edKey())) + "x", "no JWK set"},
		"500": {500, jwks(edJWK("one", edKey())), "status 500"}, "redirect": {302, "", "status 302"}, "204": {204, "", "status 204"},
		"huge":          {200, strings.Repeat(" ", maxKeyBytes) + jwks(edJWK("two", otherEd())), "more than 1048576 bytes"},
		"too many":      {200, jwks(strings.Fields(strings.Repeat(edJWK("two", otherEd())+" ", 101))...), "101 keys"},
		"a secret":      {200, jwks(oct), "what can be fetched is none"},
		"a number":      {200, jwks("1"), "no JWK"},
		"encryption":    {200, jwks(strings.Replace(edJWK("two", otherEd()), "sig", "enc", 1)), "for signatures"},
		"operations":    {200, jwks(strings.Replace(edJWK("two", otherEd()), `"use":"sig"`, `"key_ops":["encrypt"]`, 1)), "for signatures"},
		"wrong alg":     {200, jwks(strings.Replace(edJWK("two", otherEd()), `"use"`, `"alg":"HS256","use"`, 1)), "does not belong"},
		"no point":      {200, jwks(`{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}`), "no key that can be read"},
		"small RSA":     {200, jwks(`{"kty":"RSA","n":"` + strings.Repeat("_", 171) + `","e":"AQAB"}`), "RSA key of 1024 bits"},
		"exponent 1":    {200, jwks(`{"kty":"RSA","n":"` + strings.Repeat("_", 342) + `","e":"AQ"}`), "exponent"},
		"endless RSA":   {200, jwks(`{"kty":"RSA","n":"` + strings.Repeat("_", 100_000) + `","e":"AQAB"}`), "too long"},
		"large RSA":     {200, jwks(`{"kty":"RSA","n":"` + strings.Repeat("_", 1600) + `","e":"AQAB"}`), "RSA key of 9600 bits"},
		"another curve": {200, jwks(`{"kty":"EC","crv":"secp256k1","x":"AQ","y":"AQ"}`), "no key that can be read"},
	} {
		t.Run(name, func(t *testing.T) {
			i := &issuer{status: 200, text: jwks(edJWK("one", edKey()))}
			bubble(t, i, func(t *testing.T, a *Authority, log *strings.Builder) {
				i.set(c.status, c.text, nil)
				advance(t, defaultRefresh)
				accepted(t, a, sign(t, "EdDSA", edKey(), `{"alg":"EdDSA","kid":"one"}`, good(nil)))
				refused(t, a, ed(t, "two", otherEd()), ErrUnavailable, c.want)
				if !strings.Contains(log.String(), "keys_from_before=1") {
					t.Errorf("log %s, want the keys that stay", log)
				}
			})
		})
	}
	// Among keys that can be used, those that cannot do no harm.
	i := &issuer{status: 200, text: jwks(oct, "1", `{"kty":"EC","crv":"secp256k1"}`, strings.Replace(edJWK("one", edKey()), `"use"`, `"x5c":["?"],"x5u":"x","use"`, 1), `{"kty":"OKP","crv":"X25519","x":"AQ"}`)}
	bubble(t, i, func(t *testing.T, a *Authority, _ *strings.Builder) { accepted(t, a, ed(t, "one", edKey())) })
}

// TestReloadRemote holds that a reload keeps a set that stays where it is, though it cannot be fetched just now, and changes to another one
// only if that can be.
func TestReloadRemote(t *testing.T) {
	i := &issuer{status: 200, text: jwks(edJWK("one", edKey()))}
	bubble(t, i, func(t *testing.T, a *Authority, _ *strings.Builder) {
		c := a.state.Load().cfg
		i.set(0, "", errors.New("down"))
		c.Issuer = "somebody"
		if err := a.Reload(c); err != nil {
			t.Error(err)
		}
		refused(t, a, ed(t, "one", edKey()), ErrTokenInvalid, "iss")
		c.Issuer, c.JWKSURL = "", "https://other.example/?key=geheim"
		if err := a.Reload(c); err == nil || !strings.Contains(err.Error(), "https://other.example/: down; ") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("error %v", err)
		}
		refused(t, a, ed(t, "one", edKey()), ErrTokenInvalid, "iss")
		i.set(200, jwks(edJWK("two", otherEd())), nil)
		if err := a.Reload(c); err != nil {
			t.Error(err)
		}
		accepted(t, a, ed(t, "two", otherEd()))
		if err := a.Reload(Config{Secrets: []string{secret}}); err != nil {
			t.Error(err)
		}
		refused(t, a, ed(t, "two", otherEd()), ErrTokenInvalid, "no key")
	})
}

// TestConcurrent holds, under the race detector, that everything may be called at once.
func TestConcurrent(t *testing.T) {
	i := &issuer{status: 200, text: jwks(edJWK("one", edKey()))}
	p := usualPace()
	p.transport, p.pause = i, 0
	c := Config{JWKSURL: "https://login.example.com/", Secrets: []string{secret}, APIKeys: []string{"0123456789abcdef"}}
	var out bytes.Buffer
	a, err := newAuthority(t.Context(), c, slog.New(slog.NewTextHandler(&out, nil)), p)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	tokens := []string{hs(t, good(nil)), ed(t, "one", edKey()), ed(t, "two", otherEd())}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for k := range 30 {
				g, err := a.Verify(t.Context(), tokens[k%2])
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = a.Verify(t.Context(), tokens[2]) // unknown, or the set is being changed
				if a.Revoked(g) || !a.APIKey("0123456789abcdef") {
					t.Error("revoked, or no API key")
				}
				if err := errors.Join(a.RevokeUser(fmt.Sprint("u", n), time.Now()), a.RevokeToken(fmt.Sprint("t", n), time.Time{})); err != nil {
					t.Error(err)
				}
				if err := a.Reload(c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
