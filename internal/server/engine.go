package server

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/server/metrics"
	"github.com/roomcast/roomcast/memengine"
	"github.com/roomcast/roomcast/natsengine"
)

// engine is what lies behind the rooms of /ws, and what its server has to know of it besides.
type engine struct {
	roomcast.Engine

	ready func() error          // nil, or what is missing
	stats func() metrics.Engine // without Up
	close func()                // after everybody who uses it
	log   *slog.Logger

	server func(node string) string // hub.Config.Server; may be nil

	// secret is the key of the tokens with which sessions are resumed, the same on all nodes. It may take until NATS is there.
	secret func(context.Context) ([]byte, error)
	keyed  atomic.Bool  // it is known: before, nobody who comes could go on with a session
	unread atomic.Value // string: why it is not known
}

// newEngine makes what the settings ask for. NATS elsewhere need not be there, now or later: ready says so. NATS in this process has been
// started, or the error says why it cannot be. close has to be called.
func newEngine(cfg *config.Engine, logger *slog.Logger) (*engine, error) {
	if cfg.NATS == "" {
		return inMemory(cfg, logger), nil
	}
	if err := checkEngine(cfg); err != nil {
		return nil, err
	}
	logger = slog.New(flagLog{logger.Handler()})
	options := natsOptions(cfg, logger)
	var embedded *natsengine.Server
	if cfg.NATS == config.Embedded {
		var err error
		if embedded, err = natsengine.RunServer(serverOptions(cfg, logger)); err != nil {
			return nil, errors.New("--nats embedded: " + inFlags.Replace(err.Error()))
		}
		options.Server = embedded
	}
	over, err := natsengine.New(options)
	if err != nil {
		if embedded != nil {
			embedded.Close()
		}
		return nil, errors.New("--nats " + cfg.NATS.String() + ": " + inFlags.Replace(err.Error()))
	}
	return &engine{
		Engine: over, log: logger, ready: over.Ready, secret: over.Secret, server: serverOf(cfg),
		stats: func() metrics.Engine { return natsStats(over.Stats()) },
		close: func() {
			over.Close()
			if embedded != nil { // last: what the engine has to say at its end goes through it
				embedded.Close()
			}
		},
	}, nil
}

// serverOf returns hub.Config.Server: a server that is started again has the same --node, behind which the name of a node has one more part. One with NATS in
// it and no peers is all there is.
func serverOf(cfg *config.Engine) func(node string) string {
	alone := cfg.NATS == config.Embedded && len(cfg.ClusterPeers) == 0
	return func(node string) string {
		if alone {
			return ""
		}
		return node[:max(0, strings.LastIndexByte(node, '-'))]
	}
}

// inFlags says with the names of flags what natsengine says with those of its options.
var inFlags = strings.NewReplacer("natsengine: ", "", "ServerOptions.Dir", "--data", "ServerOptions.MaxStore", "--data-max",
	"ServerOptions.ClusterListen", "--cluster-listen", "ServerOptions.Peers", "--cluster-peers", "ServerOptions.Name", "--node", "ServerOptions.Secret", "--cluster-secret",
	"Options.URL", "--nats", "Options.Credentials", "--nats-creds", "Options.TLSCA", "--nats-ca", "Options.TLSCert", "--nats-cert", "Options.TLSKey", "--nats-key",
	"Options.History", "--history", "Options.Replicas", "--nats-replicas")

// inMemory is an engine of this process alone. Its sessions end with it, and so may their key.
func inMemory(cfg *config.Engine, logger *slog.Logger) *engine {
	memory := memengine.New(memengine.Options{History: cfg.Retentions(), Window: cfg.IdempotencyWindow})
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return &engine{
		Engine: memory, log: logger, ready: func() error { return nil }, close: memory.Close,
		secret: func(context.Context) ([]byte, error) { return key, nil },
		stats:  func() metrics.Engine { return memoryStats(memory.Stats()) },
	}
}

// natsOptions is what the settings mean for natsengine, but for its Server.
func natsOptions(cfg *config.Engine, logger *slog.Logger) natsengine.Options {
	o := natsengine.Options{
		Credentials: cfg.NATSCreds, TLSCA: cfg.NATSCA, TLSCert: cfg.NATSCert, TLSKey: cfg.NATSKey,
		Node: cfg.Node, Prefix: cfg.NATSPrefix, Replicas: cfg.Replicas(), History: cfg.Retentions(), Window: cfg.IdempotencyWindow,
		Lease: cfg.Lease, Linger: max(cfg.SessionTTL, time.Millisecond), // zero would be the default
		Logger: logger,
	}
	if cfg.NATS != config.Embedded {
		o.URL = string(cfg.NATS)
	}
	return o
}

func serverOptions(cfg *config.Engine, logger *slog.Logger) natsengine.ServerOptions {
	return natsengine.ServerOptions{
		Dir: cfg.Data, MaxStore: int64(cfg.DataMax), Name: cfg.Node, ClusterName: cfg.NATSPrefix,
		ClusterListen: cfg.ClusterListen, Peers: cfg.ClusterPeers, Secret: cfg.ClusterSecret, Logger: logger,
	}
}

// checkEngine reports what newEngine would find wrong with the settings without starting anything: files that are not what they are to be.
func checkEngine(cfg *config.Engine) error {
	if cfg.NATS == "" || cfg.NATS == config.Embedded {
		return nil // which have none
	}
	if err := natsOptions(cfg, nil).Check(); err != nil {
		return errors.New(inFlags.Replace(err.Error()))
	}
	return nil
}

const (
	lookEvery  = 500 * time.Millisecond // how often it is looked whether the engine is there
	sayEvery   = time.Minute            // how often it is said that it is still away
	secretWait = 10 * time.Second       // for one attempt to get the key
)

// attend hands on the key of the sessions as soon as it is there, and logs when the engine goes away and comes back, until ctx ends.
func (e *engine) attend(ctx context.Context, useKey func([]byte)) {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	tasks.Go(func() { e.fetchKey(ctx, useKey) })
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var away, said time.Time // since when it is away, if it is, and when that was logged last
	for {
		select {
		case <-ticker.C: // not at once: at the start it may need a moment
		case <-ctx.Done():
			return
		}
		missing, now := e.missing(), time.Now()
		switch {
		case missing == "" && !away.IsZero():
			e.log.Info("the engine is there again", "after", now.Sub(away).Round(time.Millisecond))
			away = time.Time{}
		case missing != "" && away.IsZero():
			e.log.Warn("the engine is away: what needs it fails until it is back", "missing", missing)
			away, said = now, now
		case missing != "" && now.Sub(said) >= sayEvery:
			e.log.Warn("the engine is still away", "missing", missing, "after", now.Sub(away).Round(time.Millisecond))
			said = now
		}
	}
}

// fetchKey tries until it has the key or ctx ends.
func (e *engine) fetchKey(ctx context.Context, use func([]byte)) {
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, secretWait)
		key, err := e.secret(attempt)
		cancel()
		if err == nil {
			use(key)
			e.keyed.Store(true)
			return
		}
		e.unread.Store(": " + err.Error())
		e.log.Debug("the key of the sessions is not there yet: clients get no resume tokens", "problem", err)
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
		}
	}
}

// missing is what is missing, in one line; "" if the engine is there.
func (e *engine) missing() string {
	err := e.ready()
	switch {
	case err == nil && e.keyed.Load():
		return ""
	case err == nil:
		why, _ := e.unread.Load().(string)
		err = errors.New("the key of the sessions has not been read" + why)
	}
	return strings.Join(strings.Fields(inFlags.Replace(err.Error())), " ")
}

// figures is what is counted of it.
func (e *engine) figures() metrics.Engine {
	f := e.stats()
	f.Up = e.missing() == ""
	return f
}
