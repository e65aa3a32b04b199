// session_test.go: what a Reader promises beyond RFC 6455: its size, its memory, and any sequence read back.

package session

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"
)

// TestReadsBackAnything: any messages and pings, fragmented and cut in any way, arrive as they were sent.
func TestReadsBackAnything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var sent []byte
		var want []event
		interlude := func() {
			for range rapid.IntRange(0, 2).Draw(rt, "control frames") {
				data := string(rapid.SliceOfN(rapid.Byte(), 0, 125).Draw(rt, "control payload"))
				op, e := ws.OpPing, ping(data)
				if rapid.Bool().Draw(rt, "pong") {
					op, e = ws.OpPong, pong(data)
				}
				sent, want = append(sent, drawnFrame(rt, op, true, data)...), append(want, e)
			}
		}
		for range rapid.IntRange(0, 5).Draw(rt, "messages") {
			interlude()
			op, e := ws.OpText, text(rapid.StringN(0, 300, 700).Draw(rt, "text"))
			if rapid.Bool().Draw(rt, "binary") {
				op, e = ws.OpBinary, bin(string(rapid.SliceOfN(rapid.Byte(), 0, 700).Draw(rt, "data")))
			}
			rest := e.data
			for rapid.IntRange(0, 2).Draw(rt, "fragment") > 0 {
				n := rapid.IntRange(0, len(rest)).Draw(rt, "fragment size")
				sent = append(sent, drawnFrame(rt, op, false, rest[:n])...)
				op, rest = ws.OpContinuation, rest[n:]
				interlude()
			}
			sent, want = append(sent, drawnFrame(rt, op, true, rest)...), append(want, e)
		}
		if rapid.Bool().Draw(rt, "close") {
			sent, want = append(sent, drawnFrame(rt, ws.OpClose, true, body(1000, "bye"))...), append(want, closed(1000, "bye"))
		}
		sizes := rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(rt, "pieces")
		same(t, "read back", feed(t, testLimit, cut(sent, sizes)...), outcome{events: want})
	})
}

func drawnFrame(rt *rapid.T, op ws.OpCode, fin bool, payload string) []byte {
	mask := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(rt, "mask"))
	return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(op, fin, []byte(payload)), mask))
}

func TestReaderIsSmallWhileIdle(t *testing.T) {
	if n := unsafe.Sizeof(Reader{}); n > 32 {
		t.Errorf("Reader has %d bytes, want at most 32", n)
	}
	var r Reader
	in := join(frame(txt, true, "a"), frame(txt, false, "a"), frame(ws.OpPing, true, "p"), frame(cont, true, "b"))
	idle := []int{7, 7 + 7 + 7 + 7} // bytes after which nothing is unfinished
	for i, piece := range bytewise(in) {
		if err := r.Feed(piece, testLimit, new(recorder)); err != nil {
			t.Fatal(err)
		}
		if got, want := r.part == nil, slices.Contains(idle, i+1); got != want {
			t.Errorf("after %d bytes: idle = %v, want %v", i+1, got, want)
		}
	}
}

func TestMidFrame(t *testing.T) {
	var r Reader
	if r.MidFrame() {
		t.Error("a new Reader is within a frame")
	}
	in := join(frame(txt, false, "ab"), frame(ws.OpPing, true, ""), frame(cont, true, "c"))
	between := []int{8, 8 + 6, 8 + 6 + 7} // within a message, but between its frames
	for i, piece := range bytewise(in) {
		if err := r.Feed(piece, testLimit, new(recorder)); err != nil {
			t.Fatal(err)
		}
		if got, want := r.MidFrame(), !slices.Contains(between, i+1); got != want {
			t.Errorf("after %d bytes: MidFrame = %v, want %v", i+1, got, want)
		}
	}
}

// TestG8_MemoryFollowsWhatArrived: a declared length costs nothing until its bytes come.
func TestG8_MemoryFollowsWhatArrived(t *testing.T) {
	const declared = 16 << 20
	for name, first := range map[string]byte{"one frame": 0x82, "first fragment": 0x02} {
		var r Reader
		var rec recorder
		header := append([]byte{first}, raw("ff 0000000001000000 00000000")...)
		if err := r.Feed(header, declared, &rec); err != nil {
			t.Fatal(err)
		}
		for arrived := 0; arrived < declared; {
			n := min(declared-arrived, 1+arrived/3) // from single bytes to large pieces
			if err := r.Feed(make([]byte, n), declared, &rec); err != nil {
				t.Fatal(err)
			}
			arrived += n
			if r.part == nil {
				break
			}
			if got := cap(r.part.data); got > max(2*arrived+arrived/2, firstGrowth) {
				t.Fatalf("%s: %d bytes arrived, %d are allocated", name, arrived, got)
			}
		}
		if first == 0x82 && (len(rec.owned) != 1 || cap(rec.owned[0]) != declared) {
			t.Errorf("%s: %d messages, want one of exactly %d bytes", name, len(rec.owned), declared)
		}
	}
}

// TestManyFragmentsAreNotCopiedForEach: growth is by doubling though each fragment declares little.
func TestManyFragmentsAreNotCopiedForEach(t *testing.T) {
	var r Reader
	var rec recorder
	op, grown, last := txt, 0, 0
	for range 100_000 {
		if err := r.Feed(frame(op, false, "x"), testLimit, &rec); err != nil {
			t.Fatal(err)
		}
		if c := cap(r.part.data); c != last {
			grown, last = grown+1, c
		}
		op = cont
	}
	if grown > 20 {
		t.Errorf("100,000 fragments of 1 byte: grown %d times, want at most 20", grown)
	}
	if err := r.Feed(frame(cont, true, ""), testLimit, &rec); err != nil || len(rec.events) != 1 {
		t.Fatalf("message = %v, %v", rec.events, err)
	}
	checkOwned(t, &rec, testLimit)
}

func TestLimitBorders(t *testing.T) {
	for _, c := range []struct {
		limit int64
		size  int
		code  int
	}{
		{0, 0, 0}, {0, 1, 1009}, {-1, 0, 1009}, {1, 1, 0}, {math.MaxInt64, 70000, 0},
	} {
		got := feed(t, c.limit, frame(bn, true, strings.Repeat("x", c.size)))
		if codeOf(got.fault) != c.code {
			t.Errorf("limit %d, message of %d bytes: %v, want code %d", c.limit, c.size, got.fault, c.code)
		}
	}
}

// TestReasonsNameTheFault: what the peer is told is enough to find the mistake.
func TestReasonsNameTheFault(t *testing.T) {
	for _, c := range []struct {
		in   []byte
		want string
	}{
		{raw("83"), "reserved opcode 0x3"},
		{raw("c1"), "RSV bits set (100)"},
		{raw("8105"), "not masked"},
		{raw("09"), "fragmented control frame"},
		{raw("89fe"), "over 125 bytes"},
		{raw("80"), "without a message"},
		{join(frame(txt, false, ""), raw("81")), "before the fragmented message ended"},
		{raw("82fe0001"), "length 1 is not in its shortest encoding"},
		{raw("82ff8000000000000000"), "most significant bit"},
		{raw("82ff0000000001000001"), "at least 16777217 bytes is over the limit of 1048576 bytes"},
		{frame(txt, true, "\xff"), "not valid UTF-8"},
		{frame(ws.OpClose, true, "x"), "body of 1 byte"},
		{frame(ws.OpClose, true, body(1005, "")), "code 1005"},
	} {
		if got := feed(t, testLimit, c.in).fault; got == nil || !strings.Contains(got.Reason, c.want) {
			t.Errorf("% x: %v, want %q", c.in, got, c.want)
		}
	}
}
