// Package roomname says what the name of a room may be.
package roomname

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Check reports what is wrong with a name that may have limit bytes.
func Check(name string, limit int) error {
	switch {
	case name == "":
		return fmt.Errorf("it is empty; give it 1 to %d bytes", limit)
	case len(name) > limit:
		return fmt.Errorf("it has %d bytes; give it at most %d", len(name), limit)
	case !utf8.ValidString(name):
		return fmt.Errorf("%q is not valid UTF-8", name)
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return fmt.Errorf("%q has the control character %U in it; leave it out", name, r)
		}
	}
	return nil
}
