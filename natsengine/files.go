package natsengine

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/nats-io/nkeys"
)

// checkURL reports an address that is none, without anything of it: it may have a password in it, and one that is not written as it should be is
// what makes most addresses none.
func (o *Options) checkURL() error {
	for text := range strings.SplitSeq(o.URL, ",") {
		text = strings.TrimSpace(text)
		if !strings.Contains(text, "://") {
			text = "nats://" + text
		}
		if _, err := url.Parse(text); err != nil {
			return errors.New("natsengine: Options.URL: an address is none: write nats://host:4222 or tls://user:password@host:4222, " +
				"and in a user, a password or a token every / ? # @ : , and % as its code, such as %2F")
		}
	}
	return nil
}

// checkFiles reports files that are not what they are said to be. They are read again for every connection.
func (o *Options) checkFiles() error {
	if o.TLSCA != "" {
		data, err := read("TLSCA", o.TLSCA)
		if err != nil {
			return err
		}
		if !x509.NewCertPool().AppendCertsFromPEM(data) {
			return fmt.Errorf("natsengine: Options.TLSCA %s: there is no certificate in it; name a file of certificates in PEM", o.TLSCA)
		}
	}
	if (o.TLSCert == "") != (o.TLSKey == "") {
		return errors.New("natsengine: Options.TLSCert and Options.TLSKey go together: set both or neither")
	}
	if o.TLSCert != "" {
		if err := checkPair(o.TLSCert, o.TLSKey); err != nil {
			return err
		}
	}
	if o.Credentials != "" {
		return checkCredentials(o.Credentials)
	}
	return nil
}

func read(option, path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err // names the file no second time
	}
	if err != nil {
		return nil, fmt.Errorf("natsengine: Options.%s %s: %w; name a file that can be read", option, path, err)
	}
	return data, nil
}

func checkPair(certFile, keyFile string) error {
	cert, err := read("TLSCert", certFile)
	if err != nil {
		return err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(cert) {
		return fmt.Errorf("natsengine: Options.TLSCert %s: there is no certificate in it; name a file with one in PEM", certFile)
	}
	key, err := read("TLSKey", keyFile)
	if err != nil {
		return err
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return fmt.Errorf("natsengine: Options.TLSKey %s: %s; name the file with the key of %s in PEM", keyFile, strings.TrimPrefix(err.Error(), "tls: "), certFile)
	}
	return nil
}

// checkCredentials wants a user's token and the seed of the user's key, as nsc writes them into one file.
func checkCredentials(path string) error {
	if _, err := userToken(path); err != nil {
		return err
	}
	_, err := signAs(path, nil)
	return err
}

// userToken and signAs are nats.UserCredentials for a path that is taken as it is, as those of the other files are.
func userToken(path string) (string, error) {
	data, err := read("Credentials", path)
	if err != nil {
		return "", err
	}
	defer clear(data)
	token, err := nkeys.ParseDecoratedJWT(data)
	if err != nil || token == string(data) || strings.Count(token, ".") != 2 {
		return "", noCredentials(path, "there is no token of a user in it")
	}
	return token, nil
}

func signAs(path string, nonce []byte) ([]byte, error) {
	data, err := read("Credentials", path)
	if err != nil {
		return nil, err
	}
	defer clear(data)
	key, err := nkeys.ParseDecoratedUserNKey(data)
	if err != nil {
		return nil, noCredentials(path, "there is no seed of a user's key in it")
	}
	defer key.Wipe()
	return key.Sign(nonce)
}

func noCredentials(path, what string) error {
	return fmt.Errorf("natsengine: Options.Credentials %s: %s; name a file as nsc generate creds writes it", path, what)
}
