package config

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"unicode"
	"unicode/utf8"

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
	w = escaper{w}
	if l.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// escaper escapes what a terminal would obey and slog lets stand as it is: DEL and, in JSON, the control characters from U+0080 on, of which
// one begins escape sequences, and the marks of writing direction.
type escaper struct{ to io.Writer }

// Write is io.Writer, for one line at a time.
func (e escaper) Write(line []byte) (int, error) {
	if !bytes.ContainsFunc(line, obeyed) {
		return e.to.Write(line)
	}
	safe := make([]byte, 0, 2*len(line))
	for _, r := range string(line) { // slog writes UTF-8
		if obeyed(r) {
			safe = fmt.Appendf(safe, `\u%04x`, r) // in JSON none of these is outside a string
		} else {
			safe = utf8.AppendRune(safe, r)
		}
	}
	if _, err := e.to.Write(safe); err != nil {
		return 0, err
	}
	return len(line), nil
}

func obeyed(r rune) bool { return r >= 0x7f && unicode.In(r, unicode.Cc, unicode.Bidi_Control) }
