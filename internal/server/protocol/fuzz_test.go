package protocol

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzDecode holds that Decode agrees with encoding/json about what is an object and what its members are, that what decodes
// decodes to the same when a client sends it anew, and that whatever comes of a frame is one JSON object.
func FuzzDecode(f *testing.F) {
	for _, r := range requests {
		f.Add(appendRequest(nil, r))
	}
	for _, frame := range []string{
		"", "{}", "[]", nested(MaxDepth), nested(MaxDepth + 1), `{"type":"ping"}}`, `{"\u0074ype":"ping","id":"\"","x":[{"a":"}"}]}`,
		"{\"\\u\x10000\":[]}", `{"type":"join","id":1,"id":2}`, `{"type":"send","room":"\ud800 ","data":1 , "echo":false }`,
		`{"type":"resume","resume":"s","rooms":[ {"room":"a","Room":1,"epoch":"e","offset":3} , {"room":"b","offset":4,"epoch":"f"}]}`,
	} {
		f.Add([]byte(frame))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		r, fault := Decode(p)
		object := utf8.Valid(p) && json.Valid(p) && bytes.HasPrefix(bytes.TrimLeft(p, " \n\r\t"), []byte("{"))
		if fault != nil && strings.HasPrefix(fault.Error.Message, "nested deeper") {
			return // the rest was not looked at
		}
		if closes := fault != nil && fault.Close != 0; closes == object {
			t.Fatalf("an object: %v, fault: %+v", object, fault)
		}
		if fault != nil {
			if out := AppendError(nil, fault.Error); !json.Valid(out) {
				t.Fatalf("the error is not JSON: %s", out)
			}
			return
		}
		compare(t, p, r)
		again, fault := Decode(appendRequest(nil, r))
		if fault != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%+v became %+v, %+v", r, again, fault)
		}
		for _, out := range [][]byte{
			wholeMessage(nil, r.Room, Sender{r.To.Connection, r.To.User}, orNull(r.Payload)),
			AppendPong(nil, r.ID), AppendLeft(nil, r.Room, r.Token), AppendResumed(nil, r.ID, Resumed{Resume: r.Resume}),
			AppendMembers(nil, r.ID, r.Room, Members{Next: r.After}),
		} {
			if !json.Valid(out) || !utf8.Valid(out) {
				t.Fatalf("not JSON: %s", out)
			}
		}
	})
}

// compare holds a request to what encoding/json finds in its frame.
func compare(t *testing.T, p []byte, r Request) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(p, &all); err != nil {
		t.Fatal(err)
	}
	str := func(name string) (s string) {
		_ = json.Unmarshal(all[name], &s) // what is no string is the empty one
		return s
	}
	if str("type") != string(r.Type) {
		t.Fatalf("type %q, want %q", r.Type, str("type"))
	}
	if id := strings.TrimSuffix(string(all["id"]), "null"); string(r.ID) != id {
		t.Fatalf("id %s, want %s", r.ID, id)
	}
	if (r.Type == Join || r.Type == Leave || r.Type == Send) && r.Room != str("room") {
		t.Fatalf("room %q, want %q", r.Room, str("room"))
	}
	if (r.Type == Send || r.Type == Direct) && !r.Payload.Binary && !bytes.Equal(r.Payload.Bytes, all["data"]) {
		t.Fatalf("data %s, want %s", r.Payload.Bytes, all["data"])
	}
	if r.Type == Token && r.Token != str("token") {
		t.Fatalf("token %q, want %q", r.Token, str("token"))
	}
	if r.Type == Send && r.Once != str("idempotency_key") {
		t.Fatalf("idempotency key %q, want %q", r.Once, str("idempotency_key"))
	}
	comparePositions(t, all, r)
}

// comparePositions holds the positions of a request to what encoding/json finds.
func comparePositions(t *testing.T, all map[string]json.RawMessage, r Request) {
	position := func(raw json.RawMessage) (p RoomPosition) {
		var found map[string]json.RawMessage // not a struct, whose names are those of either case
		for _, err := range []error{
			json.Unmarshal(raw, &found), json.Unmarshal(found["epoch"], &p.Epoch), json.Unmarshal(found["offset"], &p.Offset),
		} {
			if err != nil {
				t.Fatalf("%s: %v", raw, err)
			}
		}
		_ = json.Unmarshal(found["room"], &p.Room)
		return p
	}
	if r.Since != nil && *r.Since != position(all["since"]).Position {
		t.Fatalf("since %v, want %s", *r.Since, all["since"])
	}
	var rooms []json.RawMessage
	if r.Type == Resume {
		_ = json.Unmarshal(all["rooms"], &rooms)
	}
	if len(rooms) != len(r.Positions) {
		t.Fatalf("%d positions, want %s", len(r.Positions), all["rooms"])
	}
	for i, raw := range rooms {
		if r.Positions[i] != position(raw) {
			t.Fatalf("position %v, want %s", r.Positions[i], raw)
		}
	}
}

// orNull is p, or null for a request that carries nothing.
func orNull(p Payload) Payload {
	if p.Bytes == nil {
		p.Bytes = []byte("null")
	}
	return p
}
