// rfc6455_test.go: RFC 6455 as a table, each case under the section it comes from.

package session

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

const (
	cont = ws.OpContinuation
	txt  = ws.OpText
	bn   = ws.OpBinary
)

type rfcCase struct {
	name   string
	in     []byte
	events []event
	code   int   // of the violation; 0 for none
	at     int   // bytes after which a violation must have been reported; 0 for the end of the input
	limit  int64 // 0 for testLimit
}

func control(op ws.OpCode, payload string) []byte { return frame(op, true, payload) }

// body is a Close frame's body.
func body(code int, reason string) string {
	return string([]byte{byte(code >> 8), byte(code)}) + reason
}

var hello = raw("81 85 37fa213d 7f9f4d5158") // section 5.7's masked "Hello"

var framingCases = []rfcCase{
	{name: "§5.7 masked Hello", in: hello, events: []event{text("Hello")}},
	{name: "§5.2 binary", in: frame(bn, true, "\xff\x00"), events: []event{bin("\xff\x00")}},
	{name: "§5.2 two messages in one piece", in: join(hello, hello), events: []event{text("Hello"), text("Hello")}},
	{name: "§5.2 empty text", in: frame(txt, true, ""), events: []event{text("")}},
	{name: "§5.2 empty binary", in: frame(bn, true, ""), events: []event{bin("")}},
	{name: "§5.2 RSV1", in: raw("c1 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 RSV2", in: raw("a1 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 RSV3", in: raw("91 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 RSV on a control frame", in: raw("f9 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 RSV on a continuation", in: join(frame(txt, false, "a"), raw("c0 80 00000000")), code: 1002, at: 8},
	{name: "§5.2 reserved opcode 3", in: raw("83 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 reserved opcode 4", in: raw("84 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 reserved opcode 5", in: raw("85 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 reserved opcode 6", in: raw("86 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 reserved opcode 7", in: raw("87 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 reserved opcode B", in: raw("8b 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 reserved opcode C", in: raw("8c 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 reserved opcode D", in: raw("8d 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 reserved opcode E", in: raw("8e 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 reserved opcode F", in: raw("8f 80 00000000"), code: 1002, at: 1},
	{name: "§5.2 events before a violation", in: join(hello, control(ws.OpPing, "p"), raw("83")),
		events: []event{text("Hello"), ping("p")}, code: 1002},
	{name: "§5.2 length 0 in 16 bits", in: raw("82 fe 0000 00000000"), code: 1002, at: 4},
	{name: "§5.2 length 125 in 16 bits", in: join(raw("82 fe 007d 00000000"), make([]byte, 125)), code: 1002, at: 4},
	{name: "§5.2 length 125 in 64 bits", in: raw("82 ff 000000000000007d 00000000"), code: 1002, at: 10},
	{name: "§5.2 length 65535 in 64 bits", in: raw("82 ff 000000000000ffff 00000000"), code: 1002, at: 10},
	{name: "§5.2 length with the top bit", in: raw("82 ff 8000000000000000 00000000"), code: 1002, at: 10},
	{name: "§5.2 length all ones", in: raw("82 ff ffffffffffffffff 00000000"), code: 1002, at: 10},
	{name: "§5.2 largest length", in: raw("82 ff 7fffffffffffffff 00000000"), code: 1009, at: 10},
	{name: "§7.1.7 nothing after a violation", in: join(raw("83"), hello), code: 1002, at: 1},
}

var maskingCases = []rfcCase{
	{name: "§5.1 unmasked text", in: raw("81 05 48656c6c6f"), code: 1002, at: 2},
	{name: "§5.1 unmasked ping", in: raw("89 00"), code: 1002, at: 2},
	{name: "§5.1 unmasked close", in: raw("88 02 03e8"), code: 1002, at: 2},
	{name: "§5.1 unmasked continuation", in: join(frame(txt, false, "a"), raw("80 01 62")), code: 1002, at: 9},
	{name: "§5.3 zero mask", in: raw("81 85 00000000 48656c6c6f"), events: []event{text("Hello")}},
	{name: "§5.3 a new mask per frame", in: join(raw("01 82 00000000 4865"), raw("80 83 01020304 6d6e6c")),
		events: []event{text("Hello")}},
	{name: "§5.3 mask goes on over 16 bytes", in: frame(txt, true, "0123456789abcdef0123456789abcdefXYZ"),
		events: []event{text("0123456789abcdef0123456789abcdefXYZ")}},
}

var fragmentationCases = []rfcCase{
	{name: "§5.4 two fragments", in: join(frame(txt, false, "Hel"), frame(cont, true, "lo")), events: []event{text("Hello")}},
	{name: "§5.4 binary fragments", in: join(frame(bn, false, "\xf4"), frame(cont, true, "\x90")), events: []event{bin("\xf4\x90")}},
	{name: "§5.4 single bytes", in: join(frame(txt, false, "a"), frame(cont, false, "b"), frame(cont, false, "c"), frame(cont, true, "d")),
		events: []event{text("abcd")}},
	{name: "§5.4 empty fragments", in: join(frame(txt, false, ""), frame(cont, false, ""), frame(cont, true, "")),
		events: []event{text("")}},
	{name: "§5.4 empty last fragment", in: join(frame(txt, false, "ab"), frame(cont, true, ""), hello),
		events: []event{text("ab"), text("Hello")}},
	{name: "§5.4 ping and pong between fragments",
		in: join(frame(txt, false, "Hel"), control(ws.OpPing, "p"), frame(cont, false, ""), control(ws.OpPong, ""),
			frame(cont, true, "lo"), control(ws.OpPing, "q")),
		events: []event{ping("p"), pong(""), text("Hello"), ping("q")}},
	{name: "§5.4 ping within a rune", in: join(frame(txt, false, "\xe2\x82"), control(ws.OpPing, "p"), frame(cont, true, "\xac")),
		events: []event{ping("p"), text("€")}},
	{name: "§5.4 close between fragments", in: join(frame(txt, false, "Hel"), control(ws.OpClose, ""), frame(cont, true, "lo")),
		events: []event{closed(1005, "")}},
	{name: "§5.4 stray continuation", in: frame(cont, true, "x"), code: 1002, at: 1},
	{name: "§5.4 stray first continuation", in: frame(cont, false, "x"), code: 1002, at: 1},
	{name: "§5.4 continuation after the message", in: join(frame(txt, false, "a"), frame(cont, true, "b"), frame(cont, true, "c")),
		events: []event{text("ab")}, code: 1002, at: 15},
	{name: "§5.4 new text in a message", in: join(frame(txt, false, "a"), frame(txt, true, "b")), code: 1002, at: 8},
	{name: "§5.4 new binary in a message", in: join(frame(txt, false, "a"), frame(bn, false, "b")), code: 1002, at: 8},
}

var controlCases = []rfcCase{
	{name: "§5.5.2 empty ping", in: control(ws.OpPing, ""), events: []event{ping("")}},
	{name: "§5.5.2 ping of 125 bytes", in: control(ws.OpPing, strings.Repeat("p", 125)), events: []event{ping(strings.Repeat("p", 125))}},
	{name: "§5.5.2 ping need not be UTF-8", in: control(ws.OpPing, "\xff"), events: []event{ping("\xff")}},
	{name: "§5.5.3 unasked pong", in: control(ws.OpPong, "x"), events: []event{pong("x")}},
	{name: "§5.5 ping of 126 bytes", in: control(ws.OpPing, strings.Repeat("p", 126)), code: 1002, at: 2},
	{name: "§5.5 pong of 126 bytes", in: control(ws.OpPong, strings.Repeat("p", 126)), code: 1002, at: 2},
	{name: "§5.5 close of 126 bytes", in: control(ws.OpClose, body(1000, strings.Repeat("p", 124))), code: 1002, at: 2},
	{name: "§5.5 ping with a 16-bit length", in: raw("89 fe 0001 00000000 00"), code: 1002, at: 2},
	{name: "§5.5 ping with a 64-bit length", in: raw("89 ff 0000000000000001 00000000 00"), code: 1002, at: 2},
	{name: "§5.5 fragmented ping", in: frame(ws.OpPing, false, ""), code: 1002, at: 1},
	{name: "§5.5 fragmented pong", in: frame(ws.OpPong, false, "x"), code: 1002, at: 1},
	{name: "§5.5 fragmented close", in: frame(ws.OpClose, false, ""), code: 1002, at: 1},
}

var closeCases = []rfcCase{
	{name: "§5.5.1 empty close", in: control(ws.OpClose, ""), events: []event{closed(1005, "")}},
	{name: "§5.5.1 close", in: control(ws.OpClose, body(1000, "bye")), events: []event{closed(1000, "bye")}},
	{name: "§5.5.1 no reason", in: control(ws.OpClose, body(1001, "")), events: []event{closed(1001, "")}},
	{name: "§5.5.1 longest reason", in: control(ws.OpClose, body(4999, strings.Repeat("é", 61)+"!")),
		events: []event{closed(4999, strings.Repeat("é", 61)+"!")}},
	{name: "§5.5.1 nothing after close", in: join(control(ws.OpClose, body(1000, "")), hello, raw("83")),
		events: []event{closed(1000, "")}},
	{name: "§5.5.1 body of 1 byte", in: control(ws.OpClose, "\x03"), code: 1002},
	{name: "§5.5.1 reason not UTF-8", in: control(ws.OpClose, body(1000, "\xce\xba\xe1")), code: 1007},
	{name: "§5.5.1 bad code before bad reason", in: control(ws.OpClose, body(1005, "\xff")), code: 1002},
}

// codeCases is section 7.4 on receipt, for each code at a border of what is allowed.
func codeCases() []rfcCase {
	var cases []rfcCase
	for _, code := range []int{1000, 1003, 1007, 1008, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		cases = append(cases, rfcCase{name: "§7.4 allowed " + strconv.Itoa(code), in: control(ws.OpClose, body(code, "")), events: []event{closed(code, "")}})
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		cases = append(cases, rfcCase{name: "§7.4 forbidden " + strconv.Itoa(code), in: control(ws.OpClose, body(code, "")), code: 1002})
	}
	return cases
}

var utf8Cases = []rfcCase{
	{name: "§8.1 each length of rune", in: frame(txt, true, "a\u00a2€\U0010FFFF"), events: []event{text("a\u00a2€\U0010FFFF")}},
	{name: "§8.1 noncharacters and NUL", in: frame(txt, true, "\x00\ufffe\uffff\ufffd"), events: []event{text("\x00\ufffe\uffff\ufffd")}},
	{name: "§8.1 rune across fragments",
		in:     join(frame(txt, false, "\xf0"), frame(cont, false, "\x9f"), frame(cont, false, ""), frame(cont, false, "\x98"), frame(cont, true, "\x80")),
		events: []event{text("😀")}},
	{name: "§8.1 stray continuation byte", in: frame(txt, true, "ab\x80cd"), code: 1007, at: 9},
	{name: "§8.1 byte FF", in: frame(txt, true, "\xffabc"), code: 1007, at: 7},
	{name: "§8.1 beyond 10FFFF", in: frame(txt, true, "\xf4\x90\x80\x80"), code: 1007, at: 8},
	{name: "§8.1 beyond 10FFFF in fragments", in: join(frame(txt, false, "\xf4"), frame(cont, true, "\x90\x80\x80")), code: 1007, at: 14},
	{name: "§8.1 surrogate", in: frame(txt, true, "\xed\xa0\x80"), code: 1007, at: 8},
	{name: "§8.1 overlong in 2 bytes", in: frame(txt, true, "\xc0\xaf"), code: 1007, at: 7},
	{name: "§8.1 overlong in 3 bytes", in: frame(txt, true, "\xe0\x80\xaf"), code: 1007, at: 8},
	{name: "§8.1 overlong in 4 bytes", in: frame(txt, true, "\xf0\x80\x80\xaf"), code: 1007, at: 8},
	{name: "§8.1 five bytes", in: frame(txt, true, "\xf8\x88\x80\x80\x80"), code: 1007, at: 7},
	{name: "§8.1 broken in its third byte", in: frame(txt, true, "\xf0\x9f\x28\x80"), code: 1007, at: 9},
	{name: "§8.1 broken in its last byte", in: frame(txt, true, "\xf0\x9f\x98\x28"), code: 1007, at: 10},
	{name: "§8.1 incomplete at the end", in: frame(txt, true, "ab\xe2\x82"), code: 1007},
	{name: "§8.1 incomplete at the end of fragments", in: join(frame(txt, false, "\xe2"), frame(cont, true, "\x82")), code: 1007},
	{name: "§8.1 incomplete, then an empty fragment", in: join(frame(txt, false, "\xe2"), frame(cont, true, "")), code: 1007},
	{name: "§8.1 impossible across fragments", in: join(frame(txt, false, "\xe2"), frame(cont, true, "a")), code: 1007},
	{name: "§8.1 binary is not checked", in: frame(bn, true, "\xf4\x90"), events: []event{bin("\xf4\x90")}},
	{name: "§8.1 text after binary in fragments", in: join(frame(bn, false, "\xff"), frame(cont, true, ""), frame(txt, false, "\xff")),
		events: []event{bin("\xff")}, code: 1007},
}

// sizeCases is section 5.2's lengths and section 10.4's limit.
func sizeCases() []rfcCase {
	var cases []rfcCase
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536} {
		s := strings.Repeat("x", n)
		cases = append(cases,
			rfcCase{name: "§5.2 size whole " + strconv.Itoa(n), in: frame(txt, true, s), events: []event{text(s)}},
			rfcCase{name: "§5.2 size in fragments " + strconv.Itoa(n), in: join(frame(bn, false, s[:n/3]), frame(cont, true, s[n/3:])), events: []event{bin(s)}},
			rfcCase{name: "§10.4 exactly the limit of " + strconv.Itoa(n), in: frame(bn, true, s), events: []event{bin(s)}, limit: max(1, int64(n))},
		)
	}
	ten := strings.Repeat("x", 10)
	return append(cases,
		rfcCase{name: "§10.4 one over the limit", in: frame(txt, true, ten+"x"), code: 1009, at: 2, limit: 10},
		rfcCase{name: "§10.4 16 bits over the limit", in: frame(txt, true, strings.Repeat("x", 300)), code: 1009, at: 4, limit: 299},
		rfcCase{name: "§10.4 64 bits over the limit", in: raw("82 ff 0000000001000001 00000000"), code: 1009, at: 10, limit: 16 << 20},
		rfcCase{name: "§10.4 fragments exactly the limit", in: join(frame(txt, false, ten[:5]), frame(cont, true, ten[5:])),
			events: []event{text(ten)}, limit: 10},
		rfcCase{name: "§10.4 fragments over the limit", in: join(frame(txt, false, ten[:5]), frame(cont, false, ten)), code: 1009, at: 13, limit: 10},
		rfcCase{name: "§10.4 sum beyond 64 bits", in: join(frame(bn, false, ten), raw("80 ff 7fffffffffffffff 00000000")), code: 1009, at: 26},
		rfcCase{name: "§10.4 control frames do not count", in: join(frame(txt, false, ten), control(ws.OpPing, ten), frame(cont, true, "")),
			events: []event{ping(ten), text(ten)}, limit: 10},
		rfcCase{name: "§10.4 the limit is per message", in: join(frame(txt, true, ten), frame(txt, true, ten)),
			events: []event{text(ten), text(ten)}, limit: 10},
	)
}

func TestRFC6455(t *testing.T) {
	cases := slices.Concat(framingCases, maskingCases, fragmentationCases, controlCases, closeCases, codeCases(), utf8Cases, sizeCases())
	runCases(t, Reader{}, cases)
}

// runCases holds each case for a Reader made like r, in one piece, byte by byte and split in two.
func runCases(t *testing.T, r Reader, cases []rfcCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { runCase(t, r, c, splits(len(c.in))) })
	}
}

func runCase(t *testing.T, r Reader, c rfcCase, splits []int) {
	if c.limit == 0 {
		c.limit = testLimit
	}
	whole := feedTo(t, r, c.limit, c.in)
	same(t, "whole", whole, outcome{events: c.events, fault: whole.fault})
	if code := codeOf(whole.fault); code != c.code {
		t.Fatalf("fault = %v, want code %d", whole.fault, c.code)
	}
	single := feedTo(t, r, c.limit, bytewise(c.in)...)
	same(t, "byte by byte", single, whole)
	if c.at > 0 && single.at != c.at {
		t.Fatalf("fault after %d bytes, want after %d", single.at, c.at)
	}
	for _, i := range splits {
		same(t, "split in two", feedTo(t, r, c.limit, c.in[:i], c.in[i:]), whole)
	}
}

func codeOf(fault *Error) int {
	if fault == nil {
		return 0
	}
	return fault.Code
}

// splits is every position, or, where that would take minutes, those around both ends and some between.
func splits(n int) []int {
	var at []int
	for i := range n {
		if n < 2000 || i < 64 || i > n-64 || i%4093 == 0 {
			at = append(at, i)
		}
	}
	return at
}
