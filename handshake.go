package roomcast

import (
	"crypto/sha1"
	"encoding/base64"
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
	if refused := s.checkUpgrade(r); refused != nil {
		refused.answer(w)
		return
	}
	extensions, refused := s.chooseExtensions(r.Header)
	if refused != nil {
		refused.answer(w)
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
		refuse(http.StatusServiceUnavailable, "the server is shutting down; connect again later").answer(w)
		return
	}
	head, err := c.takeOver(w)
	if err != nil {
		s.forget(c)
		refuse(http.StatusInternalServerError, fmt.Sprintf("the connection cannot be upgraded: %v; serve it over HTTP/1.1", err)).answer(w)
		return
	}
	s.stats.accepted.Add(1)
	defer c.start(switchingProtocols(r.Header.Get("Sec-Websocket-Key"), c.Subprotocol(), extensions), head) // also if Connect does not return
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

// switchingProtocols is the answer that ends the handshake (RFC 6455, section 4.2.2).
func switchingProtocols(key, subprotocol, extensions string) []byte {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	if subprotocol != "" {
		answer += "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
	}
	if extensions != "" {
		answer += "Sec-WebSocket-Extensions: " + extensions + "\r\n"
	}
	return []byte(answer + "\r\n")
}

// refusal is an upgrade that is answered in HTTP instead.
type refusal struct {
	status int
	text   string
	header map[string]string
}

func refuse(status int, text string) *refusal { return &refusal{status: status, text: text} }

func (f *refusal) answer(w http.ResponseWriter) {
	for name, value := range f.header {
		w.Header().Set(name, value)
	}
	http.Error(w, f.text, f.status)
}

// upgradeRequired is the refusal that says how to ask (RFC 6455, section 4.4; RFC 9110, section 15.5.22).
func upgradeRequired(text string) *refusal {
	return &refusal{http.StatusUpgradeRequired, text,
		map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}}
}

// checkUpgrade reports why a request cannot be upgraded (RFC 6455, section 4.2.1), or nil.
func (s *Server) checkUpgrade(r *http.Request) *refusal {
	h := r.Header
	keys := h.Values("Sec-Websocket-Key")
	switch {
	case r.Method != http.MethodGet:
		return &refusal{http.StatusMethodNotAllowed, "a WebSocket upgrade is a GET request, not " + r.Method, map[string]string{"Allow": "GET"}}
	case !session.HasToken(h["Upgrade"], "websocket"):
		return upgradeRequired("this is a WebSocket endpoint: the request has no \"Upgrade: websocket\" header")
	case !r.ProtoAtLeast(1, 1):
		return refuse(http.StatusBadRequest, "a WebSocket upgrade needs HTTP/1.1, not "+r.Proto)
	case !session.HasToken(h["Connection"], "upgrade"):
		return refuse(http.StatusBadRequest, "the request has no \"Connection: Upgrade\" header; a proxy may have removed it")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return refuse(http.StatusBadRequest, "a WebSocket upgrade has no body")
	case h.Get("Sec-Websocket-Version") != "13" || len(h["Sec-Websocket-Version"]) != 1:
		return upgradeRequired(fmt.Sprintf("Sec-WebSocket-Version is %q; this server speaks 13", h["Sec-Websocket-Version"]))
	case len(keys) != 1 || !isKey(keys[0]):
		return refuse(http.StatusBadRequest, fmt.Sprintf("Sec-WebSocket-Key is %q; send one key, 16 random bytes in base64", keys))
	case !session.OriginAllowed(r, *s.origins.Load()):
		return refuse(http.StatusForbidden, fmt.Sprintf("the origin %q may not connect to %q: it is not among the allowed origins of the server",
			h.Get("Origin"), r.Host))
	}
	return nil
}

// isKey reports whether a key is 16 bytes in base64.
func isKey(key string) bool {
	nonce, err := base64.StdEncoding.Strict().DecodeString(key)
	return err == nil && len(nonce) == 16
}

// SetAllowedOrigins replaces Options.AllowedOrigins: for every request that comes from now on. Who is connected stays.
func (s *Server) SetAllowedOrigins(patterns []string) error {
	if err := session.CheckOrigins(patterns); err != nil {
		return fmt.Errorf("roomcast: AllowedOrigins has %w", err)
	}
	s.origins.Store(new(slices.Clone(patterns)))
	return nil
}

// chooseSubprotocol returns the place, from 1, of the first of the client's subprotocols that the server speaks, or 0 (RFC 6455,
// section 4.2.2).
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
func (s *Server) chooseExtensions(h http.Header) (string, *refusal) {
	if s.opts.Compression == CompressionOff {
		return "", nil
	}
	answer, err := session.AcceptDeflate(h["Sec-Websocket-Extensions"])
	if err != nil {
		return "", refuse(http.StatusBadRequest, err.Error())
	}
	return answer, nil
}
