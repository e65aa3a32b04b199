// Package config is what can be set: one struct per command, from which the flags, the environment variables, the keys of the
// configuration file and their help come, and its translation for the packages that do the work.
package config

import (
	"log/slog"
	"net"

	"github.com/roomcast/roomcast"
)

// Serve is everything that `roomcast serve` can be told. A flag wins over its environment variable, that over the file, that over
// the default: Load does that. Each group stands in a file of its own; a new one is embedded here and named in groups.
//
// The fields' tags are kong's, and two of our own: secret:"true" keeps a value out of everything that is printed, and reload:"true"
// says that server.Reload puts a change into effect.
type Serve struct {
	Config string `placeholder:"FILE" env:"ROOMCAST_CONFIG" help:"Configuration file: YAML with the names of these flags as keys. Flags and environment variables win over it."`

	Listen `embed:""`
	Auth   `embed:""`
	Limits `embed:""`
	Access `embed:""`
	Flow   `embed:""`
	Timing `embed:""`
	Engine `embed:""`
	Log    `embed:""`
}

// group is a part of the settings.
type group interface {
	// problems are all settings in it that make no sense.
	problems() []error

	// apply writes what the settings mean for roomcast, if they mean anything there.
	apply(*roomcast.Options)
}

func (s *Serve) groups() []group {
	return []group{&s.Listen, &s.Auth, &s.Limits, &s.Access, &s.Flow, &s.Timing, &s.Engine, &s.Log}
}

// Problems are all settings that make no sense: the flag of each, its value and what to set instead.
func (s *Serve) Problems() []error {
	var found []error
	for _, g := range s.groups() {
		found = append(found, g.problems()...)
	}
	if len(found) > 0 {
		return found
	}
	if host, _, _ := net.SplitHostPort(s.Addr); !s.Closed() && reachable(host) {
		found = append(found, s.TooOpen())
	}
	if err := s.Options(nil).Validate(); err != nil { // what the flags cannot say by themselves, if ever there is such a thing
		found = append(found, err)
	}
	return found
}

// Closed reports whether an address that other machines can reach is fine: they need a token, or it is wanted that they need none.
func (s *Serve) Closed() bool { return s.Tokens() || s.AllowAnonymous }

// TooOpen is what is wrong with such an address otherwise.
func (s *Serve) TooOpen() error {
	return invalid("addr", s.Addr, "other machines can reach it, and there are no keys for tokens: give some "+
		"(--token-secret, --token-key-file, --token-jwks-url), or let anybody join any room with --allow-anonymous")
}

// reachable reports whether other machines can reach a host for certain. What a name stands for, only listening shows.
func reachable(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && !ip.IsLoopback()
}

// Options is what the settings mean for roomcast; what has no flag keeps its default there.
func (s *Serve) Options(logger *slog.Logger) roomcast.Options {
	o := roomcast.Options{Logger: logger}
	for _, g := range s.groups() {
		g.apply(&o)
	}
	return o
}
