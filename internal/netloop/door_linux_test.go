package netloop_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roomcast/roomcast/internal/netloop"
)

// entrance is a Door whose visitors are scripts.
type entrance struct {
	*netloop.Door
	loops   netloop.Loops
	addr    string
	scripts chan *script // of those who have come in
	remotes chan netip.AddrPort
	trouble chan error
	ended   chan error // what Accept has returned
}

// open starts to accept. first is called for each visitor before anything else.
func open(t *testing.T, within time.Duration, first func(*script)) *entrance {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	door, err := netloop.NewDoor(l.(*net.TCPListener))
	if err != nil {
		t.Fatal(err)
	}
	e := &entrance{Door: door, addr: l.Addr().String(), scripts: make(chan *script, 1000), remotes: make(chan netip.AddrPort, 1000),
		trouble: make(chan error, 1000), ended: make(chan error, 1)}
	visit := func(link *netloop.Looped, remote netip.AddrPort) netloop.Peer {
		s := newScript()
		s.link = link
		if first != nil {
			first(s)
		}
		e.scripts <- s
		e.remotes <- remote
		return s
	}
	go func() { e.ended <- e.Accept(&e.loops, within, visit, func(err error) { e.trouble <- err }) }()
	t.Cleanup(func() {
		e.Close()
		if e.ended != nil {
			<-e.ended
		}
	})
	return e
}

func (e *entrance) dial(t *testing.T) net.Conn {
	t.Helper()
	client, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	client.SetDeadline(time.Now().Add(20 * time.Second))
	return client
}

// Everybody who connects comes in, with the right address, also many at once; small messages are not held back.
func TestDoor(t *testing.T) {
	e := open(t, time.Minute, nil)
	first := e.dial(t)
	s := <-e.scripts
	expect(t, "remote address", (<-e.remotes).String(), first.LocalAddr().String())
	echo(t, s, first, "hello")
	var dialling sync.WaitGroup
	clients := make([]net.Conn, 300)
	for i := range clients {
		dialling.Go(func() {
			clients[i] = e.dial(t)
			io.WriteString(clients[i], "here")
		})
	}
	dialling.Wait()
	scripts := []*script{s}
	for range clients { // in no order
		s := <-e.scripts
		expect(t, "received", s.await(4), "here")
		scripts = append(scripts, s)
	}
	for _, c := range append(clients, first) {
		c.Close()
	}
	for _, s := range scripts {
		s.end()
	}
}

// Close ends Accept and the listening; who is in stays.
func TestDoorClose(t *testing.T) {
	e := open(t, time.Minute, nil)
	client := e.dial(t)
	s := <-e.scripts
	expect(t, "Close", e.Close(), nil)
	expect(t, "Accept", <-e.ended, net.ErrClosed)
	if err := e.Close(); !errors.Is(err, os.ErrClosed) && err != nil {
		t.Errorf("Close again: %v", err)
	}
	visit := func(*netloop.Looped, netip.AddrPort) netloop.Peer { return nil }
	expect(t, "Accept again", e.Accept(&e.loops, time.Minute, visit, nil), net.ErrClosed)
	e.ended = nil
	if c, err := net.Dial("tcp", e.addr); err == nil {
		c.Close()
		t.Error("somebody listens")
	}
	echo(t, s, client, "still here")
	client.Close()
	s.end()
}

// A link that has not been handed on in time is aborted; one that has been, and one taken out of its loop, is not.
func TestDoorInTime(t *testing.T) {
	e := open(t, 30*time.Millisecond, func(s *script) { s.stopAt[1] = true })
	late, kept, taken := e.dial(t), e.dial(t), e.dial(t)
	scripts := [3]*script{}
	for i := range scripts {
		scripts[i] = <-e.scripts
	}
	_ = late
	io.WriteString(kept, "k")
	scripts[1].await(1)
	second := newScript()
	second.link = scripts[1].link
	scripts[1].link.(*netloop.Looped).Hand(second)
	second.link.Start(nil, nil)
	io.WriteString(taken, "t")
	scripts[2].await(1)
	conn, err := scripts[2].link.(*netloop.Looped).Conn(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, errs := scripts[0].end()
	expect(t, "Lost", errs[0], error(os.ErrDeadlineExceeded))
	n, err := late.Read(make([]byte, 1))
	expect(t, "hung up on", n == 0 && err != nil, true)
	again := e.dial(t) // another whole time passes
	(<-e.scripts).end()
	echo(t, second, kept, "kept")
	io.WriteString(conn, "x")
	io.ReadFull(taken, make([]byte, 1))
	for _, c := range []net.Conn{late, kept, taken, conn, again} {
		c.Close()
	}
	second.end()
}

// exhaust takes all descriptors but one, and returns what gives some of them back: n, or all with -1.
func exhaust(t *testing.T) (release func(n int)) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	few := before
	few.Cur = 200
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	var held []int
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		held = append(held, fd)
	}
	release = func(n int) {
		for ; n != 0 && len(held) > 0; n-- {
			unix.Close(held[len(held)-1])
			held = held[:len(held)-1]
		}
		if n < 0 {
			unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
		}
	}
	t.Cleanup(func() { release(-1) })
	return release
}

// Without a free descriptor Accept says so, and goes on when there are some again. Nobody who waits is lost.
func TestDoorExhausted(t *testing.T) {
	e := open(t, time.Minute, nil)
	in := e.dial(t)
	s := <-e.scripts
	echo(t, s, in, "here") // its loop runs
	raw := make([]int, 5)
	for i := range raw {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		raw[i] = fd
		defer unix.Close(fd)
	}
	release := exhaust(t)
	port := netip.MustParseAddrPort(e.addr).Port()
	for _, fd := range raw {
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
	}
	first, again := <-e.trouble, <-e.trouble
	for _, err := range []error{first, again} {
		if !errors.Is(err, unix.EMFILE) || !strings.Contains(err.Error(), "accept") || strings.Contains(err.Error(), "\n") {
			t.Errorf("trouble: %v, want one clear line about accept", err)
		}
	}
	echo(t, s, in, "who is in goes on")
	expect(t, "came in", len(e.scripts), 0)
	release(-1)
	var late []*script
	for i, fd := range raw {
		late = append(late, <-e.scripts)
		unix.Write(fd, []byte{byte('a' + i)})
	}
	for _, fd := range raw {
		unix.Shutdown(fd, unix.SHUT_RDWR)
	}
	for _, s := range late {
		s.await(1)
		s.end()
	}
	in.Close()
	s.end()
}

// Without a descriptor for the loop, the client that has come in is hung up on, and nothing stays of it.
func TestDoorWithoutLoop(t *testing.T) {
	e := open(t, time.Minute, nil)
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(client)
	release := exhaust(t)
	release(1)
	port := netip.MustParseAddrPort(e.addr).Port()
	if err := unix.Connect(client, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	s := <-e.scripts
	events, errs := s.end()
	expect(t, "events", events, "lost flushed released")
	expect(t, "Lost", errors.Is(errs[0], unix.EMFILE), true)
	n, _ := unix.Read(client, make([]byte, 1))
	expect(t, "hung up", n <= 0, true)
	release(-1)
	next := e.dial(t)
	s = <-e.scripts
	echo(t, s, next, "as if nothing had been")
	next.Close()
	s.end()
}

// Nothing of a door and of those who came stays, whatever became of them.
func TestDoorLeavesNothing(t *testing.T) {
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for range 20 {
		e := open(t, time.Minute, nil)
		for i := range 8 {
			client := e.dial(t)
			s := <-e.scripts
			if i%2 == 0 {
				client.(*net.TCPConn).SetLinger(0)
			} else {
				echo(t, s, client, "hello")
				s.link.Abort()
			}
			client.Close()
			s.end()
		}
		e.Close()
		<-e.ended
		e.ended = nil
	}
	eventually(t, "goroutines are back", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "descriptors are back", func() bool { return descriptors(t) <= files })
}

// alone runs a test in a process of its own, where it may bring everything down. It reports whether this is that process.
func alone(t *testing.T) bool {
	const mark = "NETLOOP_TEST_ALONE"
	if os.Getenv(mark) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), mark+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%.3000s", err, out)
	}
	return false
}

// A visitor may be aborted before Accept has started its link, by Close of a server or by its timer: it is released like any other.
func TestDoorAbortInVisit(t *testing.T) {
	if !alone(t) {
		return
	}
	before := runtime.GOMAXPROCS(1) // one loop for all
	defer runtime.GOMAXPROCS(before)
	var rounds atomic.Pointer[func()] // of another link on the loop
	e := open(t, time.Minute, func(s *script) {
		if more := rounds.Load(); more != nil {
			s.link.Abort()
			(*more)()
		}
	})
	otherClient := e.dial(t)
	other := <-e.scripts
	more := func() {
		echo(t, other, otherClient, "its loop goes on")
		echo(t, other, otherClient, "and on")
	}
	more()
	rounds.Store(&more)
	for range 3 {
		client := e.dial(t)
		events, _ := (<-e.scripts).end()
		expect(t, "events", events, "lost flushed released")
		client.Close()
	}
	echo(t, other, otherClient, "still here")
	otherClient.Close()
	other.end()
}
