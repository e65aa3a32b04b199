// offer.go: the negotiation of permessage-deflate: what a client offers and what a server answers (RFC 7692 section 7.1).

package session

import (
	"fmt"
	"strings"
)

// deflateAnswer is what every offer is accepted with: no context takeover on either side (RFC 7692 section 7.1.1), so that one
// compressed message serves many connections and none keeps a window between messages.
const deflateAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// AcceptDeflate answers the offers of a client: the values of its Sec-WebSocket-Extensions headers. It returns the value of the
// same header for the answer, which accepts the first offer of permessage-deflate that can be kept (RFC 7692 section 5.1), or ""
// if there is none. The error is about a header that is not well-formed (RFC 6455 section 9.1).
func AcceptDeflate(headers []string) (answer string, err error) {
	for _, header := range headers {
		s := offerScanner{header}
		for s.skip(); s.rest != ""; s.skip() {
			if s.take(',') {
				continue // a list may have empty elements (RFC 9110 section 5.6.1)
			}
			o, ok := s.offer()
			if s.skip(); !ok || s.rest != "" && !s.take(',') {
				return "", fmt.Errorf("the Sec-WebSocket-Extensions %.100q is malformed at %.20q", header, s.rest)
			}
			if answer == "" {
				answer = o.answer()
			}
		}
	}
	return answer, nil
}

// offer is one element of the header.
type offer struct {
	name   string
	params []offerParam
}

type offerParam struct {
	name   string
	value  string
	valued bool // there was a value
}

// answer accepts the offer, or declines it with "": an offer of something else, with an unknown, doubled or invalid parameter, or
// with a window that cannot be had (RFC 7692 section 7.1).
func (o offer) answer() string {
	if o.name != "permessage-deflate" {
		return ""
	}
	answer, seen := deflateAnswer, map[string]bool{}
	for _, p := range o.params {
		valid := false
		switch p.name {
		case "server_no_context_takeover", "client_no_context_takeover":
			valid = !p.valued
		case "client_max_window_bits": // a hint: any window can be inflated (section 7.1.2.2)
			valid = !p.valued || windowBits(p.value)
		case "server_max_window_bits": // an order: the compressor has this window alone (section 7.1.2.1)
			valid = p.value == "15"
			answer += "; server_max_window_bits=15"
		}
		if !valid || seen[p.name] {
			return ""
		}
		seen[p.name] = true
	}
	return answer
}

// windowBits reports whether s is a number from 8 to 15 without a leading zero.
func windowBits(s string) bool {
	switch s {
	case "8", "9", "10", "11", "12", "13", "14", "15":
		return true
	}
	return false
}

// offerScanner reads a header by the grammar of RFC 6455 section 9.1.
type offerScanner struct{ rest string }

// skip leaves out white space.
func (s *offerScanner) skip() { s.rest = strings.TrimLeft(s.rest, " \t") }

// take takes c, if it is next.
func (s *offerScanner) take(c byte) bool {
	s.skip()
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// offer takes a name and its parameters.
func (s *offerScanner) offer() (o offer, ok bool) {
	if o.name, ok = s.token(); !ok {
		return o, false
	}
	for s.take(';') {
		var p offerParam
		if p.name, ok = s.token(); !ok {
			return o, false
		}
		if p.valued = s.take('='); p.valued {
			if p.value, ok = s.value(); !ok {
				return o, false
			}
		}
		o.params = append(o.params, p)
	}
	return o, true
}

// token takes a token (RFC 9110 section 5.6.2).
func (s *offerScanner) token() (string, bool) {
	s.skip()
	n := 0
	for n < len(s.rest) && tokenByte(s.rest[n]) {
		n++
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token, n > 0
}

// value takes a token or a quoted string (RFC 9110 section 5.6.4), which must be a token when the quotes are off.
func (s *offerScanner) value() (string, bool) {
	if !s.take('"') {
		return s.token()
	}
	var value strings.Builder
	for i := 0; i < len(s.rest); i++ {
		c := s.rest[i]
		if c == '"' {
			s.rest = s.rest[i+1:]
			return value.String(), value.Len() > 0
		}
		if c == '\\' && i+1 < len(s.rest) {
			i++
			c = s.rest[i]
		}
		if !tokenByte(c) {
			return "", false
		}
		value.WriteByte(c)
	}
	return "", false
}

// IsToken reports whether s is a token (RFC 9110 section 5.6.2).
func IsToken(s string) bool {
	for i := range len(s) {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func tokenByte(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) < 0
}
