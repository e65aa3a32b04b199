// Package server is the HTTP surface of the binary: which path leads where, and how it all comes to an end. Each concern has a
// folder of its own below.
package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/server/api"
	"github.com/roomcast/roomcast/internal/server/hub"
	"github.com/roomcast/roomcast/internal/server/page"
	"github.com/roomcast/roomcast/internal/server/relay"
)

// Server is everything that listens behind one address.
type Server struct {
	hub   *hub.Hub
	api   *api.API
	relay *relay.Relay
	log   *slog.Logger
	grace time.Duration // of a shutdown
}

// New returns a server for the settings, which are valid; it does nothing before Run.
func New(cfg *config.Serve, logger *slog.Logger) *Server {
	clients := hub.New("roomcast "+version(), cfg.Options(logger), hub.Limits{})
	return &Server{
		hub:   clients,
		api:   api.New(clients, nil, api.Options{}, logger),
		relay: relay.New(cfg.Options(logger)),
		log:   logger,
		grace: cfg.ShutdownTimeout,
	}
}

// routes is the table of paths. What is not in it is the page's to answer: it has the home page, its files, and the 404.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/ws", s.hub)
	mux.Handle("/rooms/{room}", s.relay)
	mux.HandleFunc("GET /healthz", healthz)
	mux.Handle("/", page.Handler())
	return s.api.Over(mux)
}

// Run serves on the listener, which it closes, until ctx ends; then it shuts down: nobody is let in any more, every client is
// closed with 1001, and who has not said goodbye within the shutdown timeout is cut off.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	var tidying sync.WaitGroup
	defer tidying.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tidying.Go(func() { tidy(ctx, s.connections) })

	failed := make(chan error, 1) // never closed
	go func() { failed <- s.relay.Serve(listener, s.routes()) }()
	select {
	case err := <-failed:
		s.shutdown()
		return err
	case <-ctx.Done():
		s.shutdown()
		<-failed // http.ErrServerClosed: Serve has returned
		return nil
	}
}

func (s *Server) shutdown() {
	s.log.Info("shutting down", "connections", s.connections())
	ctx, cancel := context.WithTimeout(context.Background(), s.grace)
	defer cancel()
	others := make(chan error)
	go func() { others <- s.hub.Shutdown(ctx) }()
	if err := errors.Join(s.relay.Shutdown(ctx), <-others); err != nil {
		s.log.Warn("clients cut off that did not close within --shutdown-timeout", "timeout", s.grace)
	}
	s.log.Info("stopped")
}

// connections is how many clients there are.
func (s *Server) connections() int { return s.hub.Stats().Connections + s.relay.Stats().Connections }

// version is the version of the program, as the toolchain notes it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, "ok\n") // the client has gone; nobody is left to be told
}
