// deflate_test.go: RFC 7692 sections 6 and 7.2, each case under the section it comes from; bombs, and what a message costs.

package session

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

var deflating = Reader{Deflate: true}

// deflated is what a client sends for s before it is put into frames (RFC 7692 section 7.2.1).
func deflated(s string, level int) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(w, s) // a bytes.Buffer takes everything
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// first is the first frame of a compressed message (section 6.1).
func first(op ws.OpCode, fin bool, payload string) []byte {
	f := ws.NewFrame(op, fin, []byte(payload))
	f.Header.Rsv = rsv1
	return ws.MustCompileFrame(ws.MaskFrameWith(f, testMask))
}

// hexa is bytes in hexadecimal.
func hexa(s string) string { return string(raw(s)) }

const helloDeflated = "f248cdc9c90700" // section 7.2.3.1

var deflateFramingCases = []rfcCase{
	{name: "§6.1 uncompressed message", in: hello, events: []event{text("Hello")}},
	{name: "§6.1 compressed, then not, then compressed", in: join(first(txt, true, hexa(helloDeflated)), hello, first(bn, true, hexa(helloDeflated))),
		events: []event{text("Hello"), text("Hello"), bin("Hello")}},
	{name: "§6.1 uncompressed fragments", in: join(frame(txt, false, "Hel"), frame(cont, true, "lo")), events: []event{text("Hello")}},
	{name: "§6.1 RSV1 on a continuation", in: join(first(txt, false, hexa(helloDeflated)[:3]), first(cont, true, hexa(helloDeflated)[3:])), code: 1002, at: 10},
	{name: "§6.1 RSV1 on a continuation alone", in: join(frame(txt, false, "a"), first(cont, true, "b")), code: 1002, at: 8},
	{name: "§6.1 RSV1 on a stray continuation", in: first(cont, true, ""), code: 1002, at: 1},
	{name: "§6.1 RSV1 on a ping", in: first(ws.OpPing, true, ""), code: 1002, at: 1},
	{name: "§6.1 RSV1 on a pong", in: first(ws.OpPong, true, "p"), code: 1002, at: 1},
	{name: "§6.1 RSV1 on a close", in: first(ws.OpClose, true, ""), code: 1002, at: 1},
	{name: "§6.1 RSV1 on a reserved opcode", in: raw("c3 80 00000000"), code: 1002, at: 1},
	{name: "RFC 6455 §5.2 RSV2", in: raw("a1 80 00000000"), code: 1002, at: 1},
	{name: "RFC 6455 §5.2 RSV3", in: raw("91 80 00000000"), code: 1002, at: 1},
	{name: "RFC 6455 §5.2 RSV1 and RSV2", in: raw("e1 80 00000000"), code: 1002, at: 1},
	{name: "RFC 6455 §5.1 compressed, not masked", in: raw("c1 07 f248cdc9c90700"), code: 1002, at: 2},
	{name: "RFC 6455 §5.4 new compressed message in a message", in: join(frame(txt, false, "a"), first(txt, true, "b")), code: 1002, at: 8},
	{name: "RFC 6455 §5.4 ping between compressed fragments",
		in:     join(first(txt, false, hexa(helloDeflated)[:1]), control(ws.OpPing, "p"), frame(cont, false, hexa(helloDeflated)[1:]), frame(cont, true, "")),
		events: []event{ping("p"), text("Hello")}},
	{name: "RFC 6455 §5.2 length not in its shortest encoding", in: raw("c2 fe 0001 00000000 00"), code: 1002, at: 4},
}

var deflateDataCases = []rfcCase{
	{name: "§7.2.3.1 one block", in: first(txt, true, hexa(helloDeflated)), events: []event{text("Hello")}},
	{name: "§7.2.3.1 one block in fragments", in: join(first(txt, false, hexa("f248cd")), frame(cont, true, hexa("c9c90700"))), events: []event{text("Hello")}},
	{name: "§7.2.3.2 the window is not taken over", in: join(first(txt, true, hexa(helloDeflated)), first(txt, true, hexa("f200110000"))),
		events: []event{text("Hello")}, code: 1002},
	{name: "§7.2.3.3 block without compression", in: first(txt, true, hexa("000500faff48656c6c6f00")), events: []event{text("Hello")}},
	{name: "§7.2.3.4 block with BFINAL", in: first(txt, true, hexa("f348cdc9c9070000")), events: []event{text("Hello")}},
	{name: "§7.2.3.5 two blocks", in: first(txt, true, hexa("f248050000 00ffffcac9c90700")), events: []event{text("Hello")}},
	{name: "§7.2.3.6 empty message", in: first(txt, true, "\x00"), events: []event{text("")}},
	{name: "§7.2.3.6 not even the byte of an empty message", in: first(bn, true, ""), code: 1002},
	{name: "§7.2.2 empty fragments", in: join(first(bn, false, ""), frame(cont, false, ""), frame(cont, true, "\x00")), events: []event{bin("")}},
	{name: "§7.2.1 empty last block with BFINAL", in: first(txt, true, hexa("f248cdc9c907 00 0000ffff 01")), events: []event{text("Hello")}},
	{name: "§7.2.3.4 BFINAL without the byte behind it", in: first(txt, true, hexa("f348cdc9c90700")), events: []event{text("Hello")}},
	{name: "§7.2.3.4 BFINAL, then another byte", in: first(txt, true, hexa("f348cdc9c9070001")), code: 1002},
	{name: "§7.2.3.4 BFINAL, then another block", in: first(txt, true, hexa("f348cdc9c90700 f248cdc9c90700")), code: 1002},
	{name: "§7.2.2 reserved block type", in: first(txt, true, "\x06"), code: 1002},
	{name: "§7.2.2 distance before the message", in: first(txt, true, hexa("f200110000")), code: 1002},
	{name: "§7.2.2 length of a stored block", in: first(txt, true, hexa("000500faff48656c6c")), code: 1002},
	{name: "§7.2.2 cut off", in: first(txt, true, hexa("f248cdc9c907")), code: 1002},
	{name: "§7.2.2 the tail is not cut off", in: first(txt, true, hexa("f248cdc9c90700 0000ffff")), code: 1002},
	{name: "RFC 6455 §8.1 not UTF-8", in: first(txt, true, deflated("a\xff", 9)), code: 1007},
	{name: "RFC 6455 §8.1 incomplete at the end", in: first(txt, true, deflated("ab\xe2\x82", 9)), code: 1007},
	{name: "RFC 6455 §8.1 binary is not checked", in: first(bn, true, deflated("a\xff", 9)), events: []event{bin("a\xff")}},
	{name: "RFC 6455 §8.1 compressed bytes are not checked", in: join(first(txt, false, deflated("€", 9)[:2]), frame(cont, true, deflated("€", 9)[2:])), events: []event{text("€")}},
	{name: "RFC 6455 §8.1 not UTF-8 in fragments", in: join(first(txt, false, deflated("\xe2a", 9)), frame(cont, true, "")), code: 1007},
	{name: "RFC 6455 §7.1.7 nothing after a violation", in: join(first(txt, true, "\x06"), hello), code: 1002},
}

// deflateSizeCases is RFC 6455 section 10.4's limit, which counts what a message inflates to.
func deflateSizeCases() []rfcCase {
	var cases []rfcCase
	for _, n := range []int{0, 1, 125, 1000, firstInflated - 1, firstInflated, firstInflated + 1, 2*firstInflated + 1, 70_000} {
		s := strings.Repeat("0123456789", n/10+1)[:n]
		for _, level := range []int{flate.NoCompression, flate.HuffmanOnly, flate.BestSpeed, flate.BestCompression} {
			z := deflated(s, level)
			cases = append(cases,
				rfcCase{name: fmt.Sprintf("§10.4 exactly the limit of %d, level %d", n, level), in: first(txt, true, z), events: []event{text(s)}, limit: max(1, int64(n))},
				rfcCase{name: fmt.Sprintf("§10.4 fragments of %d, level %d", n, level), in: join(first(bn, false, z[:len(z)/3]), frame(cont, true, z[len(z)/3:])), events: []event{bin(s)}})
			if n > 1 {
				cases = append(cases, rfcCase{name: fmt.Sprintf("§10.4 a byte over the limit of %d, level %d", n-1, level), in: first(txt, true, z), code: 1009, limit: int64(n) - 1})
			}
		}
	}
	const limit = 1000
	bound := deflateBound(limit)
	noise := string(noise(limit))
	return append(cases,
		rfcCase{name: "§10.4 compressed is longer, as far as it can be", in: first(bn, true, deflated(noise, flate.NoCompression)), events: []event{bin(noise)}, limit: limit},
		rfcCase{name: "§10.4 a frame longer than the limit can become", in: first(bn, true, strings.Repeat("\x00", int(bound)+1)), code: 1009, at: 4, limit: limit},
		rfcCase{name: "§10.4 fragments longer than the limit can become", in: join(first(bn, false, strings.Repeat("\x00", int(bound))), frame(cont, false, "\x00")),
			code: 1009, at: 8 + int(bound) + 2, limit: limit},
		rfcCase{name: "§10.4 an uncompressed message has the limit itself", in: frame(bn, true, noise+"x"), code: 1009, at: 4, limit: limit},
		rfcCase{name: "§10.4 after a compressed message", in: join(first(bn, true, "\x00"), frame(bn, true, noise+"x")), events: []event{bin("")}, code: 1009, at: 7 + 4, limit: limit})
}

// noise is n bytes that cannot be compressed.
func noise(n int) []byte {
	src := rand.NewChaCha8([32]byte{})
	p := make([]byte, n)
	_, _ = src.Read(p) // never fails
	return p
}

func TestRFC7692(t *testing.T) {
	runCases(t, deflating, deflateFramingCases)
	runCases(t, deflating, deflateDataCases)
	for _, c := range deflateSizeCases() { // to inflate each of them for every split would take minutes
		t.Run(c.name, func(t *testing.T) { runCase(t, deflating, c, []int{1, len(c.in) / 2, len(c.in) - 1}) })
	}
}

// A Reader for which compression has not been agreed on refuses all of it, and one that allows it takes everything that RFC 6455 does.
func TestRFC7692NotNegotiated(t *testing.T) {
	for _, c := range deflateDataCases {
		if got := feed(t, testLimit, c.in); codeOf(got.fault) != 1002 || len(got.events) > 0 {
			t.Errorf("%s: %v, %v; want 1002 at the first byte", c.name, got.events, got.fault)
		}
	}
	for _, c := range framingCases {
		if !strings.Contains(c.name, "RSV1") {
			got, want := feedTo(t, deflating, testLimit, c.in), feed(t, testLimit, c.in)
			same(t, c.name, outcome{events: got.events}, outcome{events: want.events})
			if codeOf(got.fault) != codeOf(want.fault) {
				t.Errorf("%s: %v, want %v", c.name, got.fault, want.fault)
			}
		}
	}
}

func TestDeflateReasons(t *testing.T) {
	for _, c := range []struct {
		in   []byte
		want string
	}{
		{raw("e1"), "RSV bits set (110) other than RSV1"},
		{first(txt, true, "\x06"), "not valid DEFLATE"},
		{first(txt, true, hexa("f348cdc9c907000000")), "does not end with its last DEFLATE block"},
		{first(txt, true, deflated(strings.Repeat("x", testLimit+1), 9)), "over the limit of 1048576 bytes"},
	} {
		if got := feedTo(t, deflating, testLimit, c.in).fault; got == nil || !strings.Contains(got.Reason, c.want) {
			t.Errorf("% x: %v, want %q", c.in, got, c.want)
		}
	}
}

// The compressed "Hello" of section 7.2.3.1 is below MinDeflate; what is above has RSV1, one frame, and no tail.
func TestDeflateFrame(t *testing.T) {
	for _, n := range []int{0, 5, 125, 126, MinDeflate - 1, MinDeflate, 1000, 65535, 65536, 1 << 20} {
		for _, binary := range []bool{false, true} {
			payload := []byte(strings.Repeat("Hello, world ", n/13+1)[:n])
			plain := AppendMessage(nil, binary, payload)
			got := DeflateFrames(plain)
			if n < MinDeflate {
				if got != nil {
					t.Errorf("%d bytes were compressed", n)
				}
				continue
			}
			want := byte(0xc1)
			if binary {
				want = 0xc2
			}
			if got == nil || got[0] != want || len(got) >= len(plain)/2 || cap(got) > len(got)+len(got)/4+64 || bytes.HasSuffix(got, []byte("\x00\x00\xff\xff")) {
				t.Fatalf("%d bytes became %d, % .20x…", n, len(got), got)
			}
			same(t, "read back", feedTo(t, deflating, testLimit, asCompressingClient(t, got)), feed(t, testLimit, asClient(t, plain)))
		}
	}
	for _, n := range []int{MinDeflate, 1000, 100_000} {
		if got := DeflateFrames(AppendMessage(nil, true, noise(n))); got != nil {
			t.Errorf("%d bytes of noise became %d", n, len(got))
		}
	}
}

// asCompressingClient masks one compressed frame of a server's.
func asCompressingClient(t testing.TB, sent []byte) []byte {
	t.Helper()
	head, err := ws.ReadHeader(bytes.NewReader(sent))
	if err != nil || head.Rsv != rsv1 || !head.Fin || head.Masked {
		t.Fatalf("compressed frame has header %+v (%v)", head, err)
	}
	return first(head.OpCode, true, string(sent[headerSize(sent):]))
}

// TestG8_Bomb: what inflates past the limit is given up there, with no more allocated than the limit.
func TestG8_Bomb(t *testing.T) {
	const limit = 1 << 20
	bomb := deflated(strings.Repeat("\x00", 16<<20), 9)
	t.Logf("the bomb has %d bytes", len(bomb))
	for name, in := range map[string][]byte{
		"one frame":               first(bn, true, bomb),
		"fragments":               join(first(txt, false, bomb[:1000]), frame(cont, false, bomb[1000:]), frame(cont, true, "")),
		"with a quine's patience": join(first(bn, true, deflated(strings.Repeat("\x00", limit), 9)), first(bn, true, bomb)),
	} {
		var before, after runtime.MemStats
		r, s := deflating, new(sink)
		runtime.ReadMemStats(&before)
		err := r.Feed(in, limit, s)
		runtime.ReadMemStats(&after)
		fault, _ := err.(*Error)
		if codeOf(fault) != 1009 {
			t.Errorf("%s: %v, want 1009", name, err)
		}
		most := uint64(limit*(1+2*s.events) + len(bomb)*3 + 256<<10) // a message that passes is put together from its pieces
		if got := after.TotalAlloc - before.TotalAlloc; got > most {
			t.Errorf("%s: %d bytes allocated, want at most %d", name, got, most)
		}
	}
}

func TestDeflatingReaderIsSmallWhileIdle(t *testing.T) {
	r := deflating
	in := join(first(txt, true, hexa(helloDeflated)), first(txt, false, hexa(helloDeflated)[:2]), frame(cont, true, hexa(helloDeflated)[2:]))
	for i, piece := range bytewise(in) {
		if err := r.Feed(piece, testLimit, new(recorder)); err != nil {
			t.Fatal(err)
		}
		if got, want := r.part == nil, i+1 == 13 || i+1 == len(in); got != want {
			t.Errorf("after %d bytes: idle = %v, want %v", i+1, got, want)
		}
	}
}

// What was borrowed keeps nothing of a message.
func TestPoolsKeepNoMessage(t *testing.T) {
	z := inflaters.Get().(*inflater)
	defer inflaters.Put(z)
	for _, piece := range z.pieces[:cap(z.pieces)] {
		if piece != nil {
			t.Error("an inflater keeps a piece of a message")
		}
	}
	d := new(deflater)
	d.w, _ = flate.NewWriter(d, flate.BestSpeed)
	if d.frame(ws.OpBinary, noise(100_000)) != nil || cap(d.out) > keptBuffer {
		t.Errorf("a deflater keeps %d bytes", cap(d.out))
	}
}

func TestDeflateAllocations(t *testing.T) {
	const frames = 10
	plain := AppendMessage(nil, false, jsonLike(1024))
	sent := asCompressingClient(t, DeflateFrames(plain))
	scratch := make([]byte, len(sent))
	r, s := deflating, new(sink)
	inflating := testing.AllocsPerRun(100, func() {
		for range frames {
			copy(scratch, sent) // Feed has unmasked it
			if r.Feed(scratch, testLimit, s) != nil {
				t.Fatal("violation")
			}
		}
	})
	deflating := testing.AllocsPerRun(100, func() {
		for range frames {
			DeflateFrames(plain)
		}
	})
	if raceEnabled {
		return // it makes pools forget a quarter of what they get
	}
	// The library allocates the overflow of two code tables for each block with long codes.
	if inflating > 3*frames || deflating > frames {
		t.Errorf("%d messages of 1 KiB: %v allocations to inflate them and %v to deflate them, want three and one each", frames, inflating, deflating)
	}
}

// naiveInflate inflates a whole message with the library alone.
func naiveInflate(p []byte, limit int64) (data []byte, code int) {
	src := bytes.NewReader(append(bytes.Clone(p), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...))
	data, err := io.ReadAll(io.LimitReader(flate.NewReader(src), limit+1))
	switch left := src.Len(); {
	case int64(len(data)) > limit:
		return nil, 1009
	case err != nil:
		return nil, 1002
	case left == 0, left == 5, left == 9, left == 10 && p[len(p)-1] == 0:
		return data, 0
	}
	return nil, 1002
}

// FuzzDeflatingReader is FuzzReader with compression agreed on; in is also the payload of compressed messages, right or wrong, and
// what a client compresses.
func FuzzDeflatingReader(f *testing.F) {
	for _, c := range append(deflateFramingCases, deflateDataCases...) {
		f.Add(c.in, []byte{2, 0, 5}, uint16(1000))
		f.Add(c.in, []byte{6}, uint16(3))
		if len(c.in) > 6 {
			in := bytes.Clone(c.in[6:])
			ws.Cipher(in, testMask, 0)
			f.Add(in, []byte{1}, uint16(100)) // the payload
		}
	}
	f.Fuzz(func(t *testing.T, in, sizes []byte, limit uint16) {
		check := func(how string, in []byte) outcome {
			whole := feedTo(t, deflating, int64(limit), in)
			same(t, how+" byte by byte", feedTo(t, deflating, int64(limit), bytewise(in)...), whole)
			same(t, how+" in pieces", feedTo(t, deflating, int64(limit), cut(in, sizes)...), whole)
			sameAsNaive(t, deflating, in, int64(limit), whole)
			return whole
		}
		check("frames", in)
		check("payload", first(txt, true, string(in)))
		half := len(in) / 2
		check("payload in fragments", join(first(bn, false, string(in[:half])), control(ws.OpPing, ""), frame(cont, true, string(in[half:]))))
		sent := first(bn, true, deflated(string(in), flate.BestSpeed))
		if got := check("round trip", sent); len(in) <= int(limit) {
			same(t, "round trip", got, outcome{events: []event{bin(string(in))}})
		}
		if z := DeflateFrames(AppendMessage(nil, true, in)); z != nil {
			same(t, "read back", feedTo(t, deflating, testLimit, asCompressingClient(t, z)), outcome{events: []event{bin(string(in))}})
		}
	})
}

// jsonLike is n bytes of what an application may send.
func jsonLike(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	names, words := strings.Fields("alice bob carol dave erin frank"), strings.Fields("lunch is ready the meeting moved to deploy failed again thanks who has seen my keys")
	b := []byte("[")
	for len(b) < n {
		b = fmt.Appendf(b, `{"id":%d,"user":%q,"ts":%d,"x":%.3f,"text":"`, r.IntN(1e6), names[r.IntN(len(names))], 1_700_000_000+r.IntN(1e8), r.Float64())
		for range 3 + r.IntN(6) {
			b = append(append(b, words[r.IntN(len(words))]...), ' ')
		}
		b = append(b, `"},`...)
	}
	return b[:n]
}

var deflateSizes = []int{256, 1 << 10, 16 << 10}

func BenchmarkDeflateFrame(b *testing.B) {
	for _, n := range deflateSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			plain := AppendMessage(nil, false, jsonLike(n))
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				DeflateFrames(plain)
			}
			b.ReportMetric(float64(len(DeflateFrames(plain))), "bytes")
		})
	}
}

func BenchmarkFeedDeflated(b *testing.B) {
	for _, n := range deflateSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			z := DeflateFrames(AppendMessage(nil, false, jsonLike(n)))
			in := binary.BigEndian.AppendUint16([]byte{0xc1, 0x80 | 126}, uint16(len(z)-headerSize(z)))
			in = append(append(in, 0, 0, 0, 0), z[headerSize(z):]...) // a mask of zero: unmasking leaves the input what it was
			if len(z)-headerSize(z) < 126 {
				b.Fatal("the length is not in its shortest encoding")
			}
			r, s := deflating, new(sink)
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				if err := r.Feed(in, testLimit, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
