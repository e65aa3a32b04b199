package protocol

// The scanner reads JSON (RFC 8259) in one pass: it checks the grammar, bounds the depth and finds the members of the outermost
// object. A function that reads something is given the index at which it begins and returns the one behind it, or one of these.
const (
	invalid = -1 // it is not JSON
	tooDeep = -2 // it is nested deeper than MaxDepth; what follows was not looked at
)

// members calls visit with each member of the one object that p is, in order: its name, without quotes but with escapes as they
// stand, and its value as it stands. It returns invalid if p is something else, as late as at its end.
func members(p []byte, visit func(name, value []byte)) int {
	i := space(p, 0)
	if at(p, i) != '{' {
		return invalid
	}
	if i = object(p, i, 1, visit); i < 0 {
		return i
	}
	if i = space(p, i); i < len(p) {
		return invalid
	}
	return i
}

// object reads an object that is the depth-th around its members. A nil visit wants to hear nothing.
func object(p []byte, i, depth int, visit func(name, value []byte)) int {
	if depth > MaxDepth {
		return tooDeep
	}
	if i = space(p, i+1); at(p, i) == '}' {
		return i + 1
	}
	for {
		name := i
		if i = str(p, i); i < 0 {
			return i
		}
		nameEnd := i
		if i = space(p, i); at(p, i) != ':' {
			return invalid
		}
		start := space(p, i+1)
		if i = value(p, start, depth); i < 0 {
			return i
		}
		if visit != nil {
			visit(p[name+1:nameEnd-1], p[start:i:i])
		}
		switch i = space(p, i); at(p, i) {
		case ',':
			i = space(p, i+1)
		case '}':
			return i + 1
		default:
			return invalid
		}
	}
}

// array reads an array that is the depth-th around its elements. A nil visit wants to hear nothing.
func array(p []byte, i, depth int, visit func(value []byte)) int {
	if depth > MaxDepth {
		return tooDeep
	}
	if i = space(p, i+1); at(p, i) == ']' {
		return i + 1
	}
	for {
		start := i
		if i = value(p, i, depth); i < 0 {
			return i
		}
		if visit != nil {
			visit(p[start:i:i])
		}
		switch i = space(p, i); at(p, i) {
		case ',':
			i = space(p, i+1)
		case ']':
			return i + 1
		default:
			return invalid
		}
	}
}

// value reads any value that has depth objects and arrays around it.
func value(p []byte, i, depth int) int {
	switch at(p, i) {
	case '"':
		return str(p, i)
	case '{':
		return object(p, i, depth+1, nil)
	case '[':
		return array(p, i, depth+1, nil)
	case 't':
		return literal(p, i, "true")
	case 'f':
		return literal(p, i, "false")
	case 'n':
		return literal(p, i, "null")
	default:
		return number(p, i)
	}
}

func literal(p []byte, i int, word string) int {
	if end := i + len(word); end <= len(p) && string(p[i:end]) == word {
		return end
	}
	return invalid
}

// str reads a string with its quotes. Whether it is UTF-8 is checked for the whole frame.
func str(p []byte, i int) int {
	if at(p, i) != '"' {
		return invalid
	}
	for i++; i < len(p); i++ {
		switch c := p[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return invalid
		case c == '\\':
			if i = escape(p, i+1); i < 0 {
				return i
			}
		}
	}
	return invalid
}

// escape reads what is behind a backslash and returns the index of its last byte.
func escape(p []byte, i int) int {
	switch at(p, i) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i
	case 'u':
		for j := 1; j <= 4; j++ {
			if c := at(p, i+j); (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return invalid
			}
		}
		return i + 4
	default:
		return invalid
	}
}

func number(p []byte, i int) int {
	if at(p, i) == '-' {
		i++
	}
	if at(p, i) == '0' {
		i++
	} else if i = digits(p, i); i < 0 {
		return i
	}
	if at(p, i) == '.' {
		if i = digits(p, i+1); i < 0 {
			return i
		}
	}
	if at(p, i)|0x20 == 'e' {
		i++
		if c := at(p, i); c == '+' || c == '-' {
			i++
		}
		i = digits(p, i)
	}
	return i
}

// digits reads one digit or more.
func digits(p []byte, i int) int {
	start := i
	for at(p, i) >= '0' && at(p, i) <= '9' {
		i++
	}
	if i == start {
		return invalid
	}
	return i
}

// space returns the index behind the white space at i, if there is any.
func space(p []byte, i int) int {
	for i < len(p) && (p[i] == ' ' || p[i] == '\n' || p[i] == '\r' || p[i] == '\t') {
		i++
	}
	return i
}

// at is the byte at i. Behind the end it is 0, which nothing in JSON begins with.
func at(p []byte, i int) byte {
	if i < len(p) {
		return p[i]
	}
	return 0
}
