package protocol

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// nested is a ping with data nested so that the whole message is n deep.
func nested(n int) string {
	return `{"type":"ping","id":1,"data":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`
}

// TestDecode holds what is accepted, and as what.
func TestDecode(t *testing.T) {
	value := func(s string) Payload { return Payload{Bytes: []byte(s)} }
	for frame, want := range map[string]Request{
		" \r\n\t{ \"type\" : \"join\" , \"room\" : \"a\" } \n":           {Type: Join, Room: "a"},
		`{"\u0074ype":"jo\u0069n","room":"\ud83c\udf72\"\\\/"}`:          {Type: Join, Room: `🍲"\/`},
		`{"type":"join","room":""}`:                                      {Type: Join},
		`{"type":"join","room":"half a pair \ud800"}`:                    {Type: Join, Room: "half a pair \uFFFD"},
		`{"type":"join","room":"a","id":-1.50e+7}`:                       {Type: Join, Room: "a", ID: []byte("-1.50e+7")},
		`{"type":"join","room":"a","id":"\u00e9"}`:                       {Type: Join, Room: "a", ID: []byte(`"\u00e9"`)},
		`{"type":"join","room":"a","id":""}`:                             {Type: Join, Room: "a", ID: []byte(`""`)},
		`{"type":"join","room":"a","id":null,"token":5,"to":[]}`:         {Type: Join, Room: "a"},
		`{"type":"join","room":"a","Room":1,"x":{"room":[{}]},"x":"\""}`: {Type: Join, Room: "a"},
		`{"type":"send","room":"a","data":null}`:                         {Type: Send, Room: "a", Payload: value("null"), Echo: true},
		`{"type":"send","room":"a","data": 1.10 ,"base64":null}`:         {Type: Send, Room: "a", Payload: value("1.10"), Echo: true},
		`{"type":"send","room":"a","data":{"a" : 1,"a":"]}"} }`:          {Type: Send, Room: "a", Payload: value(`{"a" : 1,"a":"]}"}`), Echo: true},
		`{"type":"send","room":"a","data":"<&> ","echo":null}`:           {Type: Send, Room: "a", Payload: value(`"<&> "`), Echo: true},
		`{"type":"send","room":"a","data":true,"echo":true}`:             {Type: Send, Room: "a", Payload: value("true"), Echo: true},
		`{"type":"send","room":"a","base64":"","echo":false}`:            {Type: Send, Room: "a", Payload: Payload{Bytes: []byte{}, Binary: true}},
		`{"type":"send","room":"a","base64":"\u002b\/+/"}`:               {Type: Send, Room: "a", Payload: Payload{Bytes: []byte("\xfb\xff\xbf"), Binary: true}, Echo: true},
		`{"type":"direct","to":{"user":"b","connection":null,"x":1},"data":0}`: {
			Type: Direct, To: Target{User: "b"}, Payload: value("0")},
		`{"type":"send","room":"a","data":1,"idempotency_key":null,"key":""}`: {Type: Send, Room: "a", Payload: value("1"), Echo: true},
		`{"type":"send","room":"a","data":1,"idempotency_key":"` + strings.Repeat("k", MaxKeyBytes) + `"}`: {
			Type: Send, Room: "a", Payload: value("1"), Echo: true, Once: strings.Repeat("k", MaxKeyBytes)},
		`{"type":"join","room":"a","since":null,"presence":null}`: {Type: Join, Room: "a"},
		`{"type":"join","room":"a","presence":true,"since":{"x":{},"offset" : 0, "\u0065poch":"\u0041"}}`: {
			Type: Join, Room: "a", Presence: true, Since: &Position{Epoch: "A"}},
		`{"type":"join","room":"a","since":{"epoch":"0123456789abcdef","offset":9007199254740991,"room":7}}`: {
			Type: Join, Room: "a", Since: &Position{Epoch: "0123456789abcdef", Offset: 1<<53 - 1}},
		`{"type":"members","room":"a","after":"","limit":1}`:     {Type: List, Room: "a", Limit: 1},
		`{"type":"members","room":"a","after":null,"limit":100}`: {Type: List, Room: "a", Limit: 100},
		`{"type":"members","room":"a","limit":null,"since":5}`:   {Type: List, Room: "a", Limit: 100},
		`{"type":"resume","resume":"s","rooms":null}`:            {Type: Resume, Resume: "s"},
		`{"type":"resume","resume":"s","rooms":[ ]}`:             {Type: Resume, Resume: "s"},
		`{"type":"resume","resume":"s","rooms":[ {"epoch":"e","offset":3,"room":"]"} , {"room":"","offset":4,"epoch":"f"}]}`: {
			Type: Resume, Resume: "s", Positions: []RoomPosition{{"]", Position{"e", 3}}, {"", Position{"f", 4}}}},
		`{"type":"ping"}`: {Type: Ping},
		nested(MaxDepth):  {Type: Ping, ID: []byte("1")},
		`{"type":"ping","id":"` + strings.Repeat("x", MaxIDBytes-2) + `"}`: {
			Type: Ping, ID: []byte(`"` + strings.Repeat("x", MaxIDBytes-2) + `"`)},
	} {
		if got, fault := Decode([]byte(frame)); fault != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %+v; want %+v", frame, got, fault, want)
		}
	}
}

// refused are the frames answered with an error: its code, the id it carries, and what the text says.
var refused = []struct {
	frame string
	code  ErrorCode
	id    string
	text  string
}{
	{`{}`, BadRequest, "", `"type" is missing`},
	{`{"Type":"ping"}`, BadRequest, "", `"type" is missing`},
	{`{"id":1}`, BadRequest, "1", `"type" is missing`},
	{`{"id":1,"type":null}`, BadRequest, "1", `"type" is missing`},
	{`{"id":1,"type":7}`, BadRequest, "1", `"type" has to be a string`},
	{`{"id":"a","type":"dance"}`, UnknownType, `"a"`, `unknown type "dance"; use join,`},
	{`{"id":"a","type":"Ping"}`, UnknownType, `"a"`, `unknown type "Ping"`},
	{`{"type":"` + strings.Repeat("x", 9999) + `"}`, UnknownType, "", `xxx"; use`},
	{`{"type":"ping","id":true}`, BadRequest, "", `"id" has to be a number or a string`},
	{`{"type":"ping","id":[1]}`, BadRequest, "", `"id" has to be`},
	{`{"type":"ping","id":"` + strings.Repeat("x", MaxIDBytes-1) + `"}`, BadRequest, "", `"id" has 65 bytes; use at most 64`},
	{`{"type":"ping","id":1,"id":2}`, BadRequest, "1", `"id" is there twice`},
	{`{"type":"ping","id":1,"t\u0079pe":"join"}`, BadRequest, "1", `"type" is there twice`},
	{`{"type":"ping","id":1,"room":null,"room":null}`, BadRequest, "1", `"room" is there twice`},
	{nested(MaxDepth + 1), BadRequest, "1", "nested deeper than 64"},
	{strings.Repeat(`{"data":`, 1<<18), BadRequest, "", "nested deeper than 64"},
	{nested(9999), BadRequest, "1", "nested deeper than 64"},
	{`{"type":"join","id":1}`, BadRequest, "1", `"room" is missing`},
	{`{"type":"leave","id":1,"room":null}`, BadRequest, "1", `"room" is missing`},
	{`{"type":"send","id":1,"room":["a"],"data":1}`, BadRequest, "1", `"room" has to be a string`},
	{`{"type":"send","id":1,"room":"a"}`, BadRequest, "1", `"data" is missing`},
	{`{"type":"send","id":1,"room":"a","base64":null}`, BadRequest, "1", `"data" is missing`},
	{`{"type":"send","id":1,"room":"a","data":null,"base64":""}`, BadRequest, "1", "both there"},
	{`{"type":"send","id":1,"room":"a","data":1,"echo":0}`, BadRequest, "1", `"echo" has to be`},
	{`{"type":"send","id":1,"room":"a","base64":1}`, BadRequest, "1", `"base64" has to be a string`},
	{`{"type":"send","id":1,"room":"a","base64":"YQ"}`, BadRequest, "1", "standard base64"},
	{`{"type":"send","id":1,"room":"a","base64":"YR=="}`, BadRequest, "1", "standard base64"},
	{`{"type":"send","id":1,"room":"a","base64":"YW\nJj"}`, BadRequest, "1", "standard base64"},
	{`{"type":"send","id":1,"room":"a","base64":"-_-_"}`, BadRequest, "1", "standard base64"},
	{`{"type":"direct","id":1,"data":1}`, BadRequest, "1", `"to" has to be`},
	{`{"type":"direct","id":1,"to":"ann","data":1}`, BadRequest, "1", `"to" has to be`},
	{`{"type":"direct","id":1,"to":{},"data":1}`, BadRequest, "1", "one of them"},
	{`{"type":"direct","id":1,"to":{"user":""},"data":1}`, BadRequest, "1", "one of them"},
	{`{"type":"direct","id":1,"to":{"user":"a","connection":"b"},"data":1}`, BadRequest, "1", "one of them"},
	{`{"type":"direct","id":1,"to":{"user":"a","user":"b"},"data":1}`, BadRequest, "1", "once"},
	{`{"type":"direct","id":1,"to":{"connection":7},"data":1}`, BadRequest, "1", `"to.connection" has to be a string`},
	{`{"type":"direct","id":1,"to":{"user":7},"data":1}`, BadRequest, "1", `"to.user" has to be a string`},
	{`{"type":"direct","id":1,"to":{"user":"a"}}`, BadRequest, "1", `"data" is missing`},
	{`{"type":"send","id":1,"room":"a","data":1,"idempotency_key":7}`, BadRequest, "1", `"idempotency_key" has to be a string`},
	{`{"type":"send","id":1,"room":"a","data":1,"idempotency_key":"` + strings.Repeat("k", MaxKeyBytes+1) + `"}`, BadRequest, "1", `"idempotency_key" has 65 bytes; use at most 64`},
	{`{"type":"send","id":1,"room":"a","data":1,"key":"` + strings.Repeat("k", MaxKeyBytes+1) + `"}`, BadRequest, "1", `"key" has 65 bytes`},
	{`{"type":"join","id":1,"room":"a","presence":"yes"}`, BadRequest, "1", `"presence" has to be true or false`},
	{`{"type":"join","id":1,"room":"a","since":41}`, BadRequest, "1", `"since" has to have "epoch" and "offset"`},
	{`{"type":"join","id":1,"room":"a","since":{"offset":41}}`, BadRequest, "1", `"since.epoch" is missing`},
	{`{"type":"join","id":1,"room":"a","since":{"epoch":"","offset":41}}`, BadRequest, "1", `"since.epoch" has 0 bytes`},
	{`{"type":"join","id":1,"room":"a","since":{"epoch":"0123456789abcdefg","offset":41}}`, BadRequest, "1", `"since.epoch" has 17 bytes`},
	{`{"type":"join","id":1,"room":"a","since":{"epoch":"e"}}`, BadRequest, "1", `"since.offset" has to be a whole number`},
	{`{"type":"join","id":1,"room":"a","since":{"epoch":"e","offset":-1}}`, BadRequest, "1", `"since.offset" has to be`},
	{`{"type":"join","id":1,"room":"a","since":{"epoch":"e","offset":1.0}}`, BadRequest, "1", `"since.offset" has to be`},
	{`{"type":"join","id":1,"room":"a","since":{"epoch":"e","offset":"1"}}`, BadRequest, "1", `"since.offset" has to be`},
	{`{"type":"join","id":1,"room":"a","since":{"epoch":"e","offset":9007199254740992}}`, BadRequest, "1", `"since.offset" has to be`},
	{`{"type":"join","id":1,"room":"a","since":{"epoch":"e","offset":1,"offset":2}}`, BadRequest, "1", `"since.offset" is there twice`},
	{`{"type":"members","id":1,"room":"a","limit":0}`, BadRequest, "1", `"limit" has to be a whole number from 1 to 100`},
	{`{"type":"members","id":1,"room":"a","limit":101}`, BadRequest, "1", `"limit" has to be`},
	{`{"type":"members","id":1,"room":"a","limit":"5"}`, BadRequest, "1", `"limit" has to be`},
	{`{"type":"members","id":1,"room":"a","after":5}`, BadRequest, "1", `"after" has to be a string`},
	{`{"type":"resume","id":1}`, BadRequest, "1", `"resume" is missing`},
	{`{"type":"resume","id":1,"resume":""}`, BadRequest, "1", `"resume" is empty`},
	{`{"type":"resume","id":1,"resume":"s","rooms":{}}`, BadRequest, "1", `"rooms" has to be an array`},
	{`{"type":"resume","id":1,"resume":"s","rooms":[null]}`, BadRequest, "1", `"rooms" has to have`},
	{`{"type":"resume","id":1,"resume":"s","rooms":[[]]}`, BadRequest, "1", `"rooms" has to have`},
	{`{"type":"resume","id":1,"resume":"s","rooms":[{"epoch":"e","offset":1}]}`, BadRequest, "1", `"rooms.room" is missing`},
	{`{"type":"resume","id":1,"resume":"s","rooms":[{"room":"a","epoch":5,"offset":1},{}]}`, BadRequest, "1", `"rooms.epoch" has to be a string`},
	{`{"type":"resume","id":1,"resume":"s","rooms":[{"room":"a","epoch":"e","offset":1,"room":"b"}]}`, BadRequest, "1", `"rooms.room" is there twice`},
	{`{"type":"token","id":1}`, BadRequest, "1", `"token" is missing`},
	{`{"type":"token","id":1,"token":""}`, BadRequest, "1", `"token" is empty`},
}

func TestErrors(t *testing.T) {
	for _, c := range refused {
		r, fault := Decode([]byte(c.frame))
		if fault == nil {
			t.Errorf("%.80s: decoded as %+v, want an error", c.frame, r)
			continue
		}
		e := fault.Error
		if fault.Close != 0 || e.Code != c.code || string(e.ID) != c.id || !strings.Contains(e.Message, c.text) || len(e.Message) > 200 {
			t.Errorf("%.80s: close %d, %s, id %s, %q; want %s, id %s, %q", c.frame, fault.Close, e.Code, e.ID, e.Message, c.code, c.id, c.text)
		}
		if !json.Valid(AppendError(nil, e)) {
			t.Errorf("%.80s: the error is not JSON: %s", c.frame, AppendError(nil, e))
		}
	}
}

// TestErrorNamesTheRoom holds that a client without ids learns which room an error is about.
func TestErrorNamesTheRoom(t *testing.T) {
	if _, fault := Decode([]byte(`{"type":"send","room":"a"}`)); fault == nil || fault.Error.Room != "a" {
		t.Errorf("fault %+v, want one about room a", fault)
	}
}

// TestGarbage holds what ends the connection, with a reason that fits into a Close frame.
func TestGarbage(t *testing.T) {
	for _, frame := range []string{
		"", " ", "hello", "{", "}", `{"type":"ping"`, `{"type":"ping"}}`, `{"type":"ping"} {"type":"ping"}`, `{"type":"ping",}`,
		`{"type":ping}`, `{'type':'ping'}`, `{"type":"ping"}` + "\x00", "\ufeff" + `{"type":"ping"}`, `{"type":"a` + "\n" + `"}`,
		`[{"type":"ping"}]`, `"ping"`, "null", "1", `{"type":"\x"}`, `{"type":"ping","data":NaN}`, `{"type":"ping","data":01}`,
		`{"type":"` + "\xff" + `"}`, strings.Repeat("[", 1<<20), strings.Repeat("{", 1<<20), `{"a":1 "b":2}`, `{"a" 1}`, `{"a":[1 2]}`, `{"a":[1,]}`, `{"a":tru}`,
		`{"a":-}`, `{"a":1.}`, `{"a":1e}`, `{"a":"\u12g4"}`, `{"a":"\`, `{"a":"\u1`, `{"a":[}`, `{,}`, `{"a":}`, `{"a":+1}`, `{"a":.5}`,
	} {
		_, fault := Decode([]byte(frame))
		switch {
		case fault == nil || fault.Close != CloseBadRequest || fault.Error.Code != BadRequest:
			t.Errorf("%.80q: %+v, want a close with %d", frame, fault, CloseBadRequest)
		case fault.Error.Message == "" || len(fault.Error.Message) > 123:
			t.Errorf("%.80q: the reason %q has to have 1 to 123 bytes", frame, fault.Error.Message)
		}
	}
}

// TestPayloadKeepsItsBytes holds that what a sender wrote is what the others get.
func TestPayloadKeepsItsBytes(t *testing.T) {
	for _, value := range []string{
		"1.10", "123456789012345678901234567890", "1e400", "-0", `"\u2028\/<script>&"`, "\"\u2028\"", `"\ud800"`,
		`{"b" : 1,` + "\n\t" + `"a":[ ],"a":{}}`, "null", `" "`,
	} {
		r, fault := Decode([]byte(`{"data":` + value + `,"type":"send","room":"a"}`))
		if fault != nil {
			t.Errorf("%s: %+v", value, fault)
			continue
		}
		got := wholeMessage(nil, "a", Sender{}, r.Payload)
		if want := `{"type":"message","room":"a","data":` + value + `}`; string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestStrings holds that every string is escaped so that it means itself.
func TestStrings(t *testing.T) {
	all := ""
	for r := range rune(0x3000) {
		all += string(r)
	}
	for s, want := range map[string]string{
		all: all, "": "", "🍲": "🍲", "a\xffb\xe2\x80": "a\uFFFDb\uFFFD\uFFFD", "\uFFFD": "\uFFFD", "</script>": "</script>",
	} {
		encoded := appendString(nil, s)
		var got string
		if err := json.Unmarshal(encoded, &got); err != nil || got != want {
			t.Errorf("%.80q became %.80q, %v; want %.80q", s, got, err, want)
		}
		if bytes.ContainsAny(encoded, "\u2028\u2029\n") {
			t.Errorf("%.80q has an end of line in it", encoded)
		}
	}
	if got := string(appendString(nil, "\x00\u2028</>&é\x7f")); got != `"\u0000\u2028</>&é`+"\x7f\"" {
		t.Errorf("got %s", got)
	}
}

// TestAckNeedsAnID holds that a request without an id has no ack.
func TestAckNeedsAnID(t *testing.T) {
	for _, got := range [][]byte{
		AppendAck([]byte("x"), nil, 0), AppendAckAt([]byte("x"), nil, kept), AppendJoinAck([]byte("x"), nil, Placed{Position: kept}),
	} {
		if string(got) != "x" {
			t.Errorf("got %q, want nothing added", got)
		}
	}
}

// TestAcksAreOne holds that an ack that says nothing about a history is the same as that of any other request.
func TestAcksAreOne(t *testing.T) {
	id := []byte("1")
	for _, got := range [][]byte{AppendAckAt(nil, id, Position{}), AppendJoinAck(nil, id, Placed{})} {
		if want := AppendAck(nil, id, 0); !bytes.Equal(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestMessageIsItsParts holds that a message is the same made at once or of its body, which a history keeps.
func TestMessageIsItsParts(t *testing.T) {
	for _, from := range []Sender{ann, {User: "ann"}, {Connection: "c"}, {}} {
		for _, p := range []Payload{text1, bytes1} {
			body := AppendBody(nil, from, p)
			if got, want := AppendMessageAt(nil, "k", Position{}, body), wholeMessage(nil, "k", from, p); !bytes.Equal(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
			got := string(AppendMessageAt(nil, "k", kept, body))
			if want := `{"type":"message","room":"k","epoch":"k3v9","offset":57` + string(body) + `}`; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
}
