package roomcast

import "testing"

// eagerLink is a link whose goroutines are quick: when Start returns, the output has been asked for and a Close frame has come.
type eagerLink struct {
	noLink
	conn  *Conn
	woken int
}

func (l *eagerLink) Start(_, _ []byte) {
	l.conn.Output(nil, make([][]byte, 0, 1))
	l.conn.Receive([]byte{0x88, 0x80, 0, 0, 0, 0}) // an empty Close frame with an empty mask
}

func (l *eagerLink) Wake() { l.woken++ }

// A client may close before Start has returned. The answer is behind a wake-up then, and must not be without one.
func TestCloseBeforeStarted(t *testing.T) {
	s := New(Handler{}, Options{PingInterval: -1})
	c := &Conn{srv: s, id: s.nextID.Add(1)}
	c.out.writing = true
	c.left.Store(2)
	s.remember(c)
	link := &eagerLink{conn: c}
	c.link = link
	c.start(nil, nil)
	if p, _ := c.Output(nil, make([][]byte, 0, 1)); link.woken != 1 || len(p) != 1 {
		t.Errorf("the link was woken %d times for %d frames, want once for the Close frame", link.woken, len(p))
	}
}

// A client that is slow to take what waits for it has not seen the ping behind it, and is left as long as it takes anything.
func TestPongBehindOutput(t *testing.T) {
	s := New(Handler{}, Options{PingInterval: -1})
	c := newTestConn(s)
	if err := c.Send(Binary(make([]byte, 10))); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.ping()
		c.Written(1)
		if c.checkPong(); !c.isOpen() {
			t.Fatal("closed while it takes its output")
		}
	}
	c.ping()
	if c.checkPong(); c.isOpen() {
		t.Error("open though it takes nothing any more")
	}
}

// Closing is true from the instant at which a connection is out of its rooms.
func TestClosing(t *testing.T) {
	s := New(Handler{}, Options{PingInterval: -1})
	c := newTestConn(s)
	if c.Closing() {
		t.Error("a new connection is closing")
	}
	if err := c.Close(CloseNormal, ""); err != nil || !c.Closing() {
		t.Errorf("after Close: %v, closing %v", err, c.Closing())
	}
}
