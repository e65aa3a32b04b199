// Package config is what can be set: one struct per command, from which the flags, the environment variables, the keys of the
// configuration file and their help come, and its translation for the packages that do the work.
package config

import (
	"fmt"
	"log/slog"

	"github.com/roomcast/roomcast"
)

// Serve is everything that `roomcast serve` can be told. A flag wins over its environment variable, that over the file, that over
// the default. Each group stands in a file of its own; a new one is embedded here and named in groups.
type Serve struct {
	Listen `embed:""`
	Auth   `embed:""`
	Limits `embed:""`
	Access `embed:""`
	Flow   `embed:""`
	Timing `embed:""`
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
	return []group{&s.Listen, &s.Auth, &s.Limits, &s.Access, &s.Flow, &s.Timing, &s.Log}
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
	if err := s.Options(nil).Validate(); err != nil { // what the flags cannot say by themselves, if ever there is such a thing
		found = append(found, err)
	}
	return found
}

// Validate reports the first of the Problems.
func (s *Serve) Validate() error {
	if found := s.Problems(); len(found) > 0 {
		return found[0]
	}
	return nil
}

// Options is what the settings mean for roomcast; what has no flag keeps its default there.
func (s *Serve) Options(logger *slog.Logger) roomcast.Options {
	o := roomcast.Options{Logger: logger}
	for _, g := range s.groups() {
		g.apply(&o)
	}
	return o
}

// Problem is a setting that makes no sense.
type Problem struct {
	Flag   string // without its dashes
	Value  any    // of a secret: only that it is there
	Remedy string
}

// Error is one line with the remedy in it.
func (p *Problem) Error() string { return fmt.Sprintf("--%s %v: %s", p.Flag, p.Value, p.Remedy) }

func invalid(flag string, value any, remedy string) error { return &Problem{flag, value, remedy} }
