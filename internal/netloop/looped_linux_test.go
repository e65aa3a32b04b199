package netloop_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/roomcast/roomcast/internal/netloop"
)

// newLoops returns Loops of so many loops.
func newLoops(t *testing.T, n int, coalesce time.Duration) *netloop.Loops {
	before := runtime.GOMAXPROCS(n)
	defer runtime.GOMAXPROCS(before)
	loops := &netloop.Loops{Coalesce: coalesce}
	server, client := tcp(t) // the first link settles how many there are
	s := newScript()
	s.link = loops.New(server, s)
	s.link.Start(nil, nil)
	client.Close()
	s.end()
	return loops
}

// join returns a script on one of the loops, not started, and its client.
func join(t *testing.T, loops *netloop.Loops, output ...[]byte) (*script, net.Conn) {
	server, client := tcp(t)
	t.Cleanup(func() { client.Close() })
	client.SetDeadline(time.Now().Add(20 * time.Second))
	s := newScript(output...)
	s.link = loops.New(server, s)
	return s, client
}

// echo sends a line in each direction.
func echo(t *testing.T, s *script, client net.Conn, line string) {
	t.Helper()
	before := len(s.got())
	io.WriteString(client, line)
	expect(t, "received", s.await(before + len(line))[before:], line)
	s.say([]byte(line), false)
	got := make([]byte, len(line))
	io.ReadFull(client, got)
	expect(t, "sent", string(got), line)
}

// eventually waits for what other goroutines still have to do.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); !is(); runtime.Gosched() {
		if time.Now().After(limit) {
			t.Errorf("%s: not after 10 s", what)
			return
		}
	}
}

// descriptors returns how many are open.
func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// A socket that takes no more is written to again when it does.
func TestLoopBlocked(t *testing.T) {
	loops := newLoops(t, 1, 0)
	out := pattern(32 << 20)
	s, client := join(t, loops, out)
	s.link.Start([]byte("hello"), nil)
	if taken := s.awaitShort(len(out)); taken == 0 || taken == len(out) {
		t.Errorf("%d bytes are taken, want some", taken)
	}
	other, otherClient := join(t, loops)
	other.link.Start(nil, nil)
	echo(t, other, otherClient, "nobody waits for it")
	s.say([]byte("bye"), true) // a wake-up while it is blocked changes nothing
	s.link.Finish(time.Minute)
	io.WriteString(client, "in the other direction")
	s.await(len("in the other direction"))
	got, err := io.ReadAll(client)
	expect(t, "error", err, nil)
	expect(t, "got all", string(got) == "hello"+string(out)+"bye", true)
	client.Close()
	events, _ := s.end()
	expect(t, "events", events, "flushed lost released")
	otherClient.Close()
	other.end()
}

// endless is a script whose output never ends.
type endless struct {
	*script
	chunk []byte
	over  bool
}

func (e *endless) Output(_ []byte, pieces [][]byte) ([][]byte, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return nil, true
	}
	return append(pieces, e.chunk), false
}

func (e *endless) Written(int) bool { return true }

func (e *endless) Lost(error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
}

// A link that always has something to send, to clients that take it at once, does not keep its loop from another.
func TestLoopFairness(t *testing.T) {
	loops := newLoops(t, 1, 0)
	var reading sync.WaitGroup
	defer reading.Wait()
	for range 3 {
		server, client := tcp(t)
		e := &endless{script: newScript(), chunk: pattern(100_000)}
		e.link = loops.New(server, e)
		e.link.Start(nil, nil)
		reading.Go(func() { io.Copy(io.Discard, client) })
		defer func() { client.Close(); <-e.released }()
	}
	s, client := join(t, loops)
	s.link.Start(nil, nil)
	for i := range 100 {
		echo(t, s, client, fmt.Sprintln("round", i))
	}
	client.Close()
	s.end()
}

// Many links on several loops are all served, whatever their neighbours do.
func TestLoopsMany(t *testing.T) {
	loops := newLoops(t, 3, 0)
	var scripts []*script
	var clients []net.Conn
	for range 300 { // more than are reported in one turn
		s, client := join(t, loops)
		scripts, clients = append(scripts, s), append(clients, client)
		s.link.Start(nil, nil)
	}
	var busy sync.WaitGroup
	for i, client := range clients {
		busy.Go(func() {
			for n := range 10 {
				echo(t, scripts[i], client, fmt.Sprintln("link", i, "round", n))
			}
			if i%2 == 0 {
				client.Close()
			} else {
				scripts[i].link.Abort()
			}
		})
	}
	busy.Wait()
	for _, s := range scripts {
		if events, _ := s.end(); events != "lost flushed released" {
			t.Errorf("events %q", events)
		}
	}
}

// A loop starts with its first link and stops with its last, again and again; nothing of it stays.
func TestLoopComesAndGoes(t *testing.T) {
	loops := newLoops(t, 2, 0)
	eventually(t, "no loop runs", func() bool { return runtime.NumGoroutine() <= 2 })
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for i := range 200 {
		s, client := join(t, loops, []byte("hello"))
		s.link.Start(nil, []byte("head"))
		switch i % 4 {
		case 0:
			s.link.Abort()
		case 1:
			client.(*net.TCPConn).SetLinger(0)
			client.Close()
		case 2:
			client.Close()
		case 3:
			s.say(nil, true)
			s.link.Finish(time.Minute)
			io.Copy(io.Discard, client)
			client.Close()
		}
		s.end()
		client.Close()
	}
	eventually(t, "goroutines are back", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "descriptors are back", func() bool { return descriptors(t) <= files })
}

// Links that come and go at once with others keep their loops from neither starting nor stopping.
func TestLoopComesAndGoesAtOnce(t *testing.T) {
	loops := newLoops(t, 1, 0)
	var busy sync.WaitGroup
	for range 8 {
		busy.Go(func() {
			for i := range 50 {
				s, client := join(t, loops)
				s.link.Start(nil, nil)
				echo(t, s, client, fmt.Sprintln("round", i))
				if i%2 == 0 {
					s.link.Abort()
				}
				client.Close()
				s.end()
			}
		})
	}
	busy.Wait()
}

// What is asked of a closed link is ignored, and keeps nothing in memory while its loop goes on.
func TestLoopAskedAfterClose(t *testing.T) {
	loops := newLoops(t, 1, 0)
	other, otherClient := join(t, loops)
	other.link.Start(nil, nil)
	var links []weak.Pointer[netloop.Looped]
	var peers []weak.Pointer[script]
	for range 10 {
		func() {
			s, client := join(t, loops)
			s.link.Start(nil, nil)
			io.WriteString(client, "x")
			s.await(1)
			client.Close()
			s.link.Wake() // while it is being closed
			s.link.Resume()
			s.end()
			s.link.Abort()
			s.link.Resume()
			s.link.Finish(time.Millisecond)
			links = append(links, weak.Make(s.link.(*netloop.Looped)))
			peers = append(peers, weak.Make(s))
		}()
	}
	echo(t, other, otherClient, "the loop goes on")
	eventually(t, "nothing is kept", func() bool {
		runtime.GC()
		for i := range links {
			if links[i].Value() != nil || peers[i].Value() != nil {
				return false
			}
		}
		return true
	})
	echo(t, other, otherClient, "still")
	otherClient.Close()
	other.end()
}

// With Coalesce output waits for its time; what else is asked for is done too.
func TestLoopCoalesce(t *testing.T) {
	const wait = 20 * time.Millisecond
	loops := newLoops(t, 1, wait)
	s, client := join(t, loops)
	s.stopAt[1] = true
	s.link.Start([]byte("hello"), nil)
	io.ReadFull(client, make([]byte, 5)) // not delayed
	var longest time.Duration            // a round may meet a timer of the one before
	for range 3 {
		start := time.Now()
		for range 50 {
			s.say([]byte("x"), false)
		}
		io.ReadFull(client, make([]byte, 50))
		longest = max(longest, time.Since(start))
	}
	if longest < wait {
		t.Errorf("the output has left after %v at the latest, want %v", longest, wait)
	}
	io.WriteString(client, "a")
	s.await(1)
	s.link.Resume()
	io.WriteString(client, "b")
	expect(t, "received", s.await(2), "ab")
	s.link.Abort()
	if events, _ := s.end(); !strings.HasSuffix(events, "released") {
		t.Errorf("events %q", events)
	}
}
