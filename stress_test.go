package roomcast_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// broadcaster sends numbered messages to one room, and keeps count of those begun and those done.
type broadcaster struct {
	begun, done atomic.Int64
}

// moment is how far each broadcaster has come.
type moment []int64

// stay is one membership of one connection, as it can be known from outside: between what had been begun and done on either side
// of the Join and of what ended it.
type stay struct {
	doneBeforeJoin, begunAfterJoin  moment
	doneBeforeLeave, begunAfterThat moment
}

// stress is a room, those who broadcast to it and those who come and go.
type stress struct {
	*hub
	broadcasters []*broadcaster
	stop         atomic.Bool
}

func (s *stress) begun() moment {
	m := make(moment, len(s.broadcasters))
	for i, b := range s.broadcasters {
		m[i] = b.begun.Load()
	}
	return m
}

func (s *stress) done() moment {
	m := make(moment, len(s.broadcasters))
	for i, b := range s.broadcasters {
		m[i] = b.done.Load()
	}
	return m
}

// broadcast sends until the stress is over.
func (s *stress) broadcast(i int) {
	b := s.broadcasters[i]
	for n := int64(1); !s.stop.Load(); n++ {
		b.begun.Store(n)
		if failed, err := s.Broadcast("room", roomcast.Text(fmt.Sprint(i, " ", n))); failed != 0 || err != nil {
			s.t.Errorf("broadcast: %d, %v", failed, err)
		}
		b.done.Store(n)
		runtime.Gosched()
	}
}

// rounds is how often a visitor comes to the room.
const rounds = 20

// visit joins and leaves the room a few times; the last stay is ended by end, which returns when the disconnect is known.
func (s *stress) visit(conn *roomcast.Conn, rng *rand.Rand, end func()) []stay {
	var stays []stay
	for round := range rounds {
		var st stay
		st.doneBeforeJoin = s.done()
		if err := conn.Join("room"); err != nil {
			s.t.Error(err)
		}
		st.begunAfterJoin = s.begun()
		if !slices.Contains(s.Members("room"), conn) {
			s.t.Error("a connection that has joined is not among the members")
		}
		for range rng.IntN(20) {
			runtime.Gosched()
		}
		st.doneBeforeLeave = s.done()
		if round < rounds-1 {
			conn.Leave("room")
		} else {
			end()
		}
		st.begunAfterThat = s.begun()
		if slices.Contains(s.Members("room"), conn) {
			s.t.Error("a connection that has left is among the members")
		}
		if in := slices.Contains(conn.Rooms(), "room"); in {
			s.t.Error("a connection that has left believes to be in the room")
		}
		stays = append(stays, st)
	}
	return stays
}

// check holds what a client received against its stays: everything that began after a Join and was done before the Leave, nothing
// that was done before the Join or began after the Leave (G1, G5), each sender's messages in order and none twice (G4). A client
// whose connection was lost may lack the last ones.
func (s *stress) check(who string, received []roomcast.Message, stays []stay, lost bool) {
	got := make([][]int64, len(s.broadcasters))
	for _, m := range received {
		var b int
		var n int64
		fmt.Sscan(m.String(), &b, &n)
		if k := len(got[b]); k > 0 && got[b][k-1] >= n {
			s.t.Errorf("%s: message %d of sender %d after %d", who, n, b, got[b][k-1])
		}
		got[b] = append(got[b], n)
	}
	for b, numbers := range got {
		set := make(map[int64]bool, len(numbers))
		for _, n := range numbers {
			set[n] = true
			if !slices.ContainsFunc(stays, func(st stay) bool { return n > st.doneBeforeJoin[b] && n <= st.begunAfterThat[b] }) {
				s.t.Errorf("%s: message %d of sender %d arrived outside of any stay", who, n, b)
			}
		}
		last := int64(math.MaxInt64)
		if lost {
			last = slices.Max(append(numbers, 0))
		}
		for _, st := range stays {
			for n := st.begunAfterJoin[b] + 1; n <= min(last, st.doneBeforeLeave[b]); n++ {
				if !set[n] {
					s.t.Errorf("%s: message %d of sender %d is missing", who, n, b)
				}
			}
		}
	}
}

// checkOrder holds the order of one member against that of one who was there all the time (G4).
func (s *stress) checkOrder(who string, position map[string]int, received []roomcast.Message) {
	last := -1
	for _, m := range received {
		at, ok := position[m.String()]
		if !ok || at <= last {
			s.t.Errorf("%s: %q is at place %d in the room's order, after place %d", who, m, at, last)
			return
		}
		last = at
	}
}

// unbounded lets every client be as slow as it is on this machine.
var unbounded = roomcast.Options{OutboxBytes: 1 << 30, CloseTimeout: time.Minute}

// Joins, leaves, broadcasts, disconnects of every kind and at last the shutdown, all at once, and every message accounted for.
func TestG1_G2_G4_G5_Stress(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) { testStress(t, on(newHub(t, unbounded, nil))) })
}

func testStress(t *testing.T, h *hub) {
	const broadcasters, visitors = 4, 40
	s := &stress{hub: h}
	for range broadcasters {
		s.broadcasters = append(s.broadcasters, new(broadcaster))
	}
	observer, observing := s.dial("room")
	clients := make([]*roomcasttest.Client, visitors)
	conns := make([]*roomcast.Conn, visitors)
	for i := range visitors {
		clients[i], conns[i] = s.dial(fmt.Sprint("home", i))
	}
	var sending, visiting sync.WaitGroup
	for i := range broadcasters {
		sending.Go(func() { s.broadcast(i) })
	}
	stays := make([][]stay, visitors)
	for i := range visitors {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		ends := []func(){
			func() { conns[i].Leave("room") },
			func() { conns[i].Close(1000, "kicked") },
			func() { clients[i].Close(1000, "bye") },
			func() { clients[i].Drop(); s.waitGone(conns[i]) },
		}
		visiting.Go(func() { stays[i] = s.visit(conns[i], rng, ends[i%4]) })
	}
	visiting.Wait()
	s.stop.Store(true)
	sending.Wait()
	if members := s.Members("room"); !slices.Equal(members, []*roomcast.Conn{observing}) {
		t.Errorf("%d members are left, want the observer", len(members))
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	observer.End()
	position := map[string]int{}
	for i, m := range observer.Waiting() {
		position[m.String()] = i
	}
	for i, client := range clients {
		client.End()
		who := fmt.Sprint("visitor ", i)
		s.check(who, client.Waiting(), stays[i], i%4 == 3)
		s.checkOrder(who, position, client.Waiting())
		expect(t, who+": close callbacks", len(s.endsOf(conns[i])), 1)
	}
	var all int64
	for _, b := range s.broadcasters {
		all += b.done.Load()
	}
	expect(t, "messages of the observer", len(position), int(all))
	expect(t, "rooms", len(s.Rooms()), 0)
	t.Logf("%d broadcasts, %d visitors", all, visitors)
}

// waitGone returns when c is known to have ended: no call that asks for it waits for the network.
func (h *hub) waitGone(c *roomcast.Conn) {
	for len(c.Rooms()) > 0 {
		h.Rooms()
		runtime.Gosched()
	}
}

// 200 connections drop without a Close frame while 8 goroutines broadcast: once a connection is out, no broadcast that starts
// counts it; each Close callback runs once; nothing is left.
func TestG5_UnderFire(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) { testUnderFire(t, on(newHub(t, unbounded, nil))) })
}

func testUnderFire(t *testing.T, h *hub) {
	const drops, senders = 200, 8
	witness, _ := h.dial("room")
	clients := make([]*roomcasttest.Client, drops)
	conns := make([]*roomcast.Conn, drops)
	for i := range drops {
		clients[i], conns[i] = h.dial("room")
		if err := conns[i].Join(fmt.Sprint("own", i)); err != nil {
			t.Fatal(err)
		}
	}
	var stop atomic.Bool
	var firing, dropping sync.WaitGroup
	for range senders {
		firing.Go(func() {
			for !stop.Load() {
				if failed, err := h.Broadcast("room", roomcast.Text("fire")); failed != 0 || err != nil {
					t.Errorf("broadcast: %d, %v", failed, err)
				}
				witness.Receive() // no faster than that
			}
		})
	}
	for i := range drops {
		dropping.Go(func() {
			clients[i].Drop()
			h.waitGone(conns[i])
			if slices.Contains(h.Members("room"), conns[i]) || len(h.Members(fmt.Sprint("own", i))) > 0 || conns[i].Join("room") == nil {
				t.Error("a connection that is out is a member")
			}
		})
	}
	dropping.Wait()
	stop.Store(true)
	firing.Wait()
	expect(t, "members left", len(h.Members("room")), 1)
	witness.Close(1000, "")
	if err := h.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, c := range conns {
		expectAll(t, fmt.Sprint("close callbacks of ", i), h.endsOf(c), roomcasttest.End{Code: 1006})
	}
	expect(t, "rooms", len(h.Rooms()), 0)
	expect(t, "connections", h.Stats().Connections, 0)
}
