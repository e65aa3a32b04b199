package protocol

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	ann    = Sender{Connection: "c7Qm2x", User: "ann"}
	text1  = Payload{Bytes: []byte(`{"text":"lunch is ready"}`)}
	kept   = Position{Epoch: "k3v9", Offset: 57}
	bytes1 = Payload{Bytes: []byte("\x00\x01\xfe\xff"), Binary: true}
)

// requests are the golden files of what a client sends.
var requests = map[string]Request{
	"join":           {Type: Join, ID: []byte("1"), Room: "kitchen"},
	"leave":          {Type: Leave, ID: []byte("2"), Room: "kitchen"},
	"send":           {Type: Send, ID: []byte("3"), Room: "kitchen", Payload: text1, Echo: true},
	"send-no-echo":   {Type: Send, Room: "kitchen", Payload: Payload{Bytes: []byte("12.50")}},
	"send-base64":    {Type: Send, ID: []byte(`"a-4"`), Room: "kitchen", Payload: bytes1, Echo: true},
	"send-key":       {Type: Send, Room: "board", Payload: Payload{Bytes: []byte(`{"x":12,"y":40}`)}, Key: "cursor-1"},
	"send-as":        {Type: Send, ID: []byte("9"), Room: "kitchen", Payload: text1, Echo: true, As: "bob"},
	"send-once":      {Type: Send, ID: []byte("14"), Room: "kitchen", Payload: text1, Echo: true, Once: "a-17"},
	"members":        {Type: List, ID: []byte("10"), Room: "kitchen", Limit: MaxMembers},
	"members-page":   {Type: List, ID: []byte("15"), Room: "kitchen", After: "d1Rt9z", Limit: 50},
	"history":        {Type: Read, ID: []byte("17"), Room: "kitchen", Limit: 50},
	"history-since":  {Type: Read, ID: []byte("18"), Room: "kitchen", Since: &Position{Epoch: "k3v9", Offset: 41}, Limit: MaxHistory},
	"history-before": {Type: Read, ID: []byte("19"), Room: "kitchen", Before: &Position{Epoch: "k3v9", Offset: 41}, Limit: MaxHistory},
	"join-since":     {Type: Join, ID: []byte("12"), Room: "kitchen", Since: &Position{Epoch: "k3v9", Offset: 41}},
	"join-presence":  {Type: Join, ID: []byte("13"), Room: "kitchen", Presence: true},
	"resume": {Type: Resume, ID: []byte("11"), Resume: "r5Yq8LwE0aT2", Positions: []RoomPosition{
		{"kitchen", Position{"k3v9", 41}}, {"board", Position{"x0Pd", 7}}}},
	"resume-no-rooms":   {Type: Resume, ID: []byte("11"), Resume: "r5Yq8LwE0aT2"},
	"direct-connection": {Type: Direct, ID: []byte("5"), To: Target{Connection: "c7Qm2x"}, Payload: Payload{Bytes: []byte(`"psst"`)}},
	"direct-user":       {Type: Direct, ID: []byte("6"), To: Target{User: "ann"}, Payload: Payload{Bytes: []byte(`"psst"`)}},
	"token":             {Type: Token, ID: []byte("7"), Token: "eyJhbGciOi…"},
	"ping":              {Type: Ping, ID: []byte("8")},
}

// events are the golden files of what the server sends.
var events = map[string][]byte{
	"hello": AppendHello(nil, Hello{
		Server: "roomcast 0.2.0", Connection: "c7Qm2x", Session: "s9fKw3Vb", User: "ann", Resume: "r5Yq8LwE0aT2",
		TokenTTL: 15 * time.Minute, SessionTTL: time.Minute,
		Limits: Limits{
			MessageBytes: 65536, Rooms: 1000, RoomNameBytes: 255,
			MessagesPerSecond: 100, BytesPerSecond: 1 << 20, JoinsPerSecond: 50, PingInterval: 30 * time.Second,
		},
	}),
	"hello-least":      AppendHello(nil, Hello{Server: "roomcast 0.2.0", Connection: "c7Qm2x", Session: "s9fKw3Vb"}),
	"ack":              AppendAck(nil, []byte("1"), 0),
	"ack-token":        AppendAck(nil, []byte("7"), 15*time.Minute),
	"ack-join":         AppendJoinAck(nil, []byte("1"), Placed{Position: kept}),
	"ack-join-since":   AppendJoinAck(nil, []byte("12"), Placed{Position: Position{"k3v9", 41}, Since: true, Recovered: true}),
	"ack-join-gone":    AppendJoinAck(nil, []byte("12"), Placed{Position: kept, Since: true}),
	"ack-send":         AppendAckAt(nil, []byte("14"), Position{"k3v9", 58}),
	"resumed":          AppendResumed(nil, []byte("11"), Resumed{Resumed: true, Session: "s9fKw3Vb", Connection: "c7Qm2x", Resume: "r8Nb1KsX4uV6"}),
	"resumed-not":      AppendResumed(nil, []byte("11"), Resumed{Session: "s9fKw3Vb", Connection: "c7Qm2x", Resume: "r8Nb1KsX4uV6"}),
	"pong":             AppendPong(nil, []byte("8")),
	"pong-without-id":  AppendPong(nil, nil),
	"error":            AppendError(nil, Error{ID: []byte("3"), Code: NotJoined, Message: "not in this room; join it first", Room: "kitchen"}),
	"error-throttled":  AppendError(nil, Error{ID: []byte("3"), Code: Throttled, Message: "more than 100 messages per second", Room: "kitchen", RetryAfter: 250 * time.Millisecond}),
	"error-without-id": AppendError(nil, Error{Code: BadRequest, Message: `"type" is missing`}),
	"message":          wholeMessage(nil, "kitchen", ann, text1),
	"message-anonymous": wholeMessage(nil, "kitchen", Sender{Connection: "c7Qm2x"},
		Payload{Bytes: []byte("12.50")}),
	"message-user":    wholeMessage(nil, "kitchen", Sender{User: "ann"}, text1),
	"message-backend": wholeMessage(nil, "kitchen", Sender{}, text1),
	"message-base64":  wholeMessage(nil, "kitchen", ann, bytes1),
	"message-at":      AppendMessageAt(nil, "kitchen", Position{"k3v9", 58}, AppendBody(nil, ann, text1)),
	"history": AppendHistory(nil, []byte("17"), "kitchen", History{Epoch: "k3v9", First: 57, Last: 58, Messages: []Kept{
		{57, AppendBody(nil, ann, text1)}, {58, AppendBody(nil, Sender{}, bytes1)}}}),
	"history-none":  AppendHistory(nil, nil, "cellar", History{}),
	"direct":        AppendDirect(nil, ann, Payload{Bytes: []byte(`"psst"`)}),
	"direct-base64": AppendDirect(nil, ann, bytes1),
	"members": AppendMembers(nil, []byte("10"), "kitchen", Members{
		Count: 2, Users: 2, Listed: []Sender{ann, {Connection: "d1Rt9z"}}}),
	"members-page": AppendMembers(nil, []byte("16"), "kitchen", Members{
		Count: 3, Users: 2, Listed: []Sender{ann}, Next: "c7Qm2x"}),
	"members-none":       AppendMembers(nil, nil, "cellar", Members{}),
	"presence":           AppendPresence(nil, "kitchen", Presence{Count: 3, Users: 2, Joined: []Sender{ann}, Left: []Sender{{Connection: "d1Rt9z"}}}),
	"presence-truncated": AppendPresence(nil, "stadium", Presence{Count: 20114, Users: 19870, Truncated: true}),
	"joined":             AppendJoined(nil, "kitchen", Placed{}),
	"joined-history":     AppendJoined(nil, "kitchen", Placed{Position: kept}),
	"joined-recovered":   AppendJoined(nil, "kitchen", Placed{Position: Position{"k3v9", 41}, Since: true, Recovered: true}),
	"joined-gone":        AppendJoined(nil, "board", Placed{Since: true}),
	"left":               AppendLeft(nil, "kitchen", "the kitchen is closed"),
	"throttled":          AppendThrottled(nil, 250*time.Millisecond),
	"draining":           AppendDraining(nil, 4200*time.Millisecond),
	"gap":                AppendGap(nil, "kitchen", 12),
}

// golden compares a message with its file, `go test ./internal/server/protocol -update` writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	got = append(slices.Clip(got), '\n')
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s (-update rewrites it):\n got %s\nwant %s", name, got, want)
	}
	if !json.Valid(got) {
		t.Errorf("%s is not JSON: %s", name, got)
	}
}

// TestRequestFiles holds what each file of a client's message means.
func TestRequestFiles(t *testing.T) {
	for name, want := range requests {
		file := "testdata/client/" + name + ".json"
		golden(t, file, appendRequest(nil, want))
		p, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got, fault := Decode(p); fault != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %+v, want %+v", file, got, fault, want)
		}
	}
}

func TestEventFiles(t *testing.T) {
	for name, got := range events {
		golden(t, "testdata/server/"+name+".json", got)
	}
}

// TestNoStrayFiles holds that every golden file is one of a message.
func TestNoStrayFiles(t *testing.T) {
	for _, file := range files(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		_, client := requests[name]
		_, server := events[name]
		if filepath.Base(filepath.Dir(file)) == "client" && !client || filepath.Base(filepath.Dir(file)) == "server" && !server {
			t.Errorf("%s belongs to no message", file)
		}
	}
}

// files are the paths of all golden files.
func files(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("testdata/*/*.json")
	if err != nil || len(found) != len(requests)+len(events) {
		t.Errorf("%d golden files, %v; want %d", len(found), err, len(requests)+len(events))
	}
	return found
}
