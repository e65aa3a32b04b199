package server

import (
	"context"
	"log/slog"
)

// flagLog is where natsengine logs: what it says of its options is said of the flags here.
type flagLog struct{ slog.Handler }

// Handle is slog.Handler.
func (l flagLog) Handle(ctx context.Context, r slog.Record) error {
	said := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(inFlags.Replace(err.Error()))
		}
		said.AddAttrs(a)
		return true
	})
	return l.Handler.Handle(ctx, said)
}

// WithAttrs is slog.Handler.
func (l flagLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return flagLog{l.Handler.WithAttrs(attrs)}
}

// WithGroup is slog.Handler.
func (l flagLog) WithGroup(name string) slog.Handler { return flagLog{l.Handler.WithGroup(name)} }
