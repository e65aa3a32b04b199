package protocol

import "bytes"

// cursor walks over a JSON object that is known to be valid, so it looks for the ends of things and for no faults.
type cursor struct {
	rest    []byte
	deepest int // objects and arrays around the deepest value so far, the object itself included
}

// members calls visit with each member of the valid object p, in order: its name, without quotes but with escapes as they stand, and
// its value as it stands. It returns how deep the object is nested: 1 for one without objects and arrays in it.
func members(p []byte, visit func(name, value []byte)) (depth int) {
	c := cursor{rest: p, deepest: 1}
	c.space()
	c.rest = c.rest[1:] // {
	for c.space(); c.rest[0] != '}'; c.space() {
		if c.rest[0] == ',' {
			c.rest = c.rest[1:]
			c.space()
		}
		name := c.take(stringEnd(c.rest))
		c.space()
		c.rest = c.rest[1:] // :
		c.space()
		value := c.take(c.valueEnd())
		visit(name[1:len(name)-1], value)
	}
	return c.deepest
}

// space skips white space.
func (c *cursor) space() {
	for len(c.rest) > 0 && (c.rest[0] == ' ' || c.rest[0] == '\n' || c.rest[0] == '\r' || c.rest[0] == '\t') {
		c.rest = c.rest[1:]
	}
}

// take returns the next n bytes and moves past them.
func (c *cursor) take(n int) []byte {
	taken := c.rest[:n:n]
	c.rest = c.rest[n:]
	return taken
}

// valueEnd is the length of the value that begins here.
func (c *cursor) valueEnd() int {
	switch c.rest[0] {
	case '"':
		return stringEnd(c.rest)
	case '{', '[':
		return c.nestedEnd()
	default: // a number or a literal
		return bytes.IndexAny(c.rest, ",} \n\r\t")
	}
}

// nestedEnd is the length of the object or array that begins here.
func (c *cursor) nestedEnd() int {
	depth := 1 // the object around it
	for i := 0; ; i++ {
		switch c.rest[i] {
		case '"':
			i += stringEnd(c.rest[i:]) - 1
		case '{', '[':
			depth++
			c.deepest = max(c.deepest, depth)
		case '}', ']':
			if depth--; depth == 1 {
				return i + 1
			}
		}
	}
}

// stringEnd is the length of the string that p begins with, its quotes included.
func stringEnd(p []byte) int {
	for i := 1; ; i++ {
		switch p[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}
