package netloop_test

import (
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/netloop"
)

// Hand gives the rest of the stream to another peer, from what was read before on; the old one hears no more.
func TestHand(t *testing.T) {
	loops := newLoops(t, 1, 0)
	old, client := join(t, loops)
	old.stopAt[4] = true
	old.link.Start(nil, nil)
	io.WriteString(client, "head")
	old.await(4)
	io.WriteString(client, "behind")
	link := old.link.(*netloop.Looped)
	second := newScript([]byte(" world"))
	second.link = link
	link.Hand(second)
	expect(t, "received before Start", second.got(), "")
	link.Start([]byte("hello"), []byte("rest, "))
	expect(t, "received", second.await(len("rest, behind")), "rest, behind")
	got := make([]byte, 11)
	io.ReadFull(client, got)
	expect(t, "sent", string(got), "hello world")
	second.say([]byte("!"), true)
	link.Finish(time.Minute)
	rest, _ := io.ReadAll(client)
	expect(t, "sent at last", string(rest), "!")
	client.Close()
	events, _ := second.end()
	expect(t, "events", events, "flushed lost released")
	expect(t, "events of the old peer", len(old.events), 0)
	expect(t, "received by the old peer", old.got(), "head")
}

// The old peer is not kept in memory by the link it has handed on.
func TestHandLetsGo(t *testing.T) {
	loops := newLoops(t, 1, 0)
	gone := make(chan bool, 1)
	second := newScript()
	var client net.Conn
	func() {
		old, c := join(t, loops)
		client = c
		runtime.AddCleanup(old, func(bool) { gone <- true }, true)
		old.stopAt[4] = true
		old.link.Start(nil, nil)
		io.WriteString(client, "head")
		old.await(4)
		second.link = old.link
		old.link.(*netloop.Looped).Hand(second)
		second.link.Start(nil, nil)
	}()
	eventually(t, "the old peer has gone", func() bool { runtime.GC(); return len(gone) > 0 })
	client.Close()
	second.end()
}

// strict is a script that notes what it is told before its link has been started.
type strict struct {
	*script
	started bool // guarded by mu
	early   []string
}

func (s *strict) check(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		s.early = append(s.early, call)
	}
}

func (s *strict) start(greeting string) {
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()
	s.link.Start([]byte(greeting), nil)
}

func (s *strict) Receive(p []byte) bool { s.check("Receive"); return s.script.Receive(p) }
func (s *strict) Output(p []byte, pieces [][]byte) ([][]byte, bool) {
	s.check("Output")
	return s.script.Output(p, pieces)
}
func (s *strict) Written(n int) bool { s.check("Written"); return s.script.Written(n) }
func (s *strict) Lost(err error)     { s.check("Lost"); s.script.Lost(err) }
func (s *strict) Flushed()           { s.check("Flushed"); s.script.Flushed() }

// Released does not panic the second time, so that the test goes on to say what was called.
func (s *strict) Released() {
	s.check("Released")
	s.note("released")
	select {
	case <-s.released:
	default:
		close(s.released)
	}
}

// handed returns a link that has been handed to a peer, before its Start, and another link on the same loop.
func handed(t *testing.T, coalesce time.Duration, output ...[]byte) (second *strict, client net.Conn, turn func()) {
	loops := newLoops(t, 1, coalesce)
	other, otherClient := join(t, loops)
	other.link.Start(nil, nil)
	echo(t, other, otherClient, "here")
	t.Cleanup(func() { otherClient.Close(); other.end() })
	old, client := join(t, loops)
	old.stopAt[4] = true
	old.link.Start(nil, nil)
	io.WriteString(client, "head")
	old.await(4)
	second = &strict{script: newScript(output...)}
	second.link = old.link
	old.link.(*netloop.Looped).Hand(second)
	return second, client, func() { echo(t, other, otherClient, "one more turn") }
}

// A link that is lost between Hand and Start tells its new peer so in Start, once.
func TestHandedLinkLost(t *testing.T) {
	for name, lose := range map[string]func(second *strict, client net.Conn){
		"reset":           func(_ *strict, client net.Conn) { client.(*net.TCPConn).SetLinger(0); client.Close() },
		"hung up, unread": func(_ *strict, client net.Conn) { client.Close() },
		"a late Abort":    func(second *strict, _ net.Conn) { second.link.Abort() }, // of the timer of Accept
		"data and a reset": func(_ *strict, client net.Conn) {
			io.WriteString(client, "x")
			client.(*net.TCPConn).SetLinger(0)
			client.Close()
		},
		"half of it closed": func(_ *strict, client net.Conn) { client.(*net.TCPConn).CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			second, client, turn := handed(t, 0)
			lose(second, client)
			for range 5 {
				turn()
			}
			second.start("hello")
			client.Close()
			events, _ := second.end()
			turn() // what is wrong may come late
			second.mu.Lock()
			defer second.mu.Unlock()
			expect(t, "told before Start", strings.Join(second.early, " "), "")
			expect(t, "released", strings.Count(strings.Join(second.events, " "), "released"), 1)
			expect(t, "flushed", strings.Count(events, "flushed"), 1)
		})
	}
}

// The output of the new peer waits for Start, so that the greeting is the first thing sent, though the old peer's wake-up comes late.
func TestHandedLinkGreetsFirst(t *testing.T) {
	for _, coalesce := range []time.Duration{0, 30 * time.Millisecond} {
		t.Run(coalesce.String(), func(t *testing.T) {
			second, client, turn := handed(t, coalesce, []byte(" world"))
			turn() // so that everything asked for before is done
			second.start("hello")
			got := make([]byte, 11)
			io.ReadFull(client, got)
			expect(t, "sent", string(got), "hello world")
			client.Close()
			second.end()
			expect(t, "told before Start", strings.Join(second.early, " "), "")
		})
	}
}

// Conn returns the connection for ordinary use, with what has not been read; the peer hears no more.
func TestConn(t *testing.T) {
	loops := newLoops(t, 1, 0)
	files := descriptors(t)
	s, client := join(t, loops)
	s.stopAt[4] = true
	s.link.Start(nil, nil)
	io.WriteString(client, "head")
	s.await(4)
	io.WriteString(client, "behind")
	link := s.link.(*netloop.Looped)
	conn, err := link.Conn(nil)
	if err != nil {
		t.Fatal(err)
	}
	link.Abort() // of no effect, like everything else that is asked of it
	link.Resume()
	link.Wake()
	if _, err := link.Conn(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Conn again: %v, want net.ErrClosed", err)
	}
	expect(t, "remote address", conn.RemoteAddr().String(), client.LocalAddr().String())
	got := make([]byte, 6)
	io.ReadFull(conn, got)
	expect(t, "read", string(got), "behind")
	conn.SetDeadline(time.Now().Add(20 * time.Millisecond))
	_, err = conn.Read(got)
	var timeout net.Error
	expect(t, "the deadline works", errors.As(err, &timeout) && timeout.Timeout(), true)
	io.WriteString(client, "more")
	conn.SetDeadline(time.Time{})
	io.ReadFull(conn, got[:4])
	io.WriteString(conn, "answer")
	io.ReadFull(client, got)
	expect(t, "answer", string(got), "answer")
	conn.Close()
	n, err := client.Read(got)
	expect(t, "end", n == 0 && errors.Is(err, io.EOF), true)
	client.Close()
	eventually(t, "descriptors are back", func() bool { return descriptors(t) <= files })
	expect(t, "events", len(s.events), 0)
}

// A link that has been lost gives no connection, and its peer has been told.
func TestConnOfLostLink(t *testing.T) {
	loops := newLoops(t, 1, 0)
	s, client := join(t, loops)
	s.link.Start(nil, nil)
	client.Close()
	events, _ := s.end()
	expect(t, "events", events, "lost flushed released")
	_, err := s.link.(*netloop.Looped).Conn(nil)
	expect(t, "Conn", err, net.ErrClosed)
}

// Conn takes one link out of a loop that goes on for others, and the number of its descriptor may be another link's then.
func TestConnAmongOthers(t *testing.T) {
	loops := newLoops(t, 1, 0)
	other, otherClient := join(t, loops)
	other.link.Start(nil, nil)
	for range 50 {
		s, client := join(t, loops)
		s.stopAt[1] = true
		s.link.Start(nil, nil)
		io.WriteString(client, "x")
		s.await(1)
		conn, err := s.link.(*netloop.Looped).Conn(nil)
		if err != nil {
			t.Fatal(err)
		}
		next, nextClient := join(t, loops)
		next.link.Start(nil, nil)
		s.link.Abort()
		echo(t, next, nextClient, "next")
		echo(t, other, otherClient, "other")
		io.WriteString(conn, "y")
		io.ReadFull(client, make([]byte, 1))
		for _, c := range slices.Concat([]net.Conn{conn}, []net.Conn{client, nextClient}) {
			c.Close()
		}
		next.end()
	}
	otherClient.Close()
	other.end()
}
