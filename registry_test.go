package roomcast

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// noLink is a link that moves nothing: what is sent stays in the outbox.
type noLink struct{}

func (noLink) Start(_, _ []byte)    {}
func (noLink) Wake()                {}
func (noLink) Resume()              {}
func (noLink) Finish(time.Duration) {}
func (noLink) Abort()               {}

// newTestConn returns an open connection over noLink.
func newTestConn(s *Server) *Conn {
	c := &Conn{srv: s, id: s.nextID.Add(1), link: noLink{}}
	c.left.Store(2)
	s.remember(c)
	c.start(nil, nil)
	return c
}

// releaseTest ends a test connection as its link and its callbacks would.
func (c *Conn) releaseTest() {
	c.release()
	c.release()
}

// world is a server and the naive model of it: which connection is in which room.
type world struct {
	srv   *Server
	conns []*Conn
	rooms []string
	model map[string]map[*Conn]bool
	sent  map[*Conn]int // frames that must wait in the outbox
}

func newWorld(conns, rooms int) *world {
	w := &world{srv: New(Handler{}, Options{PingInterval: -1, MaxRoomsPerConn: rooms - 1}), model: map[string]map[*Conn]bool{}, sent: map[*Conn]int{}}
	for range conns {
		w.conns = append(w.conns, newTestConn(w.srv))
	}
	for i := range rooms {
		w.rooms = append(w.rooms, fmt.Sprint("room", i))
	}
	return w
}

// roomsOf is the model's other view.
func (w *world) roomsOf(c *Conn) []string {
	var names []string
	for name, members := range w.model {
		if members[c] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// The operations a world can go through, numbered for the fuzzer.
const (
	opJoin = iota
	opLeave
	opBroadcast
	opExcept
	opDrop
	opCount
)

// step does one operation on both the server and the model, and returns how they differ.
func (w *world) step(op, conn, room int) error {
	c, name := w.conns[conn%len(w.conns)], w.rooms[room%len(w.rooms)]
	switch op % opCount {
	case opJoin:
		full := len(w.roomsOf(c)) == len(w.rooms)-1 && !w.model[name][c]
		if err := c.Join(name); (err != nil) != full {
			return fmt.Errorf("join %s: %v, want an error: %v", name, err, full)
		}
		if w.model[name] == nil {
			w.model[name] = map[*Conn]bool{}
		}
		if !full {
			w.model[name][c] = true
		}
	case opLeave:
		c.Leave(name)
		delete(w.model[name], c)
	case opBroadcast, opExcept:
		var except *Conn
		if op%opCount == opExcept {
			except = c
		}
		if failed, err := w.srv.BroadcastExcept(name, Text("x"), except); failed != 0 || err != nil {
			return fmt.Errorf("broadcast: %d, %v", failed, err)
		}
		for member := range w.model[name] {
			if member != except {
				w.sent[member]++
			}
		}
	case opDrop:
		c.shut(ending{CloseAbnormal, "", EndNetwork})
		if err := c.Join(name); err == nil {
			return fmt.Errorf("a closed connection joined %s", name)
		}
		for _, members := range w.model {
			delete(members, c)
		}
		c.releaseTest()
		w.conns[conn%len(w.conns)] = newTestConn(w.srv)
	}
	return w.compare()
}

// compare returns how the registry, both its views, and the outboxes differ from the model.
func (w *world) compare() error {
	maps.DeleteFunc(w.model, func(_ string, members map[*Conn]bool) bool { return len(members) == 0 })
	if got, want := slices.Sorted(slices.Values(w.srv.Rooms())), slices.Sorted(maps.Keys(w.model)); !slices.Equal(got, want) {
		return fmt.Errorf("rooms %q, want %q", got, want)
	}
	for name, members := range w.model {
		got := w.srv.Members(name)
		if len(got) != len(members) {
			return fmt.Errorf("%s has %d members, want %d", name, len(got), len(members))
		}
		for _, c := range got {
			if !members[c] {
				return fmt.Errorf("%s has the stranger %s", name, c.ID())
			}
		}
	}
	for _, c := range w.conns {
		if got, want := slices.Sorted(slices.Values(c.Rooms())), w.roomsOf(c); !slices.Equal(got, want) {
			return fmt.Errorf("%s is in %q, want %q", c.ID(), got, want)
		}
		if got := c.out.waiting(); got != w.sent[c] {
			return fmt.Errorf("%d messages for %s, want %d", got, c.ID(), w.sent[c])
		}
	}
	return w.checkSeats()
}

// checkSeats looks at what the public view does not show: every seat is where it says, and no room is left without a member.
func (w *world) checkSeats() error {
	for i := range w.srv.rooms.shards {
		for name, r := range w.srv.rooms.shards[i].rooms {
			if len(r.members) == 0 {
				return fmt.Errorf("%s is empty and still there", name)
			}
			for at, m := range r.members {
				if int(m.seat.index) != at {
					return fmt.Errorf("%s: the member at %d believes to be at %d", name, at, m.seat.index)
				}
			}
		}
	}
	return nil
}

// FuzzRegistry runs joins, leaves, broadcasts and disconnects against the naive model: three bytes are one step.
func FuzzRegistry(f *testing.F) {
	f.Add([]byte{opJoin, 0, 0, opJoin, 1, 0, opExcept, 0, 0, opDrop, 0, 0, opBroadcast, 0, 0})
	f.Add([]byte{opJoin, 0, 0, opJoin, 0, 1, opJoin, 0, 2, opJoin, 0, 3, opLeave, 0, 1, opJoin, 0, 3, opDrop, 0, 0})
	f.Add([]byte{opJoin, 0, 0, opJoin, 1, 0, opJoin, 2, 0, opLeave, 0, 0, opLeave, 2, 0, opBroadcast, 0, 0, opLeave, 1, 0})
	f.Fuzz(func(t *testing.T, steps []byte) {
		w := newWorld(4, 4)
		for i := 0; i+2 < len(steps) && i < 3000; i += 3 {
			if err := w.step(int(steps[i]), int(steps[i+1]), int(steps[i+2])); err != nil {
				t.Fatalf("step %d: %v", i/3, err)
			}
		}
	})
}

// TestG2_Model is the same with steps drawn by rapid, over more rooms and connections, and shrunk when they fail.
func TestG2_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(20, 7)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			op := rapid.SampledFrom([]int{opJoin, opJoin, opJoin, opLeave, opBroadcast, opExcept, opDrop}).Draw(t, "op")
			if err := w.step(op, rapid.IntRange(0, 19).Draw(t, "conn"), rapid.IntRange(0, 6).Draw(t, "room")); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A disconnect visits the rooms of its connection and no other: it ends while all other rooms are locked.
func TestG2_DisconnectCostsItsOwnRooms(t *testing.T) {
	w := newWorld(2, 3)
	leaver, other := w.conns[0], w.conns[1]
	mine, others := []string{}, []string{}
	taken := map[*shard]bool{}
	for i := 0; len(mine) < 2 || len(others) < 1000; i++ {
		name := fmt.Sprint("r", i)
		switch s := w.srv.rooms.shard(name); {
		case len(mine) < 2:
			mine = append(mine, name)
			taken[s] = true
		case !taken[s]:
			others = append(others, name)
		}
	}
	w.srv.opts.MaxRoomsPerConn = 2000
	for _, name := range mine {
		if err := leaver.Join(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range others {
		if err := other.Join(name); err != nil {
			t.Fatal(err)
		}
	}
	for i := range w.srv.rooms.shards {
		if s := &w.srv.rooms.shards[i]; !taken[s] {
			s.mu.Lock()
			for _, r := range s.rooms {
				r.mu.Lock()
			}
		}
	}
	leaver.shut(ending{CloseAbnormal, "", EndNetwork}) // would wait for ever for a room that is not its own
	if rooms := leaver.appendRooms(nil); len(rooms) != 0 {
		t.Fatalf("rooms after the disconnect: %d", len(rooms))
	}
}

// The memory of many rooms is given back: neither the registry nor a room that was large keeps what it does not need.
func TestG3_RegistryShrinks(t *testing.T) {
	s := New(Handler{}, Options{PingInterval: -1, MaxRoomsPerConn: 5000})
	c := newTestConn(s)
	for i := range 5000 {
		if err := c.Join(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	many := make([]*Conn, 5000)
	for i := range many {
		many[i] = newTestConn(s)
		if err := many[i].Join("large"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5000 {
		c.Leave(fmt.Sprint(i))
	}
	for _, m := range many[:4990] {
		m.shut(ending{CloseAbnormal, "", EndNetwork})
	}
	if r := s.rooms.find("large"); cap(r.members) > 64 || len(r.members) != 10 {
		t.Errorf("a room of 10 members that had 5,000 keeps %d places", cap(r.members))
	}
	maps := 0
	for i := range s.rooms.shards {
		if s.rooms.shards[i].rooms != nil {
			maps++
		}
	}
	if maps != 1 || c.memberships != nil {
		t.Errorf("%d shards keep a map for one room; memberships of the connection: %v", maps, c.memberships)
	}
}
