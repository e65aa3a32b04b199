package natsengine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How a connection is kept. A server that has stopped answering is left after some 6 s.
const (
	dialTimeout   = 2 * time.Second
	writeTimeout  = 5 * time.Second
	reconnectWait = 100 * time.Millisecond
	reconnectMore = 400 * time.Millisecond // at random, so that not all nodes come at once
	pingEvery     = 2 * time.Second
	pingsMissing  = 2
)

// connect begins to connect. Messages are not kept while there is no connection: who publishes is told.
func (e *Engine) connect() error {
	options := []nats.Option{
		nats.Name("roomcast " + e.o.Node),
		nats.NoEcho(),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectMore, reconnectMore),
		nats.ReconnectBufSize(-1),
		nats.Timeout(dialTimeout),
		nats.FlusherTimeout(writeTimeout),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(pingsMissing),
		nats.ConnectHandler(func(*nats.Conn) {
			<-e.made
			e.connected("Connected to NATS")
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			<-e.made
			e.stats.reconnects.Add(1)
			e.connected("Connected to NATS again")
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			<-e.made
			e.disconnected(err)
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { e.trouble.failed(err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(e.gone) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { e.asyncError(err) }),
	}
	if e.o.Credentials != "" {
		options = append(options, nats.UserJWT(
			func() (string, error) { return userToken(e.o.Credentials) },
			func(nonce []byte) ([]byte, error) { return signAs(e.o.Credentials, nonce) }))
	}
	if e.o.TLSCA != "" {
		options = append(options, nats.RootCAs(e.o.TLSCA))
	}
	if e.o.TLSCert != "" {
		options = append(options, nats.ClientCert(e.o.TLSCert, e.o.TLSKey))
	}
	if e.o.Server != nil {
		options = append(options, e.o.Server.inProcess())
	}
	nc, err := nats.Connect(e.o.URL, options...)
	if err != nil {
		return fmt.Errorf("natsengine: connect to NATS: %w", err) // not with the URL, which may have a password
	}
	e.nc = nc
	defer close(e.made)
	if e.calls, err = newCalls(nc); err != nil {
		return fmt.Errorf("natsengine: %w", err)
	}
	if e.js, err = jetstream.New(nc); err != nil {
		return fmt.Errorf("natsengine: %w", err)
	}
	return nil
}

// hangUp closes the connection and waits until nats.go has told all it had to tell.
func (e *Engine) hangUp() {
	if e.nc != nil {
		e.nc.Close()
		<-e.gone
	}
}

func (e *Engine) isConnected() bool { return e.nc.IsConnected() }

// connected is called by nats.go, as disconnected is, one at a time and in order.
func (e *Engine) connected(what string) {
	e.trouble.connected()
	e.o.Logger.Info(what, e.whereTo()...)
	e.calls.connected()
	e.presence.start(e.js)
	e.presence.reconnected()
	e.suspectTails()
	e.lookAgain()
}

// whereTo is for the log: one of several servers may be the slow one. It is an address, for the URL may have a token in it.
func (e *Engine) whereTo() []any {
	if e.o.Server != nil {
		return []any{"node", e.o.Node}
	}
	return []any{"node", e.o.Node, "server", e.nc.ConnectedAddr()}
}

func (e *Engine) disconnected(err error) {
	if e.ctx.Err() == nil {
		e.o.Logger.Warn("The connection to NATS is lost; trying again", "error", err)
	}
	e.calls.disconnected()
	e.presence.disconnected()
}

func (e *Engine) asyncError(err error) {
	if errors.Is(err, nats.ErrSlowConsumer) {
		e.stats.slow.Add(1)
	}
	if errors.Is(err, nats.ErrPermissionViolation) {
		e.trouble.deny(err)
	}
	e.complain("NATS reports an error", err)
}

// complain logs a warning, unless it has lately.
func (e *Engine) complain(what string, err error) {
	if e.ctx.Err() == nil {
		e.o.Logger.Log(e.ctx, e.trouble.level(e.o.complaint(err)), what, "error", e.o.explain(err))
	}
}

func (e *Engine) lookAgain() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// Entries are at most as large as a message of NATS, with room for its headers and ours.
const (
	headersSize    = 1 << 10
	defaultPayload = 1 << 20 // of a NATS server
)

func (e *Engine) maxPayload() int {
	return int(orElse(e.calls.payload.Load(), defaultPayload)) - headersSize
}

// How often the streams are looked at: while something is wrong with them, and for the statistics.
const (
	setUpEvery  = 500 * time.Millisecond
	statusEvery = 10 * time.Second
	kickPause   = 50 * time.Millisecond
)

// electionTime is how long the streams may be silent before a node that had them is not ready any more: when a server goes or comes back, those that are
// left choose who leads, and all nodes would be called ill at once.
const electionTime = 10 * time.Second

// election is whether what is wrong with the streams may be one.
type election struct {
	had bool      // they were there, over this connection
	ill time.Time // since when they are not; zero: they are
}

// excuses takes what a look at the streams has found that began at one time and ended at another, and reports whether it says nothing of this node.
func (e *election) excuses(found error, begun, ended time.Time) bool {
	switch {
	case found == nil:
		*e = election{had: true}
	case errors.Is(found, errAway):
		*e = election{}
	case e.ill.IsZero():
		e.ill = begun
	}
	return found != nil && e.had && ended.Sub(e.ill) <= electionTime
}

// keepStreams makes the streams, and looks at them again and again and after every reconnect.
func (e *Engine) keepStreams() {
	said := ""
	var election election
	for {
		wait, begun := statusEvery, time.Now()
		err := e.setUp()
		if !election.excuses(err, begun, time.Now()) {
			e.trouble.noteStreams(err)
		}
		if err != nil {
			wait = setUpEvery
		}
		if err != nil && e.isConnected() && e.ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			e.o.Logger.Warn("The streams in NATS are not ready", "error", e.o.explain(err))
		}
		if !e.isConnected() {
			if reason := e.trouble.away(e.nc.LastError()); reason != nil {
				e.complain("There is no connection to NATS; trying again", reason)
			}
		}
		select {
		case <-e.ctx.Done():
			return
		case <-e.kick:
			e.pauseFor(e.ctx, kickPause) // many may have the same reason
		case <-time.After(wait):
		}
	}
}

func (e *Engine) setUp() error {
	if !e.isConnected() {
		return errAway
	}
	ctx, cancel := context.WithTimeout(e.ctx, e.o.Timeout)
	defer cancel()
	var missing []error
	for _, k := range e.kinds { // all of them, so that one that cannot be had keeps nobody from the others
		f, err := k.setUp(ctx, e.js)
		switch {
		case err != nil:
			missing = append(missing, err)
		case f.again:
			e.o.Logger.Warn("A stream in NATS has been made anew; what was in it is lost", "stream", k.stream)
			k.seen.Store(f.last)
			for _, r := range e.roomsOf(k) {
				r.reset()
			}
		case f.last < f.seen:
			e.run(func() { e.verify(k, f) })
		}
	}
	return errors.Join(missing...)
}

// verify has the rooms looked at of which more is known than there seems to be.
func (e *Engine) verify(k *kind, f found) {
	var suspects []*room
	for _, r := range e.roomsOf(k) {
		if r.suspect(f) {
			suspects = append(suspects, r)
		}
	}
	for part := range slices.Chunk(suspects, verifyAtOnce) {
		var all sync.WaitGroup
		for _, r := range part {
			all.Go(r.verify)
		}
		all.Wait()
	}
}

// verifyAtOnce is how many rooms are looked at at a time when something seems to be lost.
const verifyAtOnce = 256

func (e *Engine) roomsOf(k *kind) []*room {
	return slices.DeleteFunc(e.allRooms(), func(r *room) bool { return r.kind != k })
}

// pauseFor waits for about so long, and reports whether to go on.
func (e *Engine) pauseFor(ctx context.Context, about time.Duration) bool {
	timer := time.NewTimer(about/2 + rand.N(about))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
