package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a secret of the tests, 32 bytes+"

// once makes a key at its first use, for an RSA key takes a while.
func once[K any](make func() (K, error)) func() K {
	return sync.OnceValue(func() K {
		k, err := make()
		if err != nil {
			panic(err)
		}
		return k
	})
}

var (
	rsaKey   = once(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	otherRSA = once(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	p256Key  = once(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })
	p384Key  = once(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) })
	p521Key  = once(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) })
	edKey    = once(newEd)
	otherEd  = once(newEd)
)

func newEd() (ed25519.PrivateKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return private, err
}

// certificate is one for a key, signed with it and long out of date.
func certificate(t testing.TB, private crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// authority is one that logs nothing and is closed with the test.
func authority(t testing.TB, c Config) *Authority {
	t.Helper()
	a, err := New(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// ours is one that knows the secret.
func ours(t testing.TB) *Authority {
	t.Helper()
	return authority(t, Config{Secrets: []string{secret}})
}

// in is a time from now, as a claim.
func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

// good are the claims of a token with nothing wrong, and changes to them; a nil takes one out.
func good(changes map[string]any) string {
	all := map[string]any{"sub": "ann", "exp": in(time.Hour), "iat": in(0), "rooms": map[string]any{"chat/*": []string{"join", "send"}}}
	for name, value := range changes {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func segment(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// sign makes a token of any header and claims, JSON or not.
func sign(t testing.TB, alg string, key any, header, body string) string {
	t.Helper()
	text := segment(header) + "." + segment(body)
	signature, err := jwt.GetSigningMethod(alg).Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// hs makes a token signed with the secret.
func hs(t testing.TB, body string) string {
	t.Helper()
	return sign(t, "HS256", []byte(secret), `{"alg":"HS256","typ":"JWT"}`, body)
}

// refused holds that a token is refused with an error of that kind, which says why, on one line, and does not contain the token.
func refused(t *testing.T, a *Authority, token string, kind error, want string) {
	t.Helper()
	g, err := a.Verify(t.Context(), token)
	if g != nil || !errors.Is(err, kind) || !strings.Contains(err.Error(), want) {
		t.Errorf("token %.60s: grant %+v, error %v; want %v with %q", token, g, err, kind, want)
		return
	}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 8 && strings.Contains(err.Error(), part) {
			t.Errorf("the error contains a part of the token: %v", err)
		}
	}
	if len(err.Error()) > 1000 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("the error is not fit for a log: %q", err)
	}
}

// accepted holds that a token is taken.
func accepted(t *testing.T, a *Authority, token string) *Grant {
	t.Helper()
	g, err := a.Verify(t.Context(), token)
	if err != nil {
		t.Errorf("token %.60s: %v", token, err)
		return &Grant{}
	}
	return g
}

// file writes one and returns its name.
func file(t testing.TB, text []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func publicPEM(t testing.TB, public crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func privatePEM(t testing.TB, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// edJWK is the public half of an Ed25519 key as a JWK.
func edJWK(kid string, private ed25519.PrivateKey) string {
	x := base64.RawURLEncoding.EncodeToString(private.Public().(ed25519.PublicKey))
	return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","use":"sig","kid":%q,"x":%q}`, kid, x)
}

func jwks(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// ed makes a token signed with an Ed25519 key of that name.
func ed(t testing.TB, kid string, private ed25519.PrivateKey) string {
	t.Helper()
	return sign(t, "EdDSA", private, fmt.Sprintf(`{"alg":"EdDSA","kid":%q}`, kid), good(nil))
}
