package door

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/roomcast/roomcast/internal/session"
)

// SwitchingProtocols is the answer that ends the handshake (RFC 6455, section 4.2.2).
func SwitchingProtocols(key, subprotocol, extensions string) []byte {
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

// Refusal is an upgrade that is answered in HTTP instead.
type Refusal struct {
	status int
	text   string
	header map[string]string
}

// Refuse returns a refusal with this status and one line for people.
func Refuse(status int, text string) *Refusal { return &Refusal{status: status, text: text} }

// Answer answers the request.
func (f *Refusal) Answer(w http.ResponseWriter) {
	for name, value := range f.header {
		w.Header().Set(name, value)
	}
	http.Error(w, f.text, f.status)
}

// upgradeRequired is the refusal that says how to ask (RFC 6455, section 4.4; RFC 9110, section 15.5.22).
func upgradeRequired(text string) *Refusal {
	return &Refusal{http.StatusUpgradeRequired, text,
		map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}}
}

// CheckUpgrade reports why a request cannot be upgraded (RFC 6455, section 4.2.1), or nil. origins are the browser origins that may connect besides the host itself.
func CheckUpgrade(r *http.Request, origins []string) *Refusal {
	h := r.Header
	keys := h.Values("Sec-Websocket-Key")
	switch {
	case r.Method != http.MethodGet:
		return &Refusal{http.StatusMethodNotAllowed, "a WebSocket upgrade is a GET request, not " + r.Method, map[string]string{"Allow": "GET"}}
	case !session.HasToken(h["Upgrade"], "websocket"):
		return upgradeRequired("this is a WebSocket endpoint: the request has no \"Upgrade: websocket\" header")
	case !r.ProtoAtLeast(1, 1):
		return Refuse(http.StatusBadRequest, "a WebSocket upgrade needs HTTP/1.1, not "+r.Proto)
	case !session.HasToken(h["Connection"], "upgrade"):
		return Refuse(http.StatusBadRequest, "the request has no \"Connection: Upgrade\" header; a proxy may have removed it")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return Refuse(http.StatusBadRequest, "a WebSocket upgrade has no body")
	case h.Get("Sec-Websocket-Version") != "13" || len(h["Sec-Websocket-Version"]) != 1:
		return upgradeRequired(fmt.Sprintf("Sec-WebSocket-Version is %q; this server speaks 13", h["Sec-Websocket-Version"]))
	case len(keys) != 1 || !isKey(keys[0]):
		return Refuse(http.StatusBadRequest, fmt.Sprintf("Sec-WebSocket-Key is %q; send one key, 16 random bytes in base64", keys))
	case !session.OriginAllowed(r, origins):
		return Refuse(http.StatusForbidden, fmt.Sprintf("the origin %q may not connect to %q: it is not among the allowed origins of the server",
			h.Get("Origin"), r.Host))
	}
	return nil
}

// isKey reports whether a key is 16 bytes in base64.
func isKey(key string) bool {
	nonce, err := base64.StdEncoding.Strict().DecodeString(key)
	return err == nil && len(nonce) == 16
}
