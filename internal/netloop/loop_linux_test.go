package netloop

import (
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// mute is a Peer that takes what comes and has nothing to say. It stops reading at every byte if paused is set.
type mute struct {
	link     Link
	paused   bool
	received chan byte
	lost     chan error
	released chan bool
}

func newMute(paused bool) *mute {
	return &mute{nil, paused, make(chan byte, 100), make(chan error, 2), make(chan bool, 2)}
}

func (m *mute) Receive(p []byte) bool {
	for _, b := range p {
		m.received <- b
	}
	return !m.paused
}
func (m *mute) Output([]byte, [][]byte) ([][]byte, bool) { return nil, len(m.lost) > 0 }
func (m *mute) Written(int) bool                         { return false }
func (m *mute) Lost(err error)                           { m.lost <- err; m.link.Wake() }
func (m *mute) Flushed()                                 {}
func (m *mute) Released()                                { m.released <- true }

// pair returns the two ends of a connection of this machine with itself.
func pair(t *testing.T) (server *net.TCPConn, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn), client
}

// link returns a link on loops, started, and its client.
func link(t *testing.T, loops *Loops, peer *mute) (*Looped, net.Conn) {
	t.Helper()
	server, client := pair(t)
	looped := loops.New(server, peer).(*Looped)
	peer.link = looped
	looped.Start(nil, nil)
	for looped.asks.Load() != 0 {
		runtime.Gosched() // its first write is still to come
	}
	return looped, client
}

// watches returns whether the kernel is asked to report input.
func (l *Looped) watches() bool {
	l.loop.turn.Lock()
	defer l.loop.turn.Unlock()
	return l.state&watchIn != 0
}

// A pause costs nothing until there is something to be read; then the kernel is told to be silent, until Resume.
func TestLazyPause(t *testing.T) {
	m := newMute(true)
	l, client := link(t, new(Loops), m)
	for i := range byte(3) {
		client.Write([]byte{i})
		if got := <-m.received; got != i {
			t.Errorf("received %d, want %d", got, i)
		}
		if !l.watches() {
			t.Error("a pause without input has changed what is watched")
		}
		client.Write([]byte{'x'}) // not to be read now
		for l.watches() {
			runtime.Gosched() // if it is not silenced, the loop runs without end, and so does this test
		}
		if len(m.received) > 0 {
			t.Error("something has been read while paused")
		}
		l.Resume()
		<-m.received
		l.Resume()
		for !l.watches() {
			runtime.Gosched()
		}
	}
	client.Close()
	l.Abort()
	<-m.released
}

// What the kernel has reported about a link that has gone since is not taken for one about its successor with the same descriptor.
func TestReusedDescriptor(t *testing.T) {
	before := runtime.GOMAXPROCS(1) // one loop for all
	defer runtime.GOMAXPROCS(before)
	var loops Loops
	first, firstClient := link(t, &loops, newMute(false))
	stale := []unix.EpollEvent{{Events: unix.EPOLLIN | unix.EPOLLERR | unix.EPOLLHUP, Fd: first.fd, Pad: first.nth}}
	server, client := pair(t)
	fd, err := takeOver(server)
	if err != nil {
		t.Fatal(err)
	}
	firstClient.Close()
	<-first.peer.(*mute).released
	if err := unix.Dup3(fd, int(first.fd), unix.O_CLOEXEC); err != nil { // nobody else opens anything now
		t.Fatal(err)
	}
	unix.Close(fd)
	m := newMute(true)
	second := loops.adopt(int(first.fd), m)
	m.link = second
	second.Start(nil, nil)
	client.Write([]byte{1})
	<-m.received // paused, so that the stale event would close it
	second.loop.turn.Lock()
	second.loop.handle(stale)
	if second.state&closed != 0 {
		t.Error("the event of another has closed it")
	}
	second.loop.turn.Unlock()
	second.Resume()
	client.Write([]byte{2})
	if got := <-m.received; got != 2 {
		t.Errorf("received %d, want 2", got)
	}
	client.Close()
	second.Abort()
	<-m.released
}

// A link that no loop can take in is lost, and leaves no loop behind.
func TestLoopRefuses(t *testing.T) {
	file, err := os.Open(os.Args[0]) // epoll takes no files
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, err := unix.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	var loops Loops
	m := newMute(false)
	l := loops.adopt(fd, m)
	m.link = l
	l.Start(nil, nil)
	if err := <-m.lost; err == nil {
		t.Error("lost without a reason")
	}
	<-m.released
	l.loop.turn.Lock()
	defer l.loop.turn.Unlock()
	if l.loop.epoll != nil {
		t.Error("the loop runs without a link")
		l.loop.stop()
	}
}
