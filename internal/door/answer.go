package door

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/roomcast/roomcast/internal/netloop"
)

// answer is the http.ResponseWriter of a plain upgrade request: it collects the answer of a handler that does not upgrade it.
type answer struct {
	visitor  *visitor
	header   http.Header
	status   int
	body     bytes.Buffer
	taken    bool // by Take or by Hijack
	returned bool // the handler has returned
}

// Take gives the connection behind w to peer, if it has come in through a Door, and returns its link, which peer starts, and what has
// been read from it beyond the request. w is of no use afterwards. If ok is false the connection is had by Hijack only.
func Take(w http.ResponseWriter, peer netloop.Peer) (link netloop.Link, rest []byte, ok bool) {
	a, ok := unwrap(w).(*answer)
	if !ok {
		return nil, nil, false
	}
	a.visitor.link.Hand(peer)
	a.taken = true
	a.visitor.settle(a.visitor.leave)
	return a.visitor.link, a.visitor.rest, true
}

// unwrap returns the ResponseWriter inside those of middleware, as http.ResponseController finds it.
func unwrap(w http.ResponseWriter) http.ResponseWriter {
	for {
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = inner.Unwrap()
	}
}

// Header is http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader is http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 { // the others come before an answer, and are none
		a.status = status
	}
}

// Write is http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// Hijack is http.Hijacker, for handlers that upgrade in their own way.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, err := a.visitor.link.Conn(a.visitor.rest)
	a.visitor.settle(a.visitor.leave)
	a.taken = true // also if there is no descriptor for it: then it has been closed
	if err != nil {
		return nil, nil, err
	}
	return conn, bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)), nil
}

// send sends what the handler has answered, unless the connection has been taken.
func (a *answer) send() {
	if !a.returned {
		if p := recover(); p != nil && p != http.ErrAbortHandler { // nil: runtime.Goexit
			a.visitor.door.cfg.Logger.Error("handler panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}
	if a.taken {
		return
	}
	defer a.visitor.settle(func() { a.visitor.answering = false })
	if !a.returned {
		a.visitor.link.Abort()
		return
	}
	a.WriteHeader(http.StatusOK)
	if a.header.Get("Connection") != "" {
		a.header.Set("Connection", a.header.Get("Connection")+", close")
	} else {
		a.header.Set("Connection", "close")
	}
	if a.header.Get("Content-Type") == "" && a.body.Len() > 0 {
		a.header.Set("Content-Type", http.DetectContentType(a.body.Bytes()))
	}
	a.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	a.header.Set("Content-Length", fmt.Sprint(a.body.Len()))
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %03d %s\r\n", a.status, http.StatusText(a.status))
	_ = a.header.Write(&b) // to memory: it cannot fail
	b.WriteString("\r\n")
	b.Write(a.body.Bytes())
	a.visitor.reply(b.Bytes())
	a.visitor.link.Finish(a.visitor.door.cfg.CloseTimeout)
}
