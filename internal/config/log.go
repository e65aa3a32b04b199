package config

import (
	"io"
	"log/slog"

	"github.com/roomcast/roomcast"
)

// Log is what the server says about itself.
type Log struct {
	LogFormat string `default:"text" enum:"text,json" env:"ROOMCAST_LOG_FORMAT" help:"Form of the log on stderr: ${enum} (default: ${default})."`
	LogLevel  string `default:"info" enum:"debug,info,warn,error" env:"ROOMCAST_LOG_LEVEL" help:"Least important level that is logged: ${enum} (default: ${default})."`
}

func (*Log) problems() []error { return nil } // the enums say it all

func (*Log) apply(*roomcast.Options) {}

// Logger writes to w in the form and from the level that are set. What cannot be written is lost, and harms nobody.
func (l *Log) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.LogLevel)) // one of the four names, or Info
	options := &slog.HandlerOptions{Level: level}
	if l.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
