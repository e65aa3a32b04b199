package roomcast

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/roomcast/roomcast/internal/netloop"
)

// An outbox is, for whatever sizes of frames, of scratch buffers and of partial writes, the bytes of its frames in order.
func TestOutboxModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o outbox
		var want, got []byte
		awake, added, sent := false, 0, 0
		scratch := make([]byte, rapid.SampledFrom([]int{1, 10, 64 << 10}).Draw(t, "scratch"))
		pieces := make([][]byte, rapid.SampledFrom([]int{1, 2, 64}).Draw(t, "pieces"))
		write := func() {
			p := bytes.Join(o.output(scratch, pieces[:0:len(pieces)]), nil)
			if len(p) == 0 {
				awake = false
				return
			}
			n := rapid.IntRange(1, len(p)).Draw(t, "taken")
			got = append(got, p[:n]...)
			more, frames, _ := o.taken(n)
			if awake, sent = more, sent+frames; awake != (o.bytes > 0) {
				t.Fatalf("taken wants more to be asked for: %v, while %d bytes wait", awake, o.bytes)
			}
		}
		for i := range rapid.IntRange(1, 300).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "add") {
				size := rapid.SampledFrom([]int{1, 2, 130, 1<<10 - 1, 1 << 10,
					netloop.DirectSize - 1, netloop.DirectSize, 3 * netloop.DirectSize}).Draw(t, "size")
				f := &frame{bytes: bytes.Repeat([]byte{byte(i)}, size)}
				want = append(want, f.bytes...)
				added++
				if wake := o.add(f); wake == awake {
					t.Fatalf("add asks to be woken: %v, while the writer is awake: %v", wake, awake)
				}
				awake = true
			} else if awake {
				write()
			}
			if o.bytes != len(want)-len(got) {
				t.Fatalf("%d bytes wait, want %d", o.bytes, len(want)-len(got))
			}
		}
		for awake {
			write()
		}
		if !bytes.Equal(got, want) {
			t.Fatal("what was written is not what was added")
		}
		if sent != added {
			t.Fatalf("%d frames counted as sent, of %d", sent, added)
		}
		if o.waiting() != 0 || o.rest != nil || o.bytes != 0 {
			t.Fatalf("an empty outbox keeps a queue, or counts %d bytes", o.bytes)
		}
	})
}

// After drop nothing is output, whatever the writer reports about what it held, and the writer is told once that it was the last.
func TestOutboxDrop(t *testing.T) {
	var o outbox
	o.add(&frame{bytes: make([]byte, 10)})
	o.add(&frame{bytes: make([]byte, 10)})
	pieces := make([][]byte, 1)
	p := o.output(make([]byte, 100), pieces[:0])[0]
	if o.drop() {
		t.Error("drop wants the writer woken that is at work")
	}
	o.taken(len(p))
	if p := o.output(make([]byte, 100), pieces[:0]); len(p) != 0 || o.bytes != 0 {
		t.Errorf("after drop: %d bytes to write, %d counted", len(p), o.bytes)
	}
	if o.close(&frame{bytes: make([]byte, 1)}) || o.drop() {
		t.Error("a writer that has been told the last is woken again")
	}
}
