package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MintConfig is what a token is to say and what signs it: either Secret or KeyFile.
type MintConfig struct {
	User    string              // sub
	Rooms   map[string][]string // pattern → names of actions; none: no room at all
	Direct  bool                // direct, if set
	Expires time.Time           // exp; seconds are what counts

	Issuer   string // iss, if any
	Audience string // aud, if any
	KeyID    string // kid, if any

	Secret  string // signs with HS256
	KeyFile string // a private key in PEM signs with its own algorithm; a file with a secret like Secret
}

// Mint makes a token, for development and for tests: what makes tokens in earnest is the program that knows the users. Each has a jti
// of its own. A token that no server would take is an error.
func Mint(c MintConfig) (string, error) {
	if err := CheckName(c.User); err != nil {
		return "", fmt.Errorf("--user %s: %w; write the name of a user", quoted(c.User), err)
	}
	if len(c.Rooms) > maxRules {
		return "", fmt.Errorf("--room: %d patterns are too many; a token may have %d", len(c.Rooms), maxRules)
	}
	for text, actions := range c.Rooms {
		if _, err := newRule(text, actions); err != nil {
			return "", fmt.Errorf("--room: %w", err)
		}
	}
	method, key, err := c.signer()
	if err != nil {
		return "", err
	}
	body := jwt.MapClaims{"sub": c.User, "iat": time.Now().Unix(), "exp": c.Expires.Unix(), "jti": rand.Text()}
	if len(c.Rooms) > 0 {
		body["rooms"] = c.Rooms
	}
	if c.Direct {
		body["direct"] = true
	}
	if c.Issuer != "" {
		body["iss"] = c.Issuer
	}
	if c.Audience != "" {
		body["aud"] = c.Audience
	}
	token := jwt.NewWithClaims(method, body)
	if c.KeyID != "" {
		token.Header["kid"] = c.KeyID
	}
	text, err := token.SignedString(key)
	if err == nil && len(text) > MaxTokenBytes {
		return "", fmt.Errorf("the token has %d bytes and servers take %d; allow fewer rooms by wider patterns", len(text), MaxTokenBytes)
	}
	return text, err
}

func (c *MintConfig) signer() (jwt.SigningMethod, any, error) {
	secret := []byte(c.Secret)
	if c.KeyFile != "" {
		text, err := readFile(c.KeyFile)
		if err != nil {
			return nil, nil, invalid("key-file", c.KeyFile, err.Error())
		}
		if strings.Contains(string(text), "-----BEGIN") {
			method, private, err := privateKey(text)
			if err != nil {
				return nil, nil, invalid("key-file", c.KeyFile, err.Error())
			}
			return method, private, nil
		}
		if secret, err = secretOf(text); err != nil {
			return nil, nil, invalid("key-file", c.KeyFile, err.Error())
		}
	}
	if _, err := newKey(secret); err != nil {
		if c.KeyFile != "" {
			return nil, nil, invalid("key-file", c.KeyFile, err.Error())
		}
		return nil, nil, invalid("secret", "that is given", err.Error())
	}
	return jwt.SigningMethodHS256, secret, nil
}

// privateKey is the first private key in a PEM file, and the algorithm that belongs to it.
func privateKey(text []byte) (jwt.SigningMethod, any, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		private, err := parsePrivate(block)
		if err != nil {
			return nil, nil, err
		}
		if private == nil {
			continue
		}
		k, err := newKey(private.Public())
		if err != nil {
			return nil, nil, err
		}
		return jwt.GetSigningMethod(k.algs[0]), private, nil
	}
	return nil, nil, errors.New("there is no private key in it; make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`")
}

// parsePrivate reads one block, and skips what is not a private key.
func parsePrivate(block *pem.Block) (crypto.Signer, error) {
	var private any
	var err error
	encrypted := errors.New("the key is encrypted; write it without a password with `openssl pkey -in FILE`")
	switch {
	case block.Headers["DEK-Info"] != "" || block.Type == "ENCRYPTED PRIVATE KEY":
		return nil, encrypted
	case block.Type == "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case block.Type == "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case block.Type == "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, nil
	}
	switch k := private.(type) {
	case *rsa.PrivateKey:
		return k, err
	case *ecdsa.PrivateKey:
		return k, err
	case ed25519.PrivateKey:
		return k, err
	}
	if err == nil {
		err = fmt.Errorf("a key of this kind (%T) signs no tokens; use RSA, ECDSA or Ed25519", private)
	}
	return nil, err
}
