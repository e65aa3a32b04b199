package bridge

import (
	"errors"
	"net/http"
	"strings"

	"github.com/roomcast/roomcast"
)

// client is a connection as its callbacks need it. Its entry is the value of its roomcast.Conn.
type client struct {
	conn *roomcast.Conn
	port *port
}

// errRejected is answered with 1008 "rejected".
var errRejected = errors.New("rejected by the connect callback")

// connect is roomcast.Handler.Connect.
func (b *Bridge) connect(c *roomcast.Conn, r *http.Request) error {
	v := r.Context().Value(visitKey{}).(*visit)
	req := &request{http: r}
	e, headers := b.conns.add(client{c, v.port}), b.requests.add(req)
	switch {
	case e == nil || headers == nil:
		return c.Close(roomcast.CloseTryLater, "too many connections")
	case v.port.stopping.Load(): // from here on Stop sees the entry
		b.conns.remove(e.handle)
		b.requests.remove(headers.handle)
		return c.Close(roomcast.CloseGoingAway, goingAway)
	}
	c.SetValue(e)
	v.announced = true
	defer req.end()
	defer b.requests.remove(headers.handle)
	if !v.port.callbacks.Connect(e.handle, validUTF8(c.Path()), headers.handle) {
		return errRejected
	}
	return nil
}

// message is roomcast.Handler.Message.
func (b *Bridge) message(c *roomcast.Conn, m roomcast.Message) {
	e := c.Value().(*entry[client])
	e.value.port.callbacks.Message(e.handle, m.Data)
}

// close is roomcast.Handler.Close.
func (b *Bridge) close(c *roomcast.Conn, code int, reason string) {
	e, announced := c.Value().(*entry[client])
	if !announced {
		return
	}
	defer e.value.port.leave()
	b.conns.remove(e.handle)
	e.value.port.callbacks.Close(e.handle, code, reason)
}

// validUTF8 replaces what is not UTF-8 by U+FFFD: C is promised that every string is.
func validUTF8(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
