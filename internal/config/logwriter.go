package config

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	logLines = 1024        // how many lines wait for the log to take them
	logFlush = time.Second // how long the end of the program waits for it
)

// LogWriter writes lines in a goroutine of its own, so that a log that takes nothing (a full pipe that nobody reads, a disk that
// hangs) holds up nobody. Lines that find no room are dropped, and their number is written when there is room again.
type LogWriter struct {
	to    io.Writer
	lines chan []byte   // closed by Close
	done  chan struct{} // closed when all lines are written

	mu      sync.Mutex
	closed  bool
	dropped int // since the last line that found room
}

// NewLogWriter returns a LogWriter to w. Close ends it.
func NewLogWriter(w io.Writer) *LogWriter {
	l := &LogWriter{to: w, lines: make(chan []byte, logLines), done: make(chan struct{})}
	go l.run()
	return l
}

func (l *LogWriter) run() {
	defer close(l.done)
	for line := range l.lines {
		_, _ = l.to.Write(line) // what cannot be written is lost, and harms nobody
	}
}

// Write takes a copy of p, which is one line, or drops it. It never blocks and never fails.
func (l *LogWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(p), nil
	}
	line := append([]byte(nil), p...)
	if l.dropped > 0 {
		line = append(fmt.Appendf(nil, "(%d lines of the log were dropped: nobody took them)\n", l.dropped), line...)
	}
	select {
	case l.lines <- line:
		l.dropped = 0
	default:
		l.dropped++
	}
	return len(p), nil
}

// Close writes what waits, for a second at most.
func (l *LogWriter) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.lines)
	}
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-time.After(logFlush):
	}
	return nil
}
