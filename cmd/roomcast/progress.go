package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/loadgen"
)

// progress shows how far things are: rewritten in place on a terminal, a line now and then elsewhere.
type progress struct {
	w     io.Writer
	place bool // in place
	every time.Duration
	shown bool
}

const (
	everyInPlace = 200 * time.Millisecond
	everyLine    = 5 * time.Second
)

func newProgress(f *os.File, off bool) *progress {
	p := &progress{w: f, every: everyLine, place: isTerminal(f)}
	if p.place {
		p.every = everyInPlace
	}
	if off {
		p.every = 0
	}
	return p
}

// isTerminal reports whether f is a terminal on which a line can be written again.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 || os.Getenv("TERM") == "dumb" || runtime.GOOS == "windows" {
		return false
	}
	null, err := os.Stat(os.DevNull) // a character device too
	return err != nil || !os.SameFile(info, null)
}

const (
	restart  = "\r\x1b[K" // to the beginning of the line, which becomes empty
	dontWrap = "\x1b[?7l" // what does not fit is cut, so that it stays one line
	wrap     = "\x1b[?7h"
)

func (p *progress) show(now loadgen.Progress) {
	if p.place {
		fmt.Fprintf(p.w, "%s%s%s%s", restart, dontWrap, now, wrap)
	} else {
		fmt.Fprintln(p.w, now)
	}
	p.shown = true
}

// clear takes the line away.
func (p *progress) clear() {
	if p.place && p.shown {
		fmt.Fprint(p.w, restart)
	}
}

const silent = time.Second // what takes no longer needs no progress

// waiting says on a terminal what is waited for and for how long, once it takes more than a second. done takes it away; it may be
// called more than once, by one goroutine at a time.
func waiting(f *os.File, what string) (done func()) {
	if !isTerminal(f) {
		return func() {}
	}
	stop, ended := make(chan struct{}), make(chan struct{}) // closed by done, and by the goroutine
	go func() {
		defer close(ended)
		tick := time.NewTicker(silent)
		defer tick.Stop()
		for seconds := 1; ; seconds++ {
			select {
			case <-tick.C:
				fmt.Fprintf(f, "%s%s%s (%d s)%s", restart, dontWrap, what, seconds, wrap)
			case <-stop:
				if seconds > 1 {
					fmt.Fprint(f, restart)
				}
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(stop)
		<-ended
	})
}
