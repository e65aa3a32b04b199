package roomcast

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/door"
	"github.com/roomcast/roomcast/internal/session"
)

// ServeHTTP upgrades the request to WebSocket (RFC 6455, section 4.2) and runs the Connect callback. What is no proper upgrade
// request is answered in HTTP: 400, 403 for a foreign origin, 405, 426 with the version, 503 while shutting down. ServeHTTP
// returns when the connection is up; the context of the request ends with it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if refused := door.CheckUpgrade(r, *s.origins.Load()); refused != nil {
		refused.Answer(w)
		return
	}
	extensions, refused := s.chooseExtensions(r.Header)
	if refused != nil {
		refused.Answer(w)
		return
	}
	c := &Conn{
		srv:         s,
		id:          s.nextID.Add(1),
		remoteAddr:  r.RemoteAddr,
		path:        strings.Clone(r.URL.Path),
		subprotocol: s.chooseSubprotocol(r.Header),
		traffic:     traffic{since: time.Since(s.stats.start)},
	}
	c.reader.Deflate = extensions != "" // there is no other
	c.out.writing = true                // nobody is woken before the link starts
	c.left.Store(2)
	if !s.remember(c) {
		door.Refuse(http.StatusServiceUnavailable, "the server is shutting down; connect again later").Answer(w)
		return
	}
	head, err := c.takeOver(w)
	if err != nil {
		s.forget(c)
		door.Refuse(http.StatusInternalServerError, fmt.Sprintf("the connection cannot be upgraded: %v; serve it over HTTP/1.1", err)).Answer(w)
		return
	}
	s.stats.accepted.Add(1)
	defer c.start(door.SwitchingProtocols(r.Header.Get("Sec-Websocket-Key"), c.Subprotocol(), extensions), head) // also if Connect does not return
	c.connect(r)
}

// takeOver makes the connection behind w that of c, and returns what has been read from it beyond the request.
func (c *Conn) takeOver(w http.ResponseWriter) (head []byte, err error) {
	if link, rest, ok := door.Take(w, c); ok {
		c.link = link
		return rest, nil
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	c.link = c.srv.loops.New(conn, c)
	head = make([]byte, rw.Reader.Buffered())
	_, _ = io.ReadFull(rw.Reader, head) // from memory: it cannot fail
	return head, nil
}

// connect runs the Connect callback. It counts as the connection's actor, since nothing has been read yet.
func (c *Conn) connect(r *http.Request) {
	if c.srv.handler.Connect == nil {
		return
	}
	c.guard("Connect", func() {
		if err := c.srv.handler.Connect(c, r); err != nil {
			c.srv.opts.Logger.Debug("connection rejected", "conn", c.ID(), "remote", c.remoteAddr, "error", err)
			c.shut(ending{ClosePolicy, "rejected", EndRejected})
		}
	})
}

// SetAllowedOrigins replaces Options.AllowedOrigins: for every request that comes from now on. Who is connected stays.
func (s *Server) SetAllowedOrigins(patterns []string) error {
	if err := session.CheckOrigins(patterns); err != nil {
		return fmt.Errorf("roomcast: AllowedOrigins has %w", err)
	}
	s.origins.Store(new(slices.Clone(patterns)))
	return nil
}

// chooseSubprotocol returns the place, from 1, of the first of the client's subprotocols that the server speaks, or 0 (RFC 6455, section 4.2.2).
func (s *Server) chooseSubprotocol(h http.Header) uint8 {
	for name := range session.Tokens(h["Sec-Websocket-Protocol"]) {
		if i := slices.Index(s.opts.Subprotocols, name); i >= 0 {
			return uint8(i + 1) // Validate allows no more
		}
	}
	return 0
}

// chooseExtensions returns what is answered to the extensions the client offers (RFC 6455, section 9.1): compression, if
// Options.Compression allows it and the client offers it in a way that can be had, or "".
func (s *Server) chooseExtensions(h http.Header) (string, *door.Refusal) {
	if s.opts.Compression == CompressionOff {
		return "", nil
	}
	answer, err := session.AcceptDeflate(h["Sec-Websocket-Extensions"])
	if err != nil {
		return "", door.Refuse(http.StatusBadRequest, err.Error())
	}
	return answer, nil
}
