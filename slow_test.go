package roomcast

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// slowMember is a member of rooms with all policies whose socket takes what it is told to take. It remembers what was published and what
// has been written.
type slowMember struct {
	*Conn
	published map[string][]string // by room, in order: "key seq filling"
	stream    []byte
}

const slowLimit = 1200

// slowRooms are the rooms of the tests, by the policy that their name tells.
var slowRooms = map[string]Slow{"newest": SlowDropNewest, "oldest": SlowDropOldest, "latest": SlowKeepLatest}

func newSlowMember(t interface{ Fatal(...any) }) *slowMember {
	s := New(Handler{}, Options{
		PingInterval: -1, OutboxBytes: slowLimit,
		Slow: func(room string) Slow { return slowRooms[room] },
		Gap:  func(room string, missed int) Message { return Text(fmt.Sprintf("%s gap %d", room, missed)) },
	})
	m := &slowMember{Conn: newTestConn(s), published: map[string][]string{}}
	for room := range slowRooms {
		if err := m.Join(room); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *slowMember) publish(room, key string, filling int) Receipt {
	text := fmt.Sprintf("%s %s %d %s", room, key, len(m.published[room]), strings.Repeat("x", filling))
	m.published[room] = append(m.published[room], text)
	receipt, _ := m.srv.Publish(room, Publication{Messages: []Message{Text(text)}, Key: key})
	return receipt
}

// write lets the socket take some of what the outbox gives: n bytes at most, and meanwhile runs between.
func (m *slowMember) write(n int, between func()) (more bool) {
	var scratch [700]byte
	var room [3][]byte
	pieces, _ := m.Output(scratch[:], room[:0])
	between()
	if len(pieces) == 0 {
		return false
	}
	took := 0
	for _, p := range pieces {
		p = p[:min(len(p), n-took)]
		m.stream = append(m.stream, p...)
		took += len(p)
	}
	return m.Written(took)
}

// received takes the stream apart: payloads of frames with less than 64 KiB.
func (m *slowMember) received() (messages []string) {
	for p := m.stream; len(p) > 0; {
		size, head := int(p[1]), 2
		if size == 126 {
			size, head = int(p[2])<<8|int(p[3]), 4
		}
		messages = append(messages, string(p[head:head+size]))
		p = p[head+size:]
	}
	return messages
}

// judge holds what the member received against what was published, room by room.
func (m *slowMember) judge(t interface{ Fatalf(string, ...any) }) (missed, superseded int) {
	next := map[string]int{}
	gap := map[string]int{}
	last := map[string]map[string]int{} // room, key: the last message that came
	for room := range slowRooms {
		last[room] = map[string]int{}
	}
	skip := func(room string, seq int) { // those from next up to seq have not come
		for i := next[room]; i < seq; i++ {
			if gap[room] > 0 {
				gap[room]--
				missed++
			} else if room == "latest" {
				superseded++
			} else {
				t.Fatalf("%s: message %d is missing without a word; received %.20q", room, i, m.received())
			}
		}
		next[room] = seq + 1
	}
	for _, text := range m.received() {
		var room, key string
		var seq, n int
		if _, err := fmt.Sscanf(text, "%s gap %d", &room, &n); err == nil {
			gap[room] += n
			continue
		}
		if _, err := fmt.Sscanf(text, "%s %s %d", &room, &key, &seq); err != nil || m.published[room][seq] != text {
			t.Fatalf("received %q: damaged", text)
		}
		if seq < next[room] {
			t.Fatalf("%s: message %d after %d", room, seq, next[room]-1)
		}
		skip(room, seq)
		if gap[room] > 0 && room != "latest" {
			t.Fatalf("%s: told of %d more than were missing before message %d", room, gap[room], seq)
		}
		last[room][key] = seq
	}
	for room := range slowRooms {
		skip(room, len(m.published[room]))
		if gap[room] != 0 && room != "latest" {
			t.Fatalf("%s: told of %d more than were missing", room, gap[room])
		}
	}
	for _, text := range m.published["latest"] { // unless it was missed, the last one of a key has come
		var key string
		var seq int
		_, _ = fmt.Sscanf(text, "latest %s %d", &key, &seq)
		if got, ok := last["latest"][key]; missed == 0 && (!ok || got < seq) {
			t.Fatalf("latest: of key %s came %d, not %d", key, got, seq)
		}
	}
	return missed, superseded
}

// Whatever a slow member is spared, what it gets is in order and whole, and it is told exactly what is missing and where.
func TestG7_SlowPolicies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newSlowMember(t)
		publish := func() {
			for range rapid.IntRange(0, 40).Draw(t, "messages") {
				room := rapid.SampledFrom([]string{"newest", "oldest", "latest"}).Draw(t, "room")
				m.publish(room, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"), rapid.SampledFrom([]int{0, 1, 50, 400, 2000}).Draw(t, "filling"))
			}
			if m.out.bytes > slowLimit+2100 {
				t.Fatalf("%d bytes wait", m.out.bytes)
			}
		}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			publish()
			m.write(rapid.IntRange(0, 900).Draw(t, "taken"), publish)
		}
		for i := 0; m.write(1<<20, func() {}); i++ {
			if i > 1000 {
				t.Fatalf("the writing does not end: %+v", m.out)
			}
		}
		missed, superseded := m.judge(t)
		if st := m.srv.Stats(); int(st.Dropped+st.Superseded) != missed+superseded || st.Ended[EndOutboxFull] != 0 {
			t.Fatalf("counted %d dropped and %d superseded, of %d; %d closed", st.Dropped, st.Superseded, missed+superseded, st.Ended[EndOutboxFull])
		}
		if m.out.bytes != 0 || m.out.first != nil || m.out.rest != nil {
			t.Fatalf("something stays: %+v", m.out)
		}
	})
}

// What each policy keeps, when nothing is taken.
func TestG7_WhatIsKept(t *testing.T) {
	for room, want := range map[string]string{
		"newest": "0 1 2 3 4 5 6 7 8 9 gap 40 50",
		"oldest": "0 gap 42 43 44 45 46 47 48 49 50",
	} {
		m := newSlowMember(t)
		for range 50 {
			m.publish(room, "k", 100)
		}
		for m.write(1<<20, func() {}) {
		}
		m.publish(room, "k", 100)
		m.write(1<<20, func() {})
		var got []string
		for _, text := range m.received() {
			got = append(got, strings.Fields(strings.TrimPrefix(strings.TrimPrefix(text, room+" "), "k "))[0])
			if strings.Contains(text, "gap") {
				got[len(got)-1] = strings.TrimPrefix(text, room+" ")
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", room, strings.Join(got, " "), want)
		}
	}
}

// In a room of cursors a slow member gets few positions that are out of date, and the last of each.
func TestG7_Cursors(t *testing.T) {
	m := newSlowMember(t)
	for i := range 10_000 {
		m.publish("latest", fmt.Sprint("cursor", i%5), 0)
	}
	if n := m.out.waiting(); n > sweepFrom {
		t.Errorf("%d messages wait, of five cursors", n)
	}
	for m.write(1<<20, func() {}) {
	}
	if missed, superseded := m.judge(t); missed != 0 || superseded < 10_000-sweepFrom {
		t.Errorf("%d missed, %d superseded", missed, superseded)
	}
}

// A message sent to the slow member alone is in no room, and is never dropped: it closes the connection, as ever.
func TestG7_DirectIsNotDropped(t *testing.T) {
	m := newSlowMember(t)
	for range 50 {
		m.publish("newest", "k", 100)
	}
	if err := m.Send(Text(strings.Repeat("x", slowLimit))); err == nil || m.isOpen() {
		t.Errorf("error %v, open %v", err, m.isOpen())
	}
}
