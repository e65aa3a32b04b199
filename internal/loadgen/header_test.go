package loadgen

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run := runWord(rapid.Uint64().Draw(t, "run"))
		in := stamp{
			room:   rapid.IntRange(0, maxMember).Draw(t, "room"),
			sender: rapid.IntRange(0, maxMember).Draw(t, "sender"),
			seq:    rapid.Uint64Range(0, wordMax).Draw(t, "seq"),
			due:    rapid.Int64Range(0, wordMax).Draw(t, "due"),
		}
		b := appendHeader(nil, run, in)
		if out, ok := readHeader(b, run); !ok || out != in || len(b) != HeaderBytes {
			t.Fatalf("%+v became %q and that %+v, %v", in, b, out, ok)
		}
		if !json.Valid(append(append([]byte{'"'}, b...), '"')) || bytes.IndexByte(b, '\\') >= 0 {
			t.Fatalf("%q does not stand for itself in a JSON string", b)
		}
		at := rapid.IntRange(0, HeaderBytes-1).Draw(t, "at")
		b[at] = rapid.SampledFrom([]byte{0, ' ', '/', '\\', 'q', 0x7f, 0x80, 0xff}).Draw(t, "wrong")
		if out, ok := readHeader(b, run); ok {
			t.Fatalf("%q was read as %+v", b, out)
		}
	})
	if _, ok := readHeader(appendHeader(nil, runWord(1), stamp{}), runWord(2)); ok {
		t.Error("the header of another run was taken")
	}
}
