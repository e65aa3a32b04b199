package protocol

import (
	"encoding/json"
	"strings"
	"testing"
)

// payload128 is a JSON value of 128 bytes.
var payload128 = Payload{Bytes: []byte(`{"text":"` + strings.Repeat("x", 117) + `"}`)}

func BenchmarkDecodeSend128(b *testing.B) {
	p := appendRequest(nil, Request{Type: Send, ID: []byte("17"), Room: "kitchen", Payload: payload128, Echo: true})
	b.ReportAllocs()
	for b.Loop() {
		if _, fault := Decode(p); fault != nil {
			b.Fatal(fault)
		}
	}
}

// BenchmarkJSON128 is what encoding/json takes for the same frame, for comparison.
func BenchmarkJSON128(b *testing.B) {
	p := appendRequest(nil, Request{Type: Send, ID: []byte("17"), Room: "kitchen", Payload: payload128, Echo: true})
	b.ReportAllocs()
	for b.Loop() {
		var r struct {
			Type, Room string
			ID, Data   json.RawMessage
		}
		if err := json.Unmarshal(p, &r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendMessage128(b *testing.B) {
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = wholeMessage(out[:0], "kitchen", ann, payload128)
	}
}
