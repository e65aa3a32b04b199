package natsengine

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	sayEvery     = time.Minute      // a complaint that stays the same is logged this often
	deniedLately = 30 * time.Second // what NATS has not permitted is a reason not to be ready for so long
)

// trouble is what is wrong between this node and NATS.
type trouble struct {
	mu       sync.Mutex
	streams  error                // why they cannot be used yet; nil once they can
	dial     error                // why the last attempt to connect failed; nil while connected
	denied   error                // the last thing that NATS has not permitted
	deniedAt time.Time            // when; zero: nothing since the connection was made
	said     map[string]time.Time // what has been logged lately
}

// failed notes why an attempt to connect has failed.
func (t *trouble) failed(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dial = err
}

// connected forgets what was wrong with the connection before.
func (t *trouble) connected() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dial, t.denied, t.deniedAt = nil, nil, time.Time{}
	clear(t.said)
}

// deny notes that NATS does not permit something. It says so only to the connection as a whole: who has asked waits for an answer in vain.
func (t *trouble) deny(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.denied, t.deniedAt = err, time.Now()
}

func (t *trouble) noteStreams(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.streams = err
}

// away is why there is no connection; nil if nothing is known.
func (t *trouble) away(last error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return orElse(last, t.dial)
}

// present is what is wrong while there is a connection. What is not permitted goes first: the rest follows from it.
func (t *trouble) present() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.denied != nil && time.Since(t.deniedAt) < deniedLately {
		return t.denied
	}
	return t.streams
}

// level is at which a complaint is logged: nats.go makes the same one at every attempt to connect, and for every message.
func (t *trouble) level(complaint string) slog.Level {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.said, func(_ string, at time.Time) bool { return now.Sub(at) >= sayEvery })
	if _, said := t.said[complaint]; said {
		return slog.LevelDebug
	}
	if t.said == nil {
		t.said = map[string]time.Time{}
	}
	t.said[complaint] = now
	return slog.LevelWarn
}

// complaint is what an error has in common with others that say the same.
func (o *Options) complaint(err error) string {
	if remedy := o.remedy(err); remedy != "" {
		return remedy
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok { // without the ports
		return failed.Op + " " + failed.Err.Error()
	}
	return err.Error()
}

// explain adds to an error of NATS what can be done about it, where that does not go without saying.
func (o *Options) explain(err error) error {
	if remedy := o.remedy(err); remedy != "" {
		return fmt.Errorf("%w; %s", err, remedy)
	}
	return err
}

func (o *Options) remedy(err error) string {
	switch _, unknown := errors.AsType[x509.UnknownAuthorityError](err); {
	case unknown && o.TLSCA == "":
		return "name the file with the certificate of who has signed the server's, with Options.TLSCA"
	case unknown:
		return "the server's certificate is not signed by whom Options.TLSCA names"
	case errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked):
		return o.whoItIs()
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "the server does not speak TLS: write nats:// in Options.URL, and leave out Options.TLSCA and Options.TLSCert"
	case refusedUs(err) && o.TLSCert == "":
		return "does the server want a certificate of this node? Name it with Options.TLSCert and Options.TLSKey"
	case refusedUs(err):
		return "the server does not take the certificate of Options.TLSCert: is it signed by whom the server trusts, for clients, and not expired?"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "the user whom this node connects as lacks the permission"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return "give the account whose user this node connects as JetStream"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return "run nats-server with JetStream"
	case silent(err) && o.Server != nil && !o.Server.led():
		return "no majority of the cluster is there: does this server reach those at ServerOptions.Peers, and have all the same ServerOptions.Secret?"
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return "does nats-server run with JetStream, and does one of its cluster lead?"
	}
	if failed, ok := errors.AsType[*jetstream.APIError](err); ok {
		return o.remedyFor(failed.ErrorCode)
	}
	return ""
}

// silent reports whether nobody has answered.
func silent(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errNoAnswer) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse)
}

// Error codes of JetStream that jetstream has no names for.
const (
	errCodeNoPeers   = 10005 // of whoever there is in the cluster
	errCodeNoRoom    = 10047 // for what the stream may take
	errCodeNoReplica = 10074 // since the server is alone
)

func (o *Options) remedyFor(code jetstream.ErrorCode) string {
	switch {
	case code == errCodeNoRoom && o.Server != nil:
		return "what Options.History may take is more than ServerOptions.MaxStore has room for: make one smaller or the other larger"
	case code == errCodeNoRoom:
		return "what Options.History may take is more than the account or nats-server has room for: make one smaller or the other larger"
	case code == errCodeNoPeers && o.Server != nil:
		return fmt.Sprintf("Options.Replicas is %d: does this server reach as many of ServerOptions.Peers, and have all the same ServerOptions.Secret?", o.Replicas)
	case code == errCodeNoReplica, code == errCodeNoPeers:
		return fmt.Sprintf("Options.Replicas is %d: are there as many servers with JetStream in the NATS cluster?", o.Replicas)
	}
	return ""
}

// refusedUs reports whether a server has broken off when it had seen our certificate, or that there is none. Which alert it was is no public type, and
// it is lost if we were writing.
func refusedUs(err error) bool {
	text := err.Error()
	return strings.Contains(text, "remote error: tls: ") && strings.Contains(text, "certificate") ||
		strings.Contains(text, "closed by remote after TLS handshake")
}

// whoItIs is what to check when the server does not take this node for one of its users.
func (o *Options) whoItIs() string {
	switch {
	case strings.Contains(o.URL, "@"): // goes before credentials
		return "the server does not know the user and password, or the token, in Options.URL"
	case o.Credentials != "":
		return "the server does not take Options.Credentials: are they for this server, and neither expired nor revoked?"
	case o.TLSCert != "":
		return "the server has no user for the certificate of Options.TLSCert, or wants a user and password, or a token, in Options.URL, or Options.Credentials"
	}
	return "the server wants to know who connects: give a user and password, or a token, in Options.URL, or Options.Credentials"
}
