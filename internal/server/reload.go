package server

import (
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/internal/config"
)

// Reload puts those settings of cfg into effect that can change while the server runs; in package config they have the tag
// reload:"true". Files of keys are read again, also if their names are the same. Nobody is dropped, and what has been granted stays
// granted. If it fails, everything is as it was.
func (s *Server) Reload(cfg *config.Serve) error {
	// First everything that can fail, the last of it changing something; then what cannot.
	if problems := cfg.Problems(); len(problems) > 0 {
		return problems[0]
	}
	if s.reachable.Load() && !cfg.Tokens() && !s.cfg.AllowAnonymous { // whatever the new --addr says: this is where it listens until it stops
		return errors.New("the server listens where other machines can reach it, and the new settings have no keys for tokens: keep some, " +
			"or start it again with another --addr or with --allow-anonymous")
	}
	if err := s.gate.Reload(authConfig(&cfg.Auth)); err != nil {
		return err
	}

	s.desk.SetLimits(accessLimits(&cfg.Access))
	s.hub.SetLimits(hubLimits(&cfg.Access))
	s.slow.Store(new(cfg.SlowPolicy()))
	for _, set := range []func([]string) error{s.hub.Server().SetAllowedOrigins, s.relay.Server().SetAllowedOrigins} {
		if err := set(cfg.AllowedOrigin); err != nil {
			return fmt.Errorf("server: %w", err) // never: the problems above include it
		}
	}
	return nil
}
