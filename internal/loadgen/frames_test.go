package loadgen

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"
)

// event and its body, as TestFramer compares them.
type seenEvent struct {
	event event
	body  string
}

// events feeds p to a framer in pieces that end at the cuts.
func events(t interface{ Fatalf(string, ...any) }, filling []byte, envelope int, p []byte, cuts []int) []seenEvent {
	f := framer{filling: filling, envelope: envelope}
	var got []seenEvent
	start := 0
	for _, end := range append(slices.Sorted(slices.Values(cuts)), len(p)) {
		piece := bytes.Clone(p[start:end])
		for rest := piece; len(rest) > 0; {
			var e event
			var body []byte
			var err error
			if rest, e, body, err = f.next(rest); err != nil {
				t.Fatalf("%v", err)
			}
			if e != needMore {
				if e == damaged {
					body = body[:min(1, len(body))]
				}
				got = append(got, seenEvent{e, string(body)})
			}
		}
		clear(piece)
		start = end
	}
	if f.have != 0 {
		t.Fatalf("%d bytes of a frame are left", f.have)
	}
	return got
}

// TestFramer holds that a stream of frames means the same however it is cut.
func TestFramer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		filling := bytes.Repeat([]byte("x"), rapid.SampledFrom([]int{0, 1, 90, 94, 200, 70_000}).Draw(t, "filling"))
		most := rapid.SampledFrom([]int{0, 1, 100, 300}).Draw(t, "envelope")
		header := strings.Repeat("e", rapid.IntRange(0, most).Draw(t, "of it")) + strings.Repeat("h", HeaderBytes)
		var stream []byte
		var want []seenEvent
		add := func(op ws.OpCode, payload string, w seenEvent) {
			stream = append(stream, ws.MustCompileFrame(ws.NewFrame(op, true, []byte(payload)))...)
			want = append(want, w)
		}
		for range rapid.IntRange(1, 6).Draw(t, "frames") {
			switch rapid.IntRange(0, 5).Draw(t, "kind") {
			case 0, 1:
				op := rapid.SampledFrom([]ws.OpCode{ws.OpText, ws.OpBinary}).Draw(t, "op")
				add(op, header+string(filling), seenEvent{message, header})
			case 2:
				payload := strings.Repeat("p", rapid.IntRange(0, 125).Draw(t, "ping"))
				add(ws.OpPing, payload, seenEvent{ping, payload})
			case 3:
				add(ws.OpText, "too short", seenEvent{damaged, "t"})
			case 4:
				add(ws.OpText, strings.Repeat("e", most)+header+string(filling)+"?", seenEvent{damaged, (strings.Repeat("e", most) + header)[:1]})
			case 5:
				if len(filling) == 0 {
					continue
				}
				wrong := []byte(header + string(filling))
				wrong[len(header)+rapid.IntRange(0, len(filling)-1).Draw(t, "at")] = 'y'
				add(ws.OpText, string(wrong), seenEvent{damaged, header[:1]})
			}
		}
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(stream)), 0, 12).Draw(t, "cuts")
		if got := events(t, filling, most, stream, cuts); !slices.Equal(got, want) {
			t.Fatalf("%d events %v, want %d %v", len(got), got, len(want), want)
		}
	})
}

func TestFramerRefuses(t *testing.T) {
	for _, c := range []struct {
		bytes string
		want  error
	}{
		{"\x81\x80", errMasked},
		{"\xc1\x01", errReserved},
		{"\x01\x01", errFragment},
		{"\x80\x01", errFragment},
		{"\x83\x01", errOpcode},
		{"\x89\x7e", errLength},
		{"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", errLength},
	} {
		var whole, pieces framer
		if _, _, _, err := whole.next([]byte(c.bytes)); err != c.want {
			t.Errorf("% x: %v, want %v", c.bytes, err, c.want)
		}
		var err error
		for i := range c.bytes {
			_, _, _, err = pieces.next([]byte(c.bytes[i : i+1]))
		}
		if err != c.want {
			t.Errorf("% x in pieces: %v, want %v", c.bytes, err, c.want)
		}
	}
}

// FuzzFramer holds that no bytes of a server make it panic or stand still.
func FuzzFramer(f *testing.F) {
	f.Add([]byte("\x81\x20"+strings.Repeat("h", HeaderBytes)+"\x89\x00\x88\x02\x03\xe8"), 3)
	f.Add([]byte("\x81\x7e\x00\xff"), 1)
	f.Fuzz(func(t *testing.T, p []byte, size int) {
		fr := framer{filling: []byte("filling"), envelope: size & 0x100}
		for piece := range slices.Chunk(p, max(1, size&0xff)) {
			for rest := piece; len(rest) > 0; {
				next, _, _, err := fr.next(rest)
				if err != nil {
					return
				}
				if len(next) >= len(rest) {
					t.Fatalf("nothing was taken of % x", rest)
				}
				rest = next
			}
		}
	})
}
