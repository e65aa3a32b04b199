// offer_test.go: RFC 7692 section 7.1 as a table, and the grammar of the header.

package session

import (
	"strings"
	"testing"
)

const (
	agreed   = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	agreed15 = agreed + "; server_max_window_bits=15"
)

func TestRFC7692Negotiation(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers string // one per line
		want    string
	}{
		{"RFC 6455 §9.1 no header", "", ""},
		{"§7.1 the plain offer", "permessage-deflate", agreed},
		{"§5.1 another extension", "x-webkit-deflate-frame", ""},
		{"§5.1 a name that begins like it", "permessage-deflates", ""},
		{"§5.1 names have one case", "Permessage-Deflate", ""},
		{"§5.1 the second offer", "permessage-bzip2, permessage-deflate", agreed},
		{"§5.1 the second header", "permessage-bzip2\npermessage-deflate", agreed},
		{"§5.1 the first that can be kept", "permessage-deflate; server_max_window_bits=10, permessage-deflate; server_max_window_bits=15, permessage-deflate", agreed15},
		{"§5.1 none that can be kept", "permessage-deflate; server_max_window_bits=10, permessage-deflate; x", ""},
		{"§7.1 unknown parameter", "permessage-deflate; level=9", ""},
		{"§7.1 unknown parameter in the first", "permessage-deflate; level=9, permessage-deflate", agreed},
		{"§7.1 names of parameters have one case", "permessage-deflate; Client_Max_Window_Bits", ""},
		{"§7.1 a parameter twice", "permessage-deflate; client_max_window_bits; client_max_window_bits=10", ""},
		{"§7.1 a flag twice", "permessage-deflate; server_no_context_takeover; server_no_context_takeover", ""},
		{"§7.1 all parameters", "permessage-deflate; client_max_window_bits=8; server_max_window_bits=15; client_no_context_takeover; server_no_context_takeover", agreed15},
		{"§7.1.1.1 server_no_context_takeover", "permessage-deflate; server_no_context_takeover", agreed},
		{"§7.1.1.1 with a value", "permessage-deflate; server_no_context_takeover=1", ""},
		{"§7.1.1.2 client_no_context_takeover", "permessage-deflate; client_no_context_takeover", agreed},
		{"§7.1.1.2 with a value", "permessage-deflate; client_no_context_takeover=\"true\"", ""},
		{"§7.1.2.1 the largest window", "permessage-deflate; server_max_window_bits=15", agreed15},
		{"§7.1.2.1 quoted", "permessage-deflate; server_max_window_bits=\"15\"", agreed15},
		{"§7.1.2.1 quoted, with an escape", `permessage-deflate; server_max_window_bits="1\5"`, agreed15},
		{"§7.1.2.1 a window that cannot be had", "permessage-deflate; server_max_window_bits=14", ""},
		{"§7.1.2.1 the smallest window", "permessage-deflate; server_max_window_bits=8", ""},
		{"§7.1.2.1 without a value", "permessage-deflate; server_max_window_bits", ""},
		{"§7.1.2.1 too large", "permessage-deflate; server_max_window_bits=16", ""},
		{"§7.1.2.1 leading zero", "permessage-deflate; server_max_window_bits=015", ""},
		{"§7.1.2.2 without a value", "permessage-deflate; client_max_window_bits", agreed},
		{"§7.1.2.2 what browsers and npm ws offer", "permessage-deflate; client_max_window_bits", agreed},
		{"§7.1.2.2 the smallest window", "permessage-deflate; client_max_window_bits=8", agreed},
		{"§7.1.2.2 the largest window, quoted", "permessage-deflate; client_max_window_bits=\"15\"", agreed},
		{"§7.1.2.2 too small", "permessage-deflate; client_max_window_bits=7", ""},
		{"§7.1.2.2 too large", "permessage-deflate; client_max_window_bits=16", ""},
		{"§7.1.2.2 leading zero", "permessage-deflate; client_max_window_bits=08", ""},
		{"§7.1.2.2 no number", "permessage-deflate; client_max_window_bits=ten", ""},
		{"§7.1.2.2 a sign", "permessage-deflate; client_max_window_bits=+10", ""},
		{"RFC 6455 §9.1 no blanks", "a;b=c,permessage-deflate;client_max_window_bits=10", agreed},
		{"RFC 6455 §9.1 many blanks", " a ; b = \"c\" \t, \t permessage-deflate ; client_max_window_bits = 10 ", agreed},
		{"RFC 9110 §5.6.1 empty elements", ", ,permessage-deflate,,", agreed},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := AcceptDeflate(strings.Split(c.headers, "\n"))
			if err != nil || got != c.want {
				t.Errorf("%q: %q, %v; want %q", c.headers, got, err, c.want)
			}
		})
	}
	if got, err := AcceptDeflate(nil); got != "" || err != nil {
		t.Errorf("no header: %q, %v", got, err)
	}
}

// A header that is not well-formed fails the handshake, wherever in it the fault is (RFC 6455 section 9.1).
func TestRFC6455MalformedExtensions(t *testing.T) {
	for _, header := range []string{
		"permessage-deflate client_max_window_bits", "permessage-deflate;", "permessage-deflate;;x", "permessage-deflate; =10",
		"permessage-deflate; client_max_window_bits=", "permessage-deflate; client_max_window_bits=\"10", "permessage-deflate; client_max_window_bits=\"\"",
		"permessage-deflate; client_max_window_bits=\"1 0\"", "permessage-deflate; client_max_window_bits=10 11", "permessage-deflate; x=\"a\\",
		"permessage-deflate, ;", "=", "permessage-deflate, \"x\"", "permessage-deflate; x=(y)", "permessage-deflate, grüße", "permessage-deflate, a\x00b",
	} {
		if got, err := AcceptDeflate([]string{header}); err == nil || got != "" || strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%q: %q, %v; want one line that says what is wrong", header, got, err)
		}
	}
}

// FuzzAcceptDeflate: whatever is offered, the answer is one of the two that this server gives, and one that it takes as an offer.
func FuzzAcceptDeflate(f *testing.F) {
	f.Add(agreed15 + ", a; b=\"c\\d\"")
	f.Add(", permessage-deflate;")
	f.Fuzz(func(t *testing.T, header string) {
		answer, err := AcceptDeflate([]string{header})
		if answer != "" && (err != nil || answer != agreed && answer != agreed15 || !strings.Contains(header, "permessage-deflate")) {
			t.Fatalf("%q: %q, %v", header, answer, err)
		}
		if again, err := AcceptDeflate([]string{answer}); answer != "" && (again != answer || err != nil) {
			t.Fatalf("%q: answered %q, and to that %q, %v", header, answer, again, err)
		}
	})
}
