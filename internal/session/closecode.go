// closecode.go: which close codes and reasons may be on the wire.

package session

import (
	"fmt"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// maxReason is what a control frame's 125 bytes leave beside the code (RFC 6455 sections 5.5 and 5.5.1).
const maxReason = ws.MaxControlFramePayloadSize - 2

// sendable reports whether an endpoint may put code in a Close frame (RFC 6455 section 7.4).
//
// gobwas' own check is not used: it knows nothing of 1012-1014, which IANA has registered since, and lets 5000 and more through.
func sendable(code int) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
		return true
	default:
		return code >= 3000 && code <= 4999 // libraries (registered) and applications (private)
	}
}

// CheckClose says why an endpoint may not send this code and reason in a Close frame, nil if it may (RFC 6455 sections 5.5.1
// and 7.4). Codes: 1000-1003 and 1007-1014 (defined or registered with IANA) and 3000-4999. Reason: UTF-8, at most 123 bytes.
func CheckClose(code int, reason string) error {
	switch {
	case !sendable(code):
		return fmt.Errorf("close code %d must not be sent: use 1000-1003, 1007-1014, or 3000-4999 for codes of your own", code)
	case len(reason) > maxReason:
		return fmt.Errorf("close reason of %d bytes is too long: shorten it to at most %d bytes", len(reason), maxReason)
	case !utf8.ValidString(reason):
		return fmt.Errorf("close reason %q is not valid UTF-8: pass it through strings.ToValidUTF8 first", reason)
	}
	return nil
}
