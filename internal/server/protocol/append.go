package protocol

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// appendMember adds ,"name":"value" unless the value is empty. Names are our own and need no escaping.
func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(appendName(dst, name), value)
}

// appendCount adds ,"name":n unless n is 0, which stands for "none": no limit, no delay.
func appendCount(dst []byte, name string, n int) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendInt(appendName(dst, name), int64(n), 10)
}

// appendMillis is appendCount in milliseconds, rounded up so that nobody comes too early.
func appendMillis(dst []byte, name string, d time.Duration) []byte {
	return appendCount(dst, name, int((d+time.Millisecond-1)/time.Millisecond))
}

// appendID adds the caller's id as it came, if there is one.
func appendID(dst, id []byte) []byte {
	if id == nil {
		return dst
	}
	return append(appendName(dst, "id"), id...)
}

func appendName(dst []byte, name string) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	return append(dst, `":`...)
}

const hex = "0123456789abcdef"

// appendString adds s as a JSON string. Besides what JSON asks for it escapes U+2028 and U+2029, which end a line in older
// JavaScript; what is not UTF-8 becomes U+FFFD, as no text frame may carry it.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0 // what is before it has been added
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < ' ' || c == '"' || c == '\\' {
				dst = appendEscape(append(dst, s[from:i]...), c)
				from = i + 1
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[from:i]...), "\uFFFD"...)
			from = i + size
		case r == '\u2028', r == '\u2029':
			dst = append(append(dst, s[from:i]...), `\u202`...)
			dst = append(dst, hex[r&0xF])
			from = i + size
		}
		i += size
	}
	return append(append(dst, s[from:]...), '"')
}

// appendEscape adds a quote, a backslash or a control character.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	default:
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xF])
	}
}
