package server

import (
	"fmt"

	"github.com/roomcast/roomcast/internal/config"
)

// Reload puts those settings of cfg into effect that can change while the server runs; in package config they have the tag
// reload:"true". Nobody is dropped. If it fails, everything is as it was.
func (s *Server) Reload(cfg *config.Serve) error {
	// First everything that can fail (reading files, checking keys), and then, below, what cannot.
	if problems := cfg.Problems(); len(problems) > 0 {
		return problems[0]
	}

	for _, set := range []func([]string) error{s.hub.SetAllowedOrigins, s.relay.SetAllowedOrigins} {
		if err := set(cfg.AllowedOrigin); err != nil {
			return fmt.Errorf("server: %w", err) // never: the problems above include it
		}
	}
	return nil
}
