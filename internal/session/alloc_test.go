// alloc_test.go: what a frame costs, as tests for allocations and as benchmarks for time.

package session

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// sink takes events and keeps nothing.
type sink struct{ events int }

func (s *sink) OnMessage(bool, []byte) { s.events++ }
func (s *sink) OnPing([]byte)          { s.events++ }
func (s *sink) OnPong([]byte)          { s.events++ }
func (s *sink) OnClose(int, string)    { s.events++ }

// TestAllocations counts per 10 frames: AllocsPerRun rounds down, and what is allocated for every second frame must show.
func TestAllocations(t *testing.T) {
	const frames = 10
	small, big := strings.Repeat("x", 128), strings.Repeat("x", 70000)
	for _, c := range []struct {
		name   string
		frame  []byte
		pieces int // each frame comes in so many
		want   float64
	}{
		{"text", frame(txt, true, small), 1, frames},
		{"big text", frame(txt, true, big), 1, frames},
		{"binary", frame(bn, true, small), 1, frames},
		{"empty text", frame(txt, true, ""), 1, 0},
		{"ping", frame(ws.OpPing, true, small[:125]), 1, 0},
		{"pong", frame(ws.OpPong, true, ""), 1, 0},
		{"text in two pieces", frame(txt, true, small), 2, frames},
		{"ping in two pieces", frame(ws.OpPing, true, small[:125]), 2, 0},
		{"text in fragments", join(frame(txt, false, small), frame(cont, true, "")), 1, frames * 2},
	} {
		var r Reader
		var s sink
		scratch := make([]byte, len(c.frame))
		got := testing.AllocsPerRun(100, func() {
			for range frames {
				copy(scratch, c.frame) // Feed has unmasked it
				mid := len(scratch) * (c.pieces - 1) / 2
				if r.Feed(scratch[:mid], testLimit, &s) != nil || r.Feed(scratch[mid:], testLimit, &s) != nil {
					t.Fatal("violation")
				}
			}
		})
		if s.events != 101*frames {
			t.Errorf("%s: %d events, want %d", c.name, s.events, 101*frames)
		}
		// The race detector makes pools forget a quarter of what they get.
		if got > c.want && !raceEnabled {
			t.Errorf("%s: %v allocations per %d frames, want %v", c.name, got, frames, c.want)
		}
	}
}

func TestAppendAllocations(t *testing.T) {
	payload, dst := make([]byte, 128), make([]byte, 0, 512)
	for _, c := range []struct {
		name string
		run  func()
		want float64
	}{
		{"message into a new slice", func() { AppendMessage(nil, true, payload) }, 1},
		{"message", func() { AppendMessage(dst, true, payload) }, 0},
		{"ping", func() { AppendPing(dst, payload) }, 0},
		{"close", func() { AppendClose(dst, 1001, "going away") }, 0},
	} {
		if got := testing.AllocsPerRun(1000, c.run); got > c.want && !raceEnabled {
			t.Errorf("%s: %v allocations, want %v", c.name, got, c.want)
		}
	}
}

// benchmarkFeed feeds batch frames per Feed. The mask is zero: unmasking costs the same, and the input stays what it was.
func benchmarkFeed(b *testing.B, size, batch int) {
	one := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewTextFrame(bytes.Repeat([]byte("x"), size)), [4]byte{}))
	in := bytes.Repeat(one, batch)
	var r Reader
	var s sink
	b.ReportAllocs()
	b.SetBytes(int64(size))
	for n := 0; n < b.N; n += batch {
		if err := r.Feed(in, testLimit, &s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFeed128(b *testing.B)      { benchmarkFeed(b, 128, 1) }
func BenchmarkFeed128Batch(b *testing.B) { benchmarkFeed(b, 128, 32) }
func BenchmarkFeed16K(b *testing.B)      { benchmarkFeed(b, 16<<10, 1) }

// BenchmarkFeed16KPieces is the same message in pieces of 4 KiB, which is what a small read buffer makes of it.
func BenchmarkFeed16KPieces(b *testing.B) {
	in := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewTextFrame(bytes.Repeat([]byte("x"), 16<<10)), [4]byte{}))
	var r Reader
	var s sink
	b.ReportAllocs()
	b.SetBytes(16 << 10)
	for b.Loop() {
		for i := 0; i < len(in); i += 4 << 10 {
			if err := r.Feed(in[i:min(len(in), i+4<<10)], testLimit, &s); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	payload := make([]byte, 128)
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	b.SetBytes(128)
	for b.Loop() {
		AppendMessage(dst, false, payload)
	}
}
