package natsengine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// write writes a file that the test's end takes away, and returns its path.
func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// authority signs certificates that nobody trusts who does not have its own.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its own certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, key := a.sign(template)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.key, a.file = key, write(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// sign signs a certificate for a new key; the first one is the authority's own.
func (a *authority) sign(template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

// issue returns the files of a certificate for this machine, good for both ends of a connection.
func (a *authority) issue(serial int64) (cert, key string) {
	a.t.Helper()
	der, private := a.sign(&x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "somebody"},
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return write(a.t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		write(a.t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// serve gives a server a certificate of the authority; with verify it asks for the clients' too.
func (a *authority) serve(serial int64, verify bool) func(*server.Options) {
	cert, key := a.issue(serial)
	return func(o *server.Options) {
		config, err := server.GenTLSConfig(&server.TLSConfigOpts{CertFile: cert, KeyFile: key, CaFile: a.file, Verify: verify})
		if err != nil {
			a.t.Fatal(err)
		}
		config.MinVersion = tls.VersionTLS12
		o.TLS, o.TLSVerify, o.TLSConfig, o.TLSTimeout = true, verify, config, 2
	}
}

// operator runs a server of accounts, as nsc sets one up.
type operator struct {
	t        *testing.T
	key      nkeys.KeyPair
	claims   *jwt.OperatorClaims
	accounts server.MemAccResolver
	system   string
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	o := &operator{t: t}
	var id string
	o.key, id = o.pair(nkeys.CreateOperator)
	o.claims = jwt.NewOperatorClaims(id)
	_, o.system = o.account(false)
	o.claims.SystemAccount = o.system
	return o
}

func (o *operator) pair(create func() (nkeys.KeyPair, error)) (key nkeys.KeyPair, id string) {
	o.t.Helper()
	key, err := create()
	if err != nil {
		o.t.Fatal(err)
	}
	id, err = key.PublicKey()
	if err != nil {
		o.t.Fatal(err)
	}
	return key, id
}

// account makes an account, which may have JetStream.
func (o *operator) account(stream bool) (key nkeys.KeyPair, id string) {
	o.t.Helper()
	key, id = o.pair(nkeys.CreateAccount)
	claims := jwt.NewAccountClaims(id)
	if stream {
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	}
	text, err := claims.Encode(o.key)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := o.accounts.Store(id, text); err != nil {
		o.t.Fatal(err)
	}
	return key, id
}

// user returns the .creds file of a user of an account.
func (o *operator) user(account nkeys.KeyPair, set ...func(*jwt.UserClaims)) string {
	o.t.Helper()
	key, id := o.pair(nkeys.CreateUser)
	claims := jwt.NewUserClaims(id)
	for _, f := range set {
		f(claims)
	}
	text, err := claims.Encode(account)
	if err != nil {
		o.t.Fatal(err)
	}
	seed, err := key.Seed()
	if err != nil {
		o.t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(text, seed)
	if err != nil {
		o.t.Fatal(err)
	}
	return write(o.t, "user.creds", creds)
}

// serve makes a server one of the operator's.
func (o *operator) serve(opts *server.Options) {
	opts.TrustedOperators = []*jwt.OperatorClaims{o.claims}
	opts.AccountResolver, opts.SystemAccount = &o.accounts, o.system
}
