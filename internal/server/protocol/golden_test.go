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
	bytes1 = Payload{Bytes: []byte("\x00\x01\xfe\xff"), Binary: true}
)

// requests are the golden files of what a client sends.
var requests = map[string]Request{
	"join":              {Type: Join, ID: []byte("1"), Room: "kitchen"},
	"leave":             {Type: Leave, ID: []byte("2"), Room: "kitchen"},
	"send":              {Type: Send, ID: []byte("3"), Room: "kitchen", Payload: text1, Echo: true},
	"send-no-echo":      {Type: Send, Room: "kitchen", Payload: Payload{Bytes: []byte("12.50")}},
	"send-base64":       {Type: Send, ID: []byte(`"a-4"`), Room: "kitchen", Payload: bytes1, Echo: true},
	"send-key":          {Type: Send, Room: "board", Payload: Payload{Bytes: []byte(`{"x":12,"y":40}`)}, Key: "cursor-1"},
	"send-as":           {Type: Send, ID: []byte("9"), Room: "kitchen", Payload: text1, Echo: true, As: "bob"},
	"members":           {Type: List, ID: []byte("10"), Room: "kitchen"},
	"direct-connection": {Type: Direct, ID: []byte("5"), To: Target{Connection: "c7Qm2x"}, Payload: Payload{Bytes: []byte(`"psst"`)}},
	"direct-user":       {Type: Direct, ID: []byte("6"), To: Target{User: "ann"}, Payload: Payload{Bytes: []byte(`"psst"`)}},
	"token":             {Type: Token, ID: []byte("7"), Token: "eyJhbGciOi…"},
	"ping":              {Type: Ping, ID: []byte("8")},
}

// events are the golden files of what the server sends.
var events = map[string][]byte{
	"hello": AppendHello(nil, Hello{
		Server: "roomcast 0.2.0", Connection: "c7Qm2x", Session: "s9fKw3Vb", User: "ann", TokenTTL: 15 * time.Minute,
		Limits: Limits{
			MessageBytes: 65536, Rooms: 1000, RoomNameBytes: 255,
			MessagesPerSecond: 100, BytesPerSecond: 1 << 20, JoinsPerSecond: 50, PingInterval: 30 * time.Second,
		},
	}),
	"hello-least":      AppendHello(nil, Hello{Server: "roomcast 0.2.0", Connection: "c7Qm2x", Session: "s9fKw3Vb"}),
	"ack":              AppendAck(nil, []byte("1"), 0),
	"ack-token":        AppendAck(nil, []byte("7"), 15*time.Minute),
	"pong":             AppendPong(nil, []byte("8")),
	"pong-without-id":  AppendPong(nil, nil),
	"error":            AppendError(nil, Error{ID: []byte("3"), Code: NotJoined, Message: "not in this room; join it first", Room: "kitchen"}),
	"error-throttled":  AppendError(nil, Error{ID: []byte("3"), Code: Throttled, Message: "more than 100 messages per second", Room: "kitchen", RetryAfter: 250 * time.Millisecond}),
	"error-without-id": AppendError(nil, Error{Code: BadRequest, Message: `"type" is missing`}),
	"message":          AppendMessage(nil, "kitchen", ann, text1),
	"message-anonymous": AppendMessage(nil, "kitchen", Sender{Connection: "c7Qm2x"},
		Payload{Bytes: []byte("12.50")}),
	"message-user":    AppendMessage(nil, "kitchen", Sender{User: "ann"}, text1),
	"message-backend": AppendMessage(nil, "kitchen", Sender{}, text1),
	"message-base64":  AppendMessage(nil, "kitchen", ann, bytes1),
	"direct":          AppendDirect(nil, ann, Payload{Bytes: []byte(`"psst"`)}),
	"direct-base64":   AppendDirect(nil, ann, bytes1),
	"members":         AppendMembers(nil, []byte("10"), "kitchen", 2, []Sender{ann, {Connection: "d1Rt9z"}}),
	"members-none":    AppendMembers(nil, nil, "cellar", 0, nil),
	"joined":          AppendJoined(nil, "kitchen"),
	"left":            AppendLeft(nil, "kitchen", "the kitchen is closed"),
	"throttled":       AppendThrottled(nil, 250*time.Millisecond),
	"draining":        AppendDraining(nil, 4200*time.Millisecond),
	"gap":             AppendGap(nil, "kitchen", 12),
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
