package roomcast

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

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
	if a, ok := unwrap(w).(*answer); ok {
		c.link = a.visitor.link
		a.visitor.link.Hand(c)
		a.taken = true
		a.visitor.settle(a.visitor.leave)
		return a.visitor.rest, nil
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
	case !hasToken(h["Upgrade"], "websocket"):
		return upgradeRequired("this is a WebSocket endpoint: the request has no \"Upgrade: websocket\" header")
	case !r.ProtoAtLeast(1, 1):
		return refuse(http.StatusBadRequest, "a WebSocket upgrade needs HTTP/1.1, not "+r.Proto)
	case !hasToken(h["Connection"], "upgrade"):
		return refuse(http.StatusBadRequest, "the request has no \"Connection: Upgrade\" header; a proxy may have removed it")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return refuse(http.StatusBadRequest, "a WebSocket upgrade has no body")
	case h.Get("Sec-Websocket-Version") != "13" || len(h["Sec-Websocket-Version"]) != 1:
		return upgradeRequired(fmt.Sprintf("Sec-WebSocket-Version is %q; this server speaks 13", h["Sec-Websocket-Version"]))
	case len(keys) != 1 || !isKey(keys[0]):
		return refuse(http.StatusBadRequest, fmt.Sprintf("Sec-WebSocket-Key is %q; send one key, 16 random bytes in base64", keys))
	case !s.originAllowed(r):
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

// originAllowed reports whether the request comes from no browser, from the host itself, or from an origin of
// Options.AllowedOrigins (RFC 6455, section 10.2; RFC 6454).
func (s *Server) originAllowed(r *http.Request) bool {
	values := r.Header["Origin"]
	if len(values) == 0 {
		return true
	}
	if len(values) > 1 {
		return false
	}
	origin := strings.ToLower(values[0])
	if u, err := url.Parse(origin); err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) {
		return true
	}
	_, host, _ := strings.Cut(origin, "://")
	return slices.ContainsFunc(s.opts.AllowedOrigins, func(pattern string) bool {
		pattern = strings.ToLower(pattern)
		subject := host
		if pattern == "*" {
			return true
		}
		if strings.Contains(pattern, "://") {
			subject = origin
		}
		matched, _ := path.Match(pattern, subject) // Validate has checked the pattern
		return matched
	})
}

// chooseSubprotocol returns the place, from 1, of the first of the client's subprotocols that the server speaks, or 0 (RFC 6455,
// section 4.2.2).
func (s *Server) chooseSubprotocol(h http.Header) uint8 {
	for name := range tokens(h["Sec-Websocket-Protocol"]) {
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

// hasToken reports whether a list-valued header has the token, whatever its case.
func hasToken(values []string, token string) bool {
	for t := range tokens(values) {
		if strings.EqualFold(t, token) {
			return true
		}
	}
	return false
}

// tokens yields the elements of a list-valued header (RFC 9110, section 5.6.1).
func tokens(values []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, value := range values {
			for element := range strings.SplitSeq(value, ",") {
				if element = strings.TrimSpace(element); element != "" && !yield(element) {
					return
				}
			}
		}
	}
}

// readPlainUpgrade reads the head of a request as http.ReadRequest does, if it is an upgrade request with nothing unusual about it, and
// returns nil otherwise: what is dubious is left to net/http, which knows all there is to be known. It takes a fifth of the time.
func readPlainUpgrade(head []byte) *http.Request {
	line, fields, _ := strings.Cut(string(head), "\r\n")
	target, isGet := strings.CutPrefix(line, "GET ")
	target, isHTTP11 := strings.CutSuffix(target, " HTTP/1.1")
	if !isGet || !isHTTP11 || !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || !allOf(target, inTarget) {
		return nil
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil
	}
	r := &http.Request{Method: http.MethodGet, URL: u, RequestURI: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody}
	if r.Header, r.Host = readPlainFields(fields); r.Header["Upgrade"] == nil {
		return nil
	}
	return r
}

// readPlainFields reads the header of a request but for its one Host, and returns nothing if there is anything unusual in it.
func readPlainFields(fields string) (header http.Header, host string) {
	count := strings.Count(fields, "\r\n")
	header = make(http.Header, count)
	values := make([]string, 0, count) // of all fields, so that each needs no slice of its own
	hosts := 0
	for {
		line, rest, _ := strings.Cut(fields, "\r\n")
		if fields = rest; line == "" {
			break
		}
		name, value, found := strings.Cut(line, ":")
		if !found || name == "" || !allOf(name, inName) || !allOf(value, inValue) {
			return nil, ""
		}
		name, value = canonicalName(name), strings.TrimSpace(value)
		switch name {
		case "Host":
			if !allOf(value, inHost) {
				return nil, ""
			}
			host, hosts = value, hosts+1
			continue
		case "Content-Length", "Transfer-Encoding", "Expect", "Trailer", "Pragma":
			return nil, ""
		}
		if header[name] != nil {
			header[name] = append(header[name], value)
			continue
		}
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if host == "" || hosts != 1 || len(header["Upgrade"]) != 1 || hasToken(header["Connection"], "close") {
		return nil, ""
	}
	return header, host
}

// canonicalName is http.CanonicalHeaderKey, without its cost for the names that every client sends.
func canonicalName(name string) string {
	if canonical, ok := upgradeNames[name]; ok {
		return canonical
	}
	return http.CanonicalHeaderKey(name)
}

var upgradeNames = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{"Host", "Upgrade", "Connection", "Origin", "User-Agent", "Sec-WebSocket-Key", "Sec-WebSocket-Version",
		"Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"} {
		names[name] = http.CanonicalHeaderKey(name)
		names[strings.ToLower(name)] = names[name]
		names[names[name]] = names[name]
	}
	return names
}()

// What is usual in the head of an upgrade request, by byte.
const (
	inValue uint8 = 1 << iota
	inName        // RFC 9110, section 5.6.2
	inHost
	inTarget
)

var usual = func() (classes [256]uint8) {
	for c := byte(' '); c < 0x7f; c++ {
		classes[c] = inValue
		if c != ' ' {
			classes[c] |= inTarget
		}
		if session.IsToken(string(c)) {
			classes[c] |= inName
		}
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte("-._:[]", c) >= 0 {
			classes[c] |= inHost
		}
	}
	return classes
}()

// allOf reports whether all bytes of s are of the class.
func allOf(s string, class uint8) bool {
	for i := range len(s) {
		if usual[s[i]]&class == 0 {
			return false
		}
	}
	return true
}
