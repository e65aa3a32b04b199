package auth

import (
	"crypto/x509"
	"encoding/pem"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMint holds that what is minted verifies, with each kind of key, and says what it was told to.
func TestMint(t *testing.T) {
	sec1, err := x509.MarshalECPrivateKey(p384Key())
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey())})
	openssl := append(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{5}}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...)
	for name, c := range map[string]struct {
		mint   MintConfig
		verify Config
	}{
		"secret":      {MintConfig{Secret: secret}, Config{Secrets: []string{secret}}},
		"secret file": {MintConfig{KeyFile: file(t, []byte(secret+"\n")), Secret: "another one, of which nobody asks"}, Config{Secrets: []string{secret}}},
		"RSA":         {MintConfig{KeyFile: file(t, privatePEM(t, rsaKey()))}, Config{KeyFiles: []string{file(t, publicPEM(t, rsaKey().Public()))}}},
		"RSA, PKCS 1": {MintConfig{KeyFile: file(t, pkcs1)}, Config{KeyFiles: []string{file(t, publicPEM(t, rsaKey().Public()))}}},
		"P-256":       {MintConfig{KeyFile: file(t, privatePEM(t, p256Key()))}, Config{KeyFiles: []string{file(t, publicPEM(t, p256Key().Public()))}}},
		"P-384, SEC1": {MintConfig{KeyFile: file(t, openssl)}, Config{KeyFiles: []string{file(t, publicPEM(t, p384Key().Public()))}}},
		"P-521":       {MintConfig{KeyFile: file(t, privatePEM(t, p521Key()))}, Config{KeyFiles: []string{file(t, publicPEM(t, p521Key().Public()))}}},
		"Ed25519":     {MintConfig{KeyFile: file(t, privatePEM(t, edKey())), KeyID: "one"}, Config{KeyFiles: []string{file(t, []byte(jwks(edJWK("one", edKey()))))}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.mint.User, c.mint.Expires = "ann", time.Now().Add(time.Hour).Truncate(time.Second)
			c.mint.Rooms = map[string][]string{"chat/*": {"join", "publish-as"}}
			c.mint.Issuer, c.mint.Audience, c.verify.Issuer, c.verify.Audience = "me", "you", "me", []string{"you"}
			token, err := Mint(c.mint)
			if err != nil {
				t.Fatal(err)
			}
			g := accepted(t, authority(t, c.verify), token)
			if g.User != "ann" || g.ID == "" || g.IssuedAt.IsZero() || !g.Expires.Equal(c.mint.Expires.Add(defaultLeeway)) ||
				!g.Allows(Join, "chat/a") || !g.Allows(PublishAs, "chat/a") || g.Allows(Send, "chat/a") {
				t.Errorf("grant %+v of %s", g, token)
			}
			if again, err := Mint(c.mint); err != nil || accepted(t, authority(t, c.verify), again).ID == g.ID {
				t.Errorf("two tokens with one jti, or %v", err)
			}
		})
	}
	token, err := Mint(MintConfig{User: "ann", Secret: secret, Expires: time.Now().Add(time.Hour)})
	if err != nil || accepted(t, ours(t), token).Allows(Join, "a") {
		t.Errorf("a token for no room: %v, or it is for some", err)
	}
}

func TestMintErrors(t *testing.T) {
	many := map[string][]string{}
	for i := range maxRules + 1 {
		many[strconv.Itoa(i)] = nil
	}
	wide := map[string][]string{}
	for i := range 50 {
		wide[strconv.Itoa(i)+strings.Repeat("x", 400)] = nil
	}
	rooms := func(pattern, action string) MintConfig {
		return MintConfig{User: "ann", Secret: secret, Rooms: map[string][]string{pattern: {action}}}
	}
	encrypted := "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
	for want, c := range map[string]MintConfig{
		`--user "": it is empty`:    {Secret: secret},
		`--user "a\nb": there are`:  {User: "a\nb", Secret: secret},
		"--secret that is given: 0": {User: "ann"},
		"--secret that is given: 6": {User: "ann", Secret: "geheim"},
		"--room: 101 patterns":      {User: "ann", Secret: secret, Rooms: many},
		"wider patterns":            {User: "ann", Secret: secret, Rooms: wide},
		`--room: pattern "a\\": no`: rooms(`a\`, "join"),
		`the action "fly" is un`:    rooms("a", "fly"),
		"--key-file none: cannot":   {User: "ann", KeyFile: "none"},
		"6 bytes are too few":       {User: "ann", KeyFile: file(t, []byte("geheim"))},
		"no private key in it":      {User: "ann", KeyFile: file(t, publicPEM(t, rsaKey().Public()))},
		"the key is encrypted":      {User: "ann", KeyFile: file(t, []byte(encrypted))},
		"without a password":        {User: "ann", KeyFile: file(t, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"))},
		"asn1":                      {User: "ann", KeyFile: file(t, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))},
		"in the form of SSH":        {User: "ann", KeyFile: file(t, []byte("ssh-rsa AAAA"))},
	} {
		token, err := Mint(c)
		if token != "" || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("token %q, error %v; want one with %q", token, err, want)
		}
	}
}
