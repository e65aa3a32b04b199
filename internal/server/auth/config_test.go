package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"log/slog"
	"strings"
	"testing"
	"time"
)

type badConfig struct {
	config Config
	want   string
	remedy string
}

// TestConfigErrors holds that what makes no sense is refused on one line, with its flag and what to do, and without any secret.
func TestConfigErrors(t *testing.T) {
	testBad(t, map[string]badConfig{
		"short secret":     {Config{Secrets: []string{"geheim"}}, "--token-secret that is given: 6 bytes", "openssl rand -base64 32"},
		"second secret":    {Config{Secrets: []string{secret, "geheim"}}, "--token-secret number 2:", "openssl rand"},
		"empty secret":     {Config{Secrets: []string{""}}, "--token-secret that is given: 0 bytes", "openssl rand"},
		"PEM as a secret":  {Config{Secrets: []string{string(publicPEM(t, rsaKey().Public()))}}, "--token-secret that is given:", "--token-key-file"},
		"URL":              {Config{JWKSURL: "login.example.com/geheim"}, "--token-jwks-url", "https://login.example.com/"},
		"URL of a file":    {Config{JWKSURL: "file:///geheim"}, "--token-jwks-url", "https://"},
		"URL with a mark":  {Config{JWKSURL: "https://geheim\x7f/"}, "--token-jwks-url", "https://"},
		"refresh":          {Config{JWKSRefresh: time.Second}, "--token-jwks-refresh 1s", "10s or more"},
		"negative refresh": {Config{JWKSRefresh: -1}, "--token-jwks-refresh", "10s or more"},
		"timeout":          {Config{JWKSTimeout: time.Hour}, "--token-jwks-timeout 1h0m0s", "at most 1m0s"},
		"negative timeout": {Config{JWKSTimeout: -1}, "--token-jwks-timeout", "such as 5s"},
		"leeway":           {Config{Leeway: 2 * time.Minute}, "--token-leeway 2m0s", "at most 1m0s"},
		"lifetime":         {Config{MaxLifetime: time.Second}, "--token-max-lifetime 1s", "such as 24h"},
		"endless":          {Config{MaxLifetime: 1<<63 - 1}, "--token-max-lifetime", "such as 24h"},
		"API key":          {Config{APIKeys: []string{"geheim"}}, "--api-key that is given: 6 characters", "16 or more"},
		"API key, spaced":  {Config{APIKeys: []string{"geheim geheim geheim"}}, "--api-key that is given: there are spaces", "openssl rand"},
		"second API key":   {Config{APIKeys: []string{"0123456789abcdef", ""}}, "--api-key number 2", "openssl rand"},
	})
}

// TestKeyFileErrors holds the same of files with keys.
func TestKeyFileErrors(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := pem.Decode(publicPEM(t, rsaKey().Public()))
	key := func(text string) Config { return Config{KeyFiles: []string{file(t, []byte(text))}} }
	testBad(t, map[string]badConfig{
		"huge file":       {key(strings.Repeat("x", maxKeyBytes+1)), "more than 1048576 bytes", "keys alone"},
		"other PEM":       {key("-----BEGIN GEHEIM-----\nAAAA\n-----END GEHEIM-----\n"), `block "GEHEIM"`, "-pubout"},
		"weak RSA":        {key(string(publicPEM(t, weak.Public()))), "1024 bits", "2048"},
		"SSH":             {key("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFlongenoughforasecretofthirtytwobytes ann"), "SSH", "or make one with `openssl genpkey`"},
		"DER":             {key(string(der.Bytes)), "DER", "openssl"},
		"DER RSA":         {key(string(x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey))), "DER", "openssl"},
		"JSON":            {key(`{"kty":"oct","k":"geheimgeheimgeheimgeheimgeheimgeheim"}`), "no JWK set", `"keys"`},
		"no file":         {Config{KeyFiles: []string{"none/such"}}, "--token-key-file none/such: cannot be read (no such file", "give a file"},
		"folder":          {Config{KeyFiles: []string{t.TempDir()}}, "--token-key-file ", "directory"},
		"empty file":      {key(""), "0 bytes are too few for a secret", "openssl rand"},
		"short file":      {key("geheim\n"), "6 bytes are too few for a secret", "openssl rand"},
		"private key":     {key(string(privatePEM(t, rsaKey()))), "private key", "openssl pkey -in FILE -pubout"},
		"broken PEM":      {key("-----BEGIN PUBLIC KEY-----\n"), "no public key", "-pubout"},
		"broken key":      {key("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "--token-key-file", "asn1"},
		"weak curve":      {key(string(publicPEM(t, p224.Public()))), "P-224", "use P-256"},
		"DER certificate": {key(string(certificate(t, p256Key()))), "DER", "openssl"},
		"broken JWK":      {key(jwks(edJWK("one", edKey()), `{"kty":"oct","k":"YQ"}`)), "key 2 of the JWK set: 1 bytes are too few", "openssl rand"},
	})
}

func testBad(t *testing.T, all map[string]badConfig) {
	t.Helper()
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			a, err := New(t.Context(), c.config, slog.New(slog.DiscardHandler))
			if a != nil || err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.remedy) {
				t.Fatalf("error %v, want one with %q and %q", err, c.want, c.remedy)
			}
			if strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has a secret in it, or more than one line: %q", err)
			}
		})
	}
}

// TestSecretFiles holds that a secret may stand in a file, in text or bytes, with the line's end of an editor, or in a JWK set.
func TestSecretFiles(t *testing.T) {
	raw := "\x00\xff" + secret[2:]
	for text, want := range map[string]string{
		secret: secret, secret + "\n": secret, secret + "\r\n": secret, secret + "\n\n": secret + "\n", " " + secret: " " + secret, raw: raw,
		"  " + jwks(`{"kty":"oct","kid":"k","k":"`+base64.RawURLEncoding.EncodeToString([]byte(secret))+`"}`) + "\n": secret,
	} {
		a := authority(t, Config{KeyFiles: []string{file(t, []byte(text))}})
		accepted(t, a, sign(t, "HS512", []byte(want), `{"alg":"HS512","kid":"k"}`, good(nil)))
		if !a.Required() {
			t.Errorf("%q: no token is required", text)
		}
	}
	// A secret that names its algorithm in the set is good for that one alone.
	a := authority(t, Config{KeyFiles: []string{file(t, []byte(jwks(`{"kty":"oct","alg":"HS384","k":"`+base64.RawURLEncoding.EncodeToString([]byte(secret))+`"}`)))}})
	accepted(t, a, sign(t, "HS384", []byte(secret), `{"alg":"HS384"}`, good(nil)))
	refused(t, a, hs(t, good(nil)), ErrTokenInvalid, "no key for its algorithm HS256")
}

// TestSeveralSecrets holds that an old secret and a new one count side by side.
func TestSeveralSecrets(t *testing.T) {
	next := strings.ToUpper(secret)
	a := authority(t, Config{Secrets: []string{secret, next}})
	accepted(t, a, hs(t, good(nil)))
	accepted(t, a, sign(t, "HS256", []byte(next), `{"alg":"HS256"}`, good(nil)))
}

func TestAPIKey(t *testing.T) {
	a := authority(t, Config{APIKeys: []string{"0123456789abcdef", "fedcba9876543210"}})
	for key, want := range map[string]bool{
		"0123456789abcdef": true, "fedcba9876543210": true, "": false, "0123456789abcde": false, "0123456789abcdef ": false,
		"0123456789ABCDEF": false, "0123456789abcdef\x00": false, "0123456789abcdeffedcba9876543210": false,
	} {
		if got := a.APIKey(key); got != want {
			t.Errorf("%q: %v, want %v", key, got, want)
		}
	}
	if !a.KeysRequired() || a.Required() || authority(t, Config{}).APIKey("") {
		t.Error("API keys are not required, tokens are, or nothing is a key")
	}
}
