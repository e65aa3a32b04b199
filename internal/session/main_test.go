// main_test.go: what the tests share: a Handler that records, ways to cut input, and a client's frames.

package session

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testLimit = 1 << 20

// event is one call of a Handler.
type event struct {
	kind string // text, binary, ping, pong, close
	code int
	data string
}

func (e event) String() string {
	if len(e.data) > 40 {
		return fmt.Sprintf("%s(%d, %d bytes)", e.kind, e.code, len(e.data))
	}
	return fmt.Sprintf("%s(%d, %q)", e.kind, e.code, e.data)
}

func text(s string) event              { return event{kind: "text", data: s} }
func bin(s string) event               { return event{kind: "binary", data: s} }
func ping(s string) event              { return event{kind: "ping", data: s} }
func pong(s string) event              { return event{kind: "pong", data: s} }
func closed(code int, s string) event  { return event{kind: "close", code: code, data: s} }
func (r *recorder) add(e event)        { r.events = append(r.events, e) }
func (r *recorder) OnPing(data []byte) { r.add(ping(string(data))) }
func (r *recorder) OnPong(data []byte) { r.add(pong(string(data))) }
func (r *recorder) OnClose(code int, s string) {
	r.add(closed(code, s))
}

// recorder keeps the messages as they were handed over, so that a Reader that still writes to one is found out.
type recorder struct {
	events []event
	owned  [][]byte
}

func (r *recorder) OnMessage(binary bool, data []byte) {
	if data == nil {
		panic("message is nil, want empty")
	}
	kind := "text"
	if binary {
		kind = "binary"
	}
	r.add(event{kind: kind, data: string(data)})
	r.owned = append(r.owned, data)
}

// outcome is what came of feeding some input.
type outcome struct {
	events []event
	fault  *Error
	at     int // bytes fed when the fault was returned
}

// feed feeds copies of the pieces to a new Reader and checks what must hold for any input.
func feed(t testing.TB, limit int64, pieces ...[]byte) outcome {
	t.Helper()
	return feedTo(t, Reader{}, limit, pieces...)
}

// feedTo is feed with a Reader that the caller has made.
func feedTo(t testing.TB, r Reader, limit int64, pieces ...[]byte) outcome {
	t.Helper()
	var rec recorder
	var out outcome
	ended := false
	for _, piece := range pieces {
		p := slices.Clone(piece)
		err := r.Feed(p, limit, &rec)
		for i := range p {
			p[i] = 0xAA // p is ours again: whoever kept it will be seen
		}
		if ended && err != nil {
			t.Fatalf("Feed after the end = %v, want nil", err)
		}
		if !ended {
			out.at += len(p)
		}
		if err != nil && !errors.As(err, &out.fault) {
			t.Fatalf("Feed = %T, want *Error", err)
		}
		ended = ended || err != nil || len(rec.events) > 0 && rec.events[len(rec.events)-1].kind == "close"
		if ended && (r.part != nil || r.MidFrame()) {
			t.Fatal("Reader holds something after the end")
		}
	}
	if p := rec.events; ended && out.fault == nil && p[len(p)-1].kind != "close" {
		t.Fatalf("ended without fault or Close: %v", p)
	}
	out.events = rec.events
	checkOwned(t, &rec, limit)
	if out.fault != nil {
		checkFault(t, out.fault)
	}
	return out
}

func checkOwned(t testing.TB, rec *recorder, limit int64) {
	t.Helper()
	i := 0
	for _, e := range rec.events {
		if e.kind != "text" && e.kind != "binary" {
			continue
		}
		got := rec.owned[i]
		i++
		if string(got) != e.data {
			t.Fatalf("message changed after it was handed over: %v", e)
		}
		if int64(len(got)) > limit {
			t.Fatalf("message of %d bytes is over the limit of %d", len(got), limit)
		}
		if e.kind == "text" && !utf8.Valid(got) {
			t.Fatalf("text is not UTF-8: %v", e)
		}
		if spare := cap(got) - len(got); spare > len(got)/4+64 {
			t.Fatalf("message of %d bytes has a capacity of %d", len(got), cap(got))
		}
	}
}

// checkFault checks that the fault can be sent as it is.
func checkFault(t testing.TB, fault *Error) {
	t.Helper()
	if fault.Code != 1002 && fault.Code != 1007 && fault.Code != 1009 {
		t.Fatalf("fault's code = %d", fault.Code)
	}
	if err := CheckClose(fault.Code, fault.Reason); err != nil || fault.Reason == "" {
		t.Fatalf("fault %v cannot be sent: %v", fault, err)
	}
	if !strings.Contains(fault.Error(), fault.Reason) {
		t.Fatalf("Error() = %q, want it to contain %q", fault.Error(), fault.Reason)
	}
}

// same fails unless both outcomes have the same events and the same fault.
func same(t testing.TB, how string, got, want outcome) {
	t.Helper()
	if !slices.Equal(got.events, want.events) {
		t.Fatalf("%s: events = %v, want %v", how, got.events, want.events)
	}
	if (got.fault == nil) != (want.fault == nil) || got.fault != nil && *got.fault != *want.fault {
		t.Fatalf("%s: fault = %v, want %v", how, got.fault, want.fault)
	}
}

// bytewise cuts p into single bytes.
func bytewise(p []byte) [][]byte {
	return slices.Collect(slices.Chunk(p, 1))
}

// cut cuts p into pieces of the given sizes, over and over.
func cut(p []byte, sizes []byte) [][]byte {
	if len(sizes) == 0 {
		return [][]byte{p}
	}
	var pieces [][]byte
	for i := 0; len(p) > 0; i++ {
		n := min(len(p), 1+int(sizes[i%len(sizes)]))
		pieces, p = append(pieces, p[:n]), p[n:]
	}
	return pieces
}

var testMask = [4]byte{0x37, 0xFA, 0x21, 0x3D}

// frame is a client's frame, as gobwas builds it.
func frame(op ws.OpCode, fin bool, payload string) []byte {
	return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(op, fin, []byte(payload)), testMask))
}

func join(pieces ...[]byte) []byte { return slices.Concat(pieces...) }

// raw is bytes in hexadecimal; blanks are for the reader.
func raw(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}
