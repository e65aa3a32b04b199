package natsengine

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/roomcast/roomcast"
)

func anyEntry(t *rapid.T) roomcast.Entry {
	return roomcast.Entry{
		Message: roomcast.Message{Data: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data"), Binary: rapid.Bool().Draw(t, "binary")},
		Except:  rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "except"),
		Key:     rapid.String().Draw(t, "key"),
		Once:    rapid.String().Draw(t, "once"),
	}
}

func TestCodecBringsBackWhatItWasGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(anyEntry), 0, 5).Draw(t, "entries")
		b := &batch{epoch: "e", first: rapid.Uint64Range(1, 1<<53).Draw(t, "first"), id: "n.1", count: uint64(len(want)), seq: 7}
		var bodies [][]byte
		for i := range want {
			body := encodeEntry(&want[i])
			bodies = append(bodies, body)
			b.body = append(b.body, body...)
			if len(want[i].Except) == 0 {
				want[i].Except = nil
			}
		}
		data := encodePassing("node", bodies)
		setNumber(data, 1<<40)
		passed, err := decodePassing(data)
		if (err != nil) != (len(want) == 0) || passed.node != "node" || passed.number != 1<<40 || !same(passed.entries, want) { // who is told something is told of an entry
			t.Fatalf("passing: %v, %+v, want %+v", err, passed, want)
		}
		got := decodeBatch(b.encode(), 7)
		kept, err := got.entries()
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			want[i].Position = roomcast.Position{Epoch: "e", Offset: b.first + uint64(i)}
		}
		if got.id != b.id || got.head() != b.head() || !same(kept, want) {
			t.Fatalf("kept: %+v %+v, want %+v %+v", got, kept, b, want)
		}
	})
}

func same(a, b []roomcast.Entry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if !bytes.Equal(x.Data, y.Data) {
			return false
		}
		x.Data, y.Data = nil, nil
		if !reflect.DeepEqual(x, y) {
			return false
		}
	}
	return true
}

// FuzzDecode: whoever may publish in the NATS account can send a node anything.
func FuzzDecode(f *testing.F) {
	e := roomcast.Entry{Message: roomcast.Text("hello"), Except: []string{"a", "b"}, Key: "k", Once: "o"}
	body := encodeEntry(&e)
	f.Add((&batch{epoch: "e", first: 1, id: "n.1", count: 1, body: body}).encode())
	f.Add(encodePassing("node", [][]byte{body, body}))
	f.Add([]byte{format, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		if b := decodeBatch(data, 1); b.bad == nil {
			if entries, err := b.entries(); err == nil && uint64(len(entries)) != b.count {
				t.Fatalf("%d entries of %d", len(entries), b.count)
			}
		}
		_, _ = decodePassing(data)
	})
}
