// utf8.go: whether text is UTF-8, when it comes in pieces that may end within a rune (RFC 6455 section 8.1).

package session

import (
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// runeChecker remembers the incomplete rune at the end of what it has seen. The zero value has seen nothing.
type runeChecker struct {
	rune [utf8.UTFMax]byte
	n    uint8 // bytes of rune that are there; never a whole rune between two calls
}

// next reports whether p can be what follows: false at the first byte that no continuation can make valid.
func (c *runeChecker) next(p []byte) bool {
	for c.n > 0 && len(p) > 0 {
		c.rune[c.n] = p[0]
		c.n++
		p = p[1:]
		// FullRune is true for what can no longer become a rune, too; Valid tells the two apart.
		if started := c.rune[:c.n]; utf8.FullRune(started) {
			if !utf8.Valid(started) {
				return false
			}
			c.n = 0
		}
	}
	whole := len(p) - incomplete(p)
	if !utf8.Valid(p[:whole]) {
		return false
	}
	if whole < len(p) {
		c.n = uint8(copy(c.rune[:], p[whole:]))
	}
	return true
}

// complete reports whether the text may end here.
func (c *runeChecker) complete() bool { return c.n == 0 }

// incomplete counts the bytes at the end of p that begin a rune and do not finish it.
func incomplete(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if last := p[len(p)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}

func notUTF8() *Error {
	return violation(ws.StatusInvalidFramePayloadData, "text message is not valid UTF-8")
}
