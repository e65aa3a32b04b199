package roomcast

import (
	"errors"
	"fmt"
	"testing"
)

// roomOf returns a server and a room of n members whose links move nothing.
func roomOf(t testing.TB, n int) (*Server, []*Conn) {
	return deflatingRoomOf(t, n, 0)
}

// A broadcast is one frame, however many members it waits for: the very same one in every outbox.
func TestG10_EncodeOnce(t *testing.T) {
	s, conns := roomOf(t, 1000)
	s.Broadcast("room", Text("hello"))
	for _, c := range conns {
		if c.out.waiting() != 1 || c.out.first != conns[0].out.first {
			t.Fatal("a member has a frame of its own")
		}
	}
}

// What waits for a member does not hold on to the entries that it was made of, nor to all that the engine has fetched with them.
func TestG7_EntriesDoNotWait(t *testing.T) {
	s, conns := deflatingRoomOf(t, 2, 2)
	r := s.rooms.find("room")
	r.feed = &feed{}
	entry := Entry{Message: compressible(), Except: []string{"somebody else"}}
	s.receive(r, []Entry{entry})
	entry.Position = Position{"e", 1}
	s.receive(r, []Entry{entry})
	for _, c := range conns {
		if n := c.out.waiting(); n != 2 || c.out.first.logged != nil || c.out.rest.frames[0].logged != nil {
			t.Errorf("%d frames wait, the first with %v, the other with %v", n, c.out.first.logged, c.out.rest.frames[0].logged)
		}
	}
}

// deflatingRoomOf is roomOf with every nth member having agreed to compression; none if nth is 0.
func deflatingRoomOf(t testing.TB, members, nth int) (*Server, []*Conn) {
	s := New(Handler{}, Options{PingInterval: -1, Compression: CompressionOn})
	conns := make([]*Conn, members)
	for i := range conns {
		conns[i] = newTestConn(s)
		conns[i].reader.Deflate = nth > 0 && i%nth == 0
		if err := conns[i].Join("room"); err != nil {
			t.Fatal(err)
		}
	}
	return s, conns
}

// compressible is a message worth compressing.
func compressible() Message { return Binary(make([]byte, 1000)) }

// A broadcast is compressed once, however many members have agreed to it: one frame for them, and one for the others.
func TestG10_CompressOnce(t *testing.T) {
	for _, nth := range []int{1, 2, 7, 1000} {
		s, conns := deflatingRoomOf(t, 1000, nth)
		s.Broadcast("room", compressible())
		frames := map[*frame]int{}
		for i, c := range conns {
			if n := c.out.waiting(); n != 1 {
				t.Fatalf("a member has %d frames", n)
			}
			f := c.out.first
			if frames[f]++; f.bytes[0]&0x40 != 0 != (i%nth == 0) {
				t.Fatalf("member %d of one in %d has a frame that begins with %02x", i, nth, f.bytes[0])
			}
		}
		if want := min(nth, 2); len(frames) != want {
			t.Errorf("one in %d has agreed: %d frames, want %d", nth, len(frames), want)
		}
	}
}

// Nothing is compressed that nobody is to be sent compressed.
func TestG10_CompressForSomebody(t *testing.T) {
	s, conns := deflatingRoomOf(t, 10, 10)
	stranger := newTestConn(s)
	stranger.reader.Deflate = true
	r := s.rooms.find("room")
	for _, c := range []struct {
		name   string
		except *Conn
		want   bool
	}{{"nobody", nil, true}, {"the only one", conns[0], false}, {"another", conns[1], true}, {"a stranger", stranger, true}} {
		if got := r.deflates([]*Conn{c.except}); got != c.want {
			t.Errorf("left out %s: deflates %v, want %v", c.name, got, c.want)
		}
	}
	conns[1].Leave("room")
	if !r.deflates(nil) {
		t.Error("another one's leaving counts")
	}
	conns[0].Join("room")
	conns[0].Leave("room")
	conns[0].Leave("room")
	if r.deflates(nil) {
		t.Error("who has left still counts")
	}
	stranger.Join("room")
	stranger.cut()
	if r.deflates(nil) {
		t.Error("who has gone still counts")
	}
}

// What is sent compressed counts as such against Options.OutboxBytes.
func TestOutboxCountsCompressedBytes(t *testing.T) {
	s, conns := deflatingRoomOf(t, 2, 2)
	for range 20 {
		s.Broadcast("room", Binary(make([]byte, 100_000)))
	}
	if !conns[0].isOpen() || conns[1].isOpen() {
		t.Error("2 MB of zeros pass the bound compressed, or do not pass it as they are")
	}
}

// What waits for a thousand members costs a thousand pointers: a broadcast allocates the same for 10 members and for 1,000.
func TestG7_WaitingIsShared(t *testing.T) {
	allocations := func(members, nth int) float64 {
		s, conns := deflatingRoomOf(t, members, nth)
		m, pieces := compressible(), make([][]byte, 0, 1)
		return testing.AllocsPerRun(50, func() {
			s.Broadcast("room", m)
			for _, c := range conns {
				c.Output(nil, pieces)
				c.Written(c.out.bytes)
			}
		})
	}
	if raceEnabled {
		t.Log("not counted under the race detector: its pools drop what they are given")
		return
	}
	for nth, most := range []float64{4, 6, 6} { // nobody has agreed to compression; all have; every second
		few, many := allocations(10, nth), allocations(1000, nth)
		if few > most || many > few+1 {
			t.Errorf("one in %d compressing: a broadcast allocates %v times for 10 members and %v times for 1,000", nth, few, many)
		}
	}
}

// At the instant of closing, before anything has been tidied, the connection is out of everything: no broadcast reaches it or
// counts it as a failure, no list shows it, and it can join nothing.
func TestG5_Instant(t *testing.T) {
	s, conns := roomOf(t, 2)
	gone := conns[0]
	gone.mu.Lock()
	gone.closeLocked(ending{CloseAbnormal, "", EndNetwork})
	gone.mu.Unlock()
	failed, err := s.Broadcast("room", Text("hello"))
	if failed != 0 || err != nil || gone.out.waiting() != 0 || conns[1].out.waiting() != 1 {
		t.Errorf("a broadcast reaches a closing connection, or counts it: %d, %v", failed, err)
	}
	if members := s.Members("room"); len(members) != 1 || members[0] != conns[1] {
		t.Errorf("%d members are listed, want the other one", len(members))
	}
	if err := gone.Join("elsewhere"); !errors.Is(err, ErrClosed) || len(gone.Rooms()) != 0 {
		t.Errorf("join: %v, rooms: %v", err, gone.Rooms())
	}
	conns[1].Leave("room")
	if rooms := s.Rooms(); len(rooms) != 0 {
		t.Errorf("rooms: %q, though their only member is closing", rooms)
	}
	gone.depart()
	if s.rooms.find("room") != nil {
		t.Error("the room is still there")
	}
}

// The exception is one argument of the one delivery path: a member, a stranger, nobody.
func TestBroadcastExcept(t *testing.T) {
	s, conns := roomOf(t, 3)
	stranger := newTestConn(s)
	for i, except := range []*Conn{conns[1], stranger, nil} {
		if failed, err := s.BroadcastExcept("room", Text("hello"), except); failed != 0 || err != nil {
			t.Fatal(failed, err)
		}
		var got string
		for _, c := range conns {
			got += fmt.Sprint(c.out.waiting(), " ")
			c.out.taken(c.out.bytes)
		}
		if want := []string{"1 0 1 ", "1 1 1 ", "1 1 1 "}[i]; got != want {
			t.Errorf("exception %d: members have %s, want %s", i, got, want)
		}
	}
	if n := s.Stats().Delivered; n != 8 {
		t.Errorf("delivered: %d, want 8", n)
	}
}
