package roomname

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A name has 1 to so many bytes of UTF-8 without control characters; what is wrong with another one is said.
func TestCheck(t *testing.T) {
	for name, want := range map[string]string{
		"a": "", strings.Repeat("ä", 5): "", "a/b c": "", "\u202e": "",
		"": "empty", "elevenbytes": "11 bytes; give it at most 10", "\xff": "UTF-8", "a\n": "U+000A", "\x01node": "U+0001", "\u0085": "U+0085",
	} {
		if err := Check(name, 10); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}
