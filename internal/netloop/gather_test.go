package netloop

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// What is gathered is the beginning of what was added, all of it until Add says no, in pieces that fit; what is large is not copied.
func TestGather(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scratch := make([]byte, rapid.SampledFrom([]int{1, 10, 64 << 10}).Draw(t, "scratch"))
		room := make([][]byte, 0, rapid.SampledFrom([]int{1, 2, 64}).Draw(t, "pieces"))
		large := pieceSize
		if cap(room) == 1 {
			large = DirectSize
		}
		var added []byte
		direct, want := map[*byte]bool{}, 0 // where what is large begins, and how much of it has been taken
		g := Gather(scratch, room)
		for i, more := 0, true; more && i < 200; i++ {
			size := rapid.SampledFrom([]int{1, 2, 130, pieceSize - 1, pieceSize, DirectSize - 1, DirectSize, 3 * DirectSize}).Draw(t, "size")
			p, before := bytes.Repeat([]byte{byte(i)}, size), g.bytes
			more = g.Add(p)
			if more && g.bytes-before != size {
				t.Fatalf("more is asked for, with %d of %d bytes taken", g.bytes-before, size)
			}
			added = append(added, p...)
			if size >= large {
				direct[&p[0]] = true
				want += g.bytes - before
			}
		}
		pieces := g.Pieces()
		got := bytes.Join(pieces, nil)
		if len(got) == 0 || len(got) != g.bytes || !bytes.HasPrefix(added, got) {
			t.Fatalf("%d bytes, counted as %d, are not the beginning of the %d that were added", len(got), g.bytes, len(added))
		}
		if len(pieces) > cap(room) || &pieces[0] != &room[:1][0] {
			t.Fatalf("%d pieces, where there is room for %d", len(pieces), cap(room))
		}
		for _, p := range pieces {
			switch {
			case len(p) == 0:
				t.Fatal("a piece is empty")
			case direct[&p[0]]:
				want -= len(p)
			case !within(p, scratch):
				t.Fatalf("a piece of %d bytes is neither in scratch nor what was added", len(p))
			}
		}
		if want != 0 {
			t.Fatalf("%d bytes of what is large have been copied", want)
		}
	})
}

// within reports whether p is a part of scratch.
func within(p, scratch []byte) bool {
	for i := range scratch {
		if &scratch[i] == &p[0] {
			return true
		}
	}
	return false
}
