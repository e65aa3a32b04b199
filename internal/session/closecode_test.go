// closecode_test.go: RFC 6455 section 7.4, for what is about to be sent.

package session

import (
	"strconv"
	"strings"
	"testing"
)

func TestCheckCloseCodes(t *testing.T) {
	for code := -2; code < 70000; code++ {
		want := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
		err := CheckClose(code, "")
		if (err == nil) != want {
			t.Fatalf("CheckClose(%d) = %v, want allowed = %v", code, err, want)
		}
		if err != nil && (!strings.Contains(err.Error(), strconv.Itoa(code)) || !strings.Contains(err.Error(), "3000-4999")) {
			t.Fatalf("CheckClose(%d) = %q, want the value and the remedy", code, err)
		}
	}
}

func TestCheckCloseReasons(t *testing.T) {
	for _, c := range []struct {
		reason string
		err    string // "" for none
	}{
		{"", ""},
		{strings.Repeat("x", 123), ""},
		{strings.Repeat("x", 124), "124 bytes is too long: shorten it to at most 123"},
		{strings.Repeat("é", 62), "124 bytes"},
		{"a\xffb", `"a\xffb" is not valid UTF-8: pass it through strings.ToValidUTF8`},
	} {
		switch err := CheckClose(1000, c.reason); {
		case c.err == "" && err != nil, c.err != "" && err == nil:
			t.Errorf("CheckClose(1000, %q) = %v, want error %q", c.reason, err, c.err)
		case err != nil && !strings.Contains(err.Error(), c.err):
			t.Errorf("CheckClose(1000, %q) = %q, want it to contain %q", c.reason, err, c.err)
		}
	}
}
