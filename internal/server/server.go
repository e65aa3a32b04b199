// Package server is the HTTP surface of the binary: which path leads where, and how it all comes to an end. Each concern has a
// folder of its own below.
package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/api"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/hub"
	"github.com/roomcast/roomcast/internal/server/metrics"
	"github.com/roomcast/roomcast/internal/server/page"
	"github.com/roomcast/roomcast/internal/server/relay"
)

// Server is everything that listens behind one address.
type Server struct {
	cfg    *config.Serve
	log    *slog.Logger
	gate   *auth.Authority
	desk   *admission.Desk
	hub    *hub.Hub
	api    *api.API
	relay  *relay.Relay
	engine *engine
	slow   atomic.Pointer[func(room string) roomcast.Slow] // what becomes of messages for a slow member

	reachable atomic.Bool // other machines can reach the listener
}

// New returns a server for the settings, of which keys and files may turn out to be none, and NATS in this process one that cannot be run: that
// is the error. The server does nothing for clients before Run, which has to be called.
func New(cfg *config.Serve, logger *slog.Logger) (*Server, error) {
	gate, err := auth.New(context.Background(), authConfig(&cfg.Auth), logger)
	if err != nil {
		return nil, err
	}
	behind, err := newEngine(&cfg.Engine, logger)
	if err != nil {
		gate.Close()
		return nil, err
	}
	s := &Server{cfg: cfg, log: logger, gate: gate, engine: behind, desk: admission.New(gate, accessLimits(&cfg.Access), logger)}
	s.slow.Store(new(cfg.SlowPolicy()))
	options := cfg.Options(logger)
	options.Slow = func(room string) roomcast.Slow { return (*s.slow.Load())(room) }
	s.hub = hub.New(hub.Config{Version: "roomcast " + version(), Rooms: options, Desk: s.desk, Limits: hubLimits(&cfg.Access),
		TokenTimeout: cfg.TokenTimeout, Engine: behind, Ready: func() error { return behind.ready() }, Server: behind.server, SessionTTL: cfg.SessionTTL})
	s.api = api.New(s.hub, s.desk, gate, api.Options{IdempotencyWindow: cfg.IdempotencyWindow}, logger)
	s.relay = relay.New(options, behind, s.desk)
	return s, nil
}

// Check reports what New would find wrong with settings that have no Problems. It reads the files of keys, and fetches nothing.
func Check(cfg *config.Serve) error {
	if err := auth.Check(authConfig(&cfg.Auth)); err != nil {
		return err
	}
	return checkEngine(&cfg.Engine)
}

// authConfig is what the settings mean for auth.
func authConfig(a *config.Auth) auth.Config {
	c := auth.Config{
		Secrets: a.TokenSecret, KeyFiles: a.TokenKeyFile, JWKSURL: a.TokenJWKSURL, JWKSRefresh: a.TokenJWKSRefresh, JWKSTimeout: a.TokenJWKSTimeout,
		Audience: a.TokenAudience, Issuer: a.TokenIssuer, Leeway: a.TokenLeeway, MaxLifetime: a.TokenMaxLifetime, APIKeys: a.APIKey,
	}
	if c.Leeway == 0 {
		c.Leeway = -1 // none: there, zero stands for the default
	}
	return c
}

// accessLimits is what the settings mean for admission.
func accessLimits(a *config.Access) admission.Limits {
	return admission.Limits{
		AcceptRate: a.MaxAcceptRate, ConnsPerAddress: a.MaxAddressConns, ConnsPerUser: a.MaxUserConns,
		UserMessageRate: a.MaxUserMessageRate, UserByteRate: int(a.MaxUserByteRate), TrustedProxies: a.Proxies(),
	}
}

// hubLimits is what the settings mean for the clients of the protocol.
func hubLimits(a *config.Access) hub.Limits {
	return hub.Limits{MessageRate: a.MaxMessageRate, ByteRate: int(a.MaxByteRate), JoinRate: a.MaxJoinRate}
}

// routes is the table of paths. What is not in it is the page's to answer: it has the home page, its files, and the 404.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/ws", s.desk.Guard(s.hub))
	mux.Handle("/rooms/{room}", s.desk.Guard(s.relay))
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.api.Guarded(metrics.Handler(metrics.Source{
		Version: version(), Refused: s.desk.Refused, Draining: s.desk.Draining, Engine: s.engine.figures,
		Endpoints: map[string]*roomcast.Server{"ws": s.hub.Server(), "rooms": s.relay.Server()},
	})))
	mux.Handle("/", page.Handler())
	return s.local(bounded(s.api.Over(mux)))
}

// Run serves on the listener, which it closes, until ctx ends; then it drains: nobody is let in any more, every client is told and closed
// with 1001, in batches, and who has not said goodbye when the time for it is over is cut off.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	defer s.gate.Close()
	defer s.engine.close() // after the drain: what the hub has to tell other nodes goes through it
	defer s.hub.Stop()
	if addr, ok := listener.Addr().(*net.TCPAddr); ok {
		s.reachable.Store(!addr.IP.IsLoopback())
	}
	var chores sync.WaitGroup
	defer chores.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chores.Go(func() { tidy(ctx, s.connections) })
	chores.Go(func() { s.engine.attend(ctx, s.hub.SetSessionKey) })

	failed := make(chan error, 1) // never closed
	go func() { failed <- s.hub.Server().ServeHandler(listener, s.routes()) }()
	select {
	case err := <-failed:
		s.drain()
		return err
	case <-ctx.Done():
		s.drain()
		<-failed // http.ErrServerClosed: Serve has returned
		return nil
	}
}

// connections is how many clients there are.
func (s *Server) connections() int {
	return s.hub.Server().Stats().Connections + s.relay.Server().Stats().Connections
}

// version is the version of the program, as the toolchain notes it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// healthz says that the process lives.
func healthz(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") }

// readyz says whether new clients are welcome.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if s.desk.Draining() {
		plain(w, http.StatusServiceUnavailable, "draining\n")
		return
	}
	if missing := s.engine.missing(); missing != "" {
		plain(w, http.StatusServiceUnavailable, missing+"\n")
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

func plain(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, line) // the client has gone; nobody is left to be told
}
