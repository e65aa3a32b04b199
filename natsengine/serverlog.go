package natsengine

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// serverLog hands what a NATS server says to a slog.Logger. It is not asked to trace or debug, which is where it would say what passes
// through it.
type serverLog struct {
	logger *slog.Logger // nil: nobody listens

	mu     sync.Mutex
	reason string // the first thing that made it give up
}

// Noticef is for what the server notices, which is mostly its own starting, at length.
func (l *serverLog) Noticef(format string, v ...any) { l.log(slog.LevelDebug, format, v) }

// Warnf is for warnings. That messages may be large is not one: serverPayload is so on purpose.
func (l *serverLog) Warnf(format string, v ...any) {
	if !strings.HasPrefix(format, "Maximum payloads over") {
		l.log(slog.LevelWarn, format, v)
	}
}

// Errorf is for errors.
func (l *serverLog) Errorf(format string, v ...any) { l.log(slog.LevelError, format, v) }

// Debugf is never called.
func (l *serverLog) Debugf(string, ...any) {}

// Tracef is never called.
func (l *serverLog) Tracef(string, ...any) {}

// Fatalf is for what the server gives up at: not this process, which RunServer tells.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	if l.reason == "" {
		l.reason = fmt.Sprintf(format, v...)
	}
	l.mu.Unlock()
	l.log(slog.LevelError, format, v)
}

func (l *serverLog) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

func (l *serverLog) log(level slog.Level, format string, v []any) {
	if l.logger != nil && l.logger.Enabled(context.Background(), level) {
		l.logger.Log(context.Background(), level, "nats-server: "+fmt.Sprintf(format, v...))
	}
}
