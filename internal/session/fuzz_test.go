// fuzz_test.go: any bytes at all, in pieces of any size, against a naive reader.

package session

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// FuzzReader feeds in to a Reader whole, byte by byte and in pieces; and as the payload of frames that gobwas' client would send.
func FuzzReader(f *testing.F) {
	for _, c := range slices.Concat(framingCases, maskingCases, fragmentationCases, controlCases, closeCases, codeCases(), utf8Cases) {
		f.Add(c.in, []byte{2, 0, 5}, uint16(1000))
		f.Add(c.in, []byte{6}, uint16(3))
	}
	f.Fuzz(func(t *testing.T, in, sizes []byte, limit uint16) {
		whole := feed(t, int64(limit), in)
		same(t, "byte by byte", feed(t, int64(limit), bytewise(in)...), whole)
		same(t, "in pieces", feed(t, int64(limit), cut(in, sizes)...), whole)
		checkNaive(t, in, int64(limit), whole)
		roundTrip(t, in, sizes)
	})
}

// checkNaive compares with a reader that has all the bytes at once. That one sees a violation only at the end of a frame.
func checkNaive(t *testing.T, in []byte, limit int64, got outcome) {
	t.Helper()
	sameAsNaive(t, Reader{}, in, limit, got)
}

func sameAsNaive(t *testing.T, r Reader, in []byte, limit int64, got outcome) {
	t.Helper()
	events, code := naive(in, limit, r.Deflate)
	if !slices.Equal(got.events, events) {
		t.Fatalf("events = %v, naive reader has %v", got.events, events)
	}
	if code != 0 && codeOf(got.fault) != code {
		t.Fatalf("fault = %v, naive reader has %d", got.fault, code)
	}
}

// naive reads frame after frame with gobwas and keeps whole messages.
func naive(in []byte, limit int64, deflate bool) (events []event, code int) {
	var message []byte
	var kind ws.OpCode
	var compressed bool // the message is
	state := ws.StateServerSide
	src := bytes.NewReader(in)
	for {
		before := src.Len()
		head, err := ws.ReadHeader(src)
		if err == ws.ErrHeaderLengthMSB {
			return events, 1002
		}
		if err != nil {
			return events, 0
		}
		begins, most := head.OpCode == ws.OpText || head.OpCode == ws.OpBinary, limit
		if deflate && begins {
			compressed = head.Rsv == rsv1
			head.Rsv &^= rsv1
		}
		if ws.CheckHeader(head, state) != nil || before-src.Len() != ws.HeaderSize(head) {
			return events, 1002
		}
		if compressed {
			most = deflateBound(limit)
		}
		if head.OpCode.IsData() && head.Length > most-int64(len(message)) {
			return events, 1009
		}
		payload := make([]byte, head.Length)
		if _, err := io.ReadFull(src, payload); err != nil {
			return events, 0
		}
		ws.Cipher(payload, head.Mask, 0)
		if head.OpCode == ws.OpClose {
			return naiveClose(events, payload)
		}
		if head.OpCode.IsControl() {
			events = append(events, map[ws.OpCode]func(string) event{ws.OpPing: ping, ws.OpPong: pong}[head.OpCode](string(payload)))
			continue
		}
		if begins {
			kind = head.OpCode
		}
		message = append(message, payload...)
		if !head.Fin {
			if kind == ws.OpText && !compressed && impossible(message) {
				return events, 1007
			}
			state = state.Set(ws.StateFragmented)
			continue
		}
		e, code := naiveMessage(kind, message, compressed, limit)
		if code != 0 {
			return events, code
		}
		events = append(events, e)
		state, message = state.Clear(ws.StateFragmented), nil
	}
}

func naiveMessage(kind ws.OpCode, message []byte, compressed bool, limit int64) (e event, code int) {
	if compressed {
		if message, code = naiveInflate(message, limit); code != 0 {
			return e, code
		}
	}
	if kind == ws.OpBinary {
		return bin(string(message)), 0
	}
	if !utf8.Valid(message) {
		return e, 1007
	}
	return text(string(message)), 0
}

func naiveClose(events []event, body []byte) ([]event, int) {
	if len(body) == 0 {
		return append(events, closed(1005, "")), 0
	}
	if len(body) == 1 {
		return events, 1002
	}
	code, reason := int(binary.BigEndian.Uint16(body)), string(body[2:])
	if CheckClose(code, "") != nil {
		return events, 1002
	}
	if !utf8.ValidString(reason) {
		return events, 1007
	}
	return append(events, closed(code, reason)), 0
}

// impossible reports whether no continuation makes s UTF-8: it has no valid prefix that lacks at most an unfinished rune.
func impossible(s []byte) bool {
	for len(s) > 0 && utf8.FullRune(s) {
		r, size := utf8.DecodeRune(s)
		if r == utf8.RuneError && size == 1 {
			return true
		}
		s = s[size:]
	}
	return false
}

// roundTrip sends payload as a client would, in one frame and in fragments with a ping between them.
func roundTrip(t *testing.T, payload, sizes []byte) {
	t.Helper()
	want := outcome{events: []event{bin(string(payload))}}
	sent := ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame(payload)))
	same(t, "round trip", feed(t, testLimit, cut(sent, sizes)...), want)
	if utf8.Valid(payload) {
		sent := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame(payload)))
		same(t, "text round trip", feed(t, testLimit, cut(sent, sizes)...), outcome{events: []event{text(string(payload))}})
	}
	op, fragments := ws.OpBinary, []byte(nil)
	for _, piece := range cut(payload, sizes) {
		fragments = append(fragments, ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(op, false, piece)))...)
		op = ws.OpContinuation
	}
	if op == ws.OpBinary {
		return // nothing to fragment
	}
	fragments = append(fragments, ws.MustCompileFrame(ws.MaskFrame(ws.NewPingFrame([]byte("?"))))...)
	fragments = append(fragments, ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(op, true, nil)))...)
	want.events = append([]event{ping("?")}, want.events...)
	same(t, "fragments", feed(t, testLimit, cut(fragments, sizes)...), want)
}

// FuzzUTF8 compares the incremental check with the whole text's: it fails at the first byte after which nothing can help.
func FuzzUTF8(f *testing.F) {
	for _, s := range []string{"", "a€😀", "\xf4\x90\x80\x80", "\xed\xa0\x80", "\xe2\x82", "ab\xc0\xaf", "\xf0\x9f\x98\x28", "\x80"} {
		f.Add([]byte(s), []byte{0})
		f.Add([]byte(s), []byte{1, 0})
	}
	f.Fuzz(func(t *testing.T, s, sizes []byte) {
		var c runeChecker
		fed := 0
		for _, piece := range cut(s, sizes) {
			fed += len(piece)
			if ok := c.next(piece); ok == impossible(s[:fed]) {
				t.Fatalf("next after %q = %v", s[:fed], ok)
			} else if !ok {
				return
			}
		}
		if c.complete() != utf8.Valid(s) {
			t.Fatalf("complete after %q = %v", s, c.complete())
		}
	})
}

// FuzzCloseCode: what CheckClose allows arrives as it was sent; what AppendClose builds is always legal.
func FuzzCloseCode(f *testing.F) {
	for _, code := range []int{-1, 0, 999, 1000, 1004, 1005, 1006, 1014, 1015, 2999, 3000, 4999, 5000, 65536 + 1000} {
		f.Add(code, "reason")
		f.Add(code, "\xff")
	}
	f.Fuzz(func(t *testing.T, code int, reason string) {
		sent := AppendClose([]byte("before"), code, reason)
		if !bytes.HasPrefix(sent, []byte("before")) {
			t.Fatalf("dst was not kept: %q", sent)
		}
		got := feed(t, 0, asClient(t, sent[len("before"):]))
		if got.fault != nil || len(got.events) != 1 {
			t.Fatalf("AppendClose(%d, %q) is read as %v, %v", code, reason, got.events, got.fault)
		}
		if CheckClose(code, reason) == nil && got.events[0] != closed(code, reason) {
			t.Fatalf("AppendClose(%d, %q) is read as %v", code, reason, got.events[0])
		}
	})
}

// asClient masks a server's frames, so that a Reader takes them.
func asClient(t testing.TB, frames []byte) []byte {
	t.Helper()
	var out []byte
	for src := bytes.NewReader(frames); src.Len() > 0; {
		head, err := ws.ReadHeader(src)
		if err != nil || head.Masked || !head.Fin || head.Rsv != 0 {
			t.Fatalf("server's frame has header %+v (%v)", head, err)
		}
		payload := make([]byte, head.Length)
		if _, err := io.ReadFull(src, payload); err != nil {
			t.Fatalf("server's frame: %v", err)
		}
		out = append(out, ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewFrame(head.OpCode, true, payload)))...)
	}
	return out
}
