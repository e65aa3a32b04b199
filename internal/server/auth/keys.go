package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
)

// key is something a signature can be checked with.
type key struct {
	id       string   // kid; "" serves tokens with any or none
	algs     []string // the algorithms it is for; a token that is signed in another one has nothing to do with it
	material any      // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

var (
	hmacAlgs = []string{"HS256", "HS384", "HS512"}
	rsaAlgs  = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

	// curveAlgs are the algorithms by the size of their curve.
	curveAlgs = map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}

	allAlgs = slices.Concat(hmacAlgs, rsaAlgs, []string{"ES256", "ES384", "ES512", "EdDSA"})
)

const (
	minRSABits = 2048
	maxRSABits = 8192 // larger ones make every token expensive
)

// newKey finds out what a key is for, and refuses those that are too weak for anything.
func newKey(material any) (key, error) {
	switch m := material.(type) {
	case []byte:
		if len(m) < minSecret {
			return key{}, fmt.Errorf("%d bytes are too few for a secret; %d or more are asked for, %s", len(m), minSecret, makeASecret)
		}
		return key{algs: hmacAlgs, material: m}, nil
	case *rsa.PublicKey:
		if bits := m.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return key{}, fmt.Errorf("an RSA key of %d bits is not taken; use one of %d to %d", bits, minRSABits, maxRSABits)
		}
		if m.E < 3 || m.E%2 == 0 || m.E > math.MaxInt32 {
			return key{}, errors.New("the exponent of the RSA key is none that is safe; make a new key")
		}
		return key{algs: rsaAlgs, material: m}, nil
	case *ecdsa.PublicKey:
		if alg, ok := curveAlgs[m.Curve.Params().BitSize]; ok {
			return key{algs: []string{alg}, material: m}, nil
		}
		return key{}, fmt.Errorf("the curve %s is not taken; use P-256, P-384 or P-521", m.Curve.Params().Name)
	case ed25519.PublicKey:
		return key{algs: []string{"EdDSA"}, material: m}, nil
	}
	return key{}, fmt.Errorf("a key of this kind (%T) signs no tokens; use RSA, ECDSA or Ed25519", material)
}

// staticKeys are the keys of the flags and files.
func (c *Config) staticKeys() ([]key, error) {
	var keys []key
	for i, secret := range c.Secrets {
		if strings.Contains(secret, "-----BEGIN") {
			return nil, invalid("token-secret", which(i, len(c.Secrets)), "it is a key in PEM, and what is public is no secret; give its file with --token-key-file")
		}
		k, err := newKey([]byte(secret))
		if err != nil {
			return nil, invalid("token-secret", which(i, len(c.Secrets)), err.Error())
		}
		keys = append(keys, k)
	}
	for _, name := range c.KeyFiles {
		text, err := readFile(name)
		if err != nil {
			return nil, invalid("token-key-file", name, err.Error())
		}
		more, err := parseKeys(text)
		if err != nil {
			return nil, invalid("token-key-file", name, err.Error())
		}
		keys = append(keys, more...)
	}
	return keys, nil
}

// maxKeyBytes bounds what is read as keys, from a file or a URL.
const maxKeyBytes = 1 << 20

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err // the name is said already
		}
		return nil, fmt.Errorf("cannot be read (%w); give a file with keys that this process may read", err)
	}
	defer f.Close()
	return readBounded(f)
}

func readBounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxKeyBytes+1))
	if err == nil && len(text) > maxKeyBytes {
		err = fmt.Errorf("more than %d bytes; give keys alone", maxKeyBytes)
	}
	return text, err
}

// parseKeys reads what is in a file, whichever of the three it is.
func parseKeys(text []byte) ([]key, error) {
	trimmed := bytes.TrimSpace(text)
	switch {
	case bytes.Contains(trimmed, []byte("-----BEGIN")):
		return parsePEM(trimmed)
	case bytes.HasPrefix(trimmed, []byte("{")):
		keys, skipped, err := parseJWKS(trimmed, true)
		if err == nil && len(skipped) > 0 {
			err = skipped[0] // in a file somebody can mend it
		}
		return keys, err
	}
	secret, err := secretOf(text)
	if err != nil {
		return nil, err
	}
	k, err := newKey(secret)
	return []key{k}, err
}

// secretOf is the secret in a file: all of it but the line's end that an editor adds. A public key in a form that is not read here
// must not become one, for everybody knows it.
func secretOf(text []byte) ([]byte, error) {
	for _, prefix := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"} {
		if bytes.HasPrefix(text, []byte(prefix)) {
			return nil, errors.New("a public key in the form of SSH is not read; convert it with `ssh-keygen -e -m PKCS8 -f FILE` if it is RSA or ECDSA, or make one with `openssl genpkey`")
		}
	}
	_, notPKIX := x509.ParsePKIXPublicKey(text)
	_, notRSA := x509.ParsePKCS1PublicKey(text)
	_, notCert := x509.ParseCertificate(text)
	if notPKIX == nil || notRSA == nil || notCert == nil {
		return nil, errors.New("a key in DER is not read; convert it to PEM with `openssl`")
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r")), nil
}

func parsePEM(text []byte) ([]key, error) {
	var keys []key
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		public, err := publicKey(block)
		if err != nil {
			return nil, err
		}
		if public == nil {
			continue
		}
		k, err := newKey(public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no public key in it; " + publicKeyPEM)
	}
	return keys, nil
}

// publicKey reads one block. A certificate stands for its key alone: its dates, names and issuer are not looked at.
func publicKey(block *pem.Block) (any, error) {
	switch {
	case block.Type == "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	case block.Type == "EC PARAMETERS":
		return nil, nil // openssl writes them before a key that says the same
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("it is a private key, which a server that checks tokens should not have; " + publicKeyPEM)
	}
	return nil, fmt.Errorf("a block %q is not read; %s", block.Type, publicKeyPEM)
}
