// Package pattern matches names of rooms: in the claims of tokens, in policies, in lists of the HTTP API.
//
//   - * stands for any characters, also none, but not for a slash
//   - ** stands for any characters, slashes too
//   - \ takes the next character as it is
//   - everything else stands for itself
//
// A pattern fits a whole name or not at all. Case counts, and characters are bytes: nothing is folded or normalised, so that two names
// are the same here exactly when they are the same room.
//
// Who writes a pattern and who chooses a name need not be friends: a match takes at most the length of the one times the length of the
// other in steps, whatever is in them, because all ways to match are followed at once instead of one after the other.
package pattern

import (
	"fmt"
	"math/bits"
	"strings"
)

// MaxBytes is how long a pattern may be.
const MaxBytes = 512

// Pattern is a compiled pattern, safe from anywhere. Its zero value matches the empty name alone.
type Pattern struct {
	text   string
	tokens []token
}

// token is a byte that stands for itself, or one of these.
type token uint16

const (
	star     token = 256 + iota // any bytes but a slash
	starstar                    // any bytes
)

// Compile reads a pattern. Its errors quote the pattern, so that they can be logged.
func Compile(s string) (Pattern, error) {
	if s == "" {
		return Pattern{}, fmt.Errorf(`pattern "": it matches no room; write ** for all rooms`)
	}
	if len(s) > MaxBytes {
		return Pattern{}, fmt.Errorf("pattern %q…: %d bytes are too many; write at most %d", s[:32], len(s), MaxBytes)
	}
	tokens := make([]token, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '*':
			stars := len(s[i:]) - len(strings.TrimLeft(s[i:], "*"))
			tokens = append(tokens, star+token(min(stars, 2)-1)) // three say no more than two
			i += stars - 1
		case s[i] != '\\':
			tokens = append(tokens, token(s[i]))
		case i+1 == len(s):
			return Pattern{}, fmt.Errorf(`pattern %q: nothing follows the last \; write \\ for a backslash`, s)
		default:
			i++
			tokens = append(tokens, token(s[i]))
		}
	}
	return Pattern{text: s, tokens: tokens}, nil
}

// String is the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Match reports whether the pattern fits the name.
func (p Pattern) Match(name string) bool {
	// What precedes the first star has one way to match: most names that do not fit are known by it.
	tokens := p.tokens
	for len(tokens) > 0 && tokens[0] < star {
		if name == "" || token(name[0]) != tokens[0] {
			return false
		}
		tokens, name = tokens[1:], name[1:]
	}
	switch {
	case len(tokens) == 0:
		return name == ""
	case len(tokens) == 1: // chat/* and news.**: most patterns there are
		return tokens[0] == starstar || !strings.Contains(name, "/")
	}
	return follow(tokens, name)
}

// places is a set of places in a pattern: i stands for "the first i tokens have matched what was read".
type places [MaxBytes/64 + 1]uint64

// follow reads the name once, keeping the set of all places at which the pattern may be.
func follow(tokens []token, name string) bool {
	words := len(tokens)/64 + 1
	var now places
	now.enter(tokens, 0)
	for i := range len(name) {
		var next places
		alive := false
		for w := range words {
			for set := now[w]; set != 0; set &= set - 1 {
				place := w*64 + bits.TrailingZeros64(set)
				if place == len(tokens) {
					continue // it was at its end and the name goes on
				}
				switch t := tokens[place]; {
				case t == starstar, t == star && name[i] != '/':
					next.enter(tokens, place)
					alive = true
				case t == token(name[i]):
					next.enter(tokens, place+1)
					alive = true
				}
			}
		}
		if !alive {
			return false
		}
		now = next
	}
	return now[len(tokens)/64]>>(len(tokens)%64)&1 != 0
}

// enter adds a place, and the one behind it if a star that may stand for nothing is there. Two stars are never side by side.
func (s *places) enter(tokens []token, place int) {
	s[place/64] |= 1 << (place % 64)
	if place < len(tokens) && tokens[place] >= star {
		s[(place+1)/64] |= 1 << ((place + 1) % 64)
	}
}
