package client

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a server on pipes, so that tests run in a synctest bubble, in fake time. What it does is up to the test.
type fake struct {
	t      *testing.T
	server http.Server
	conns  chan *peer // never closed
	dialed chan net.Conn
	closed chan struct{}
	answer http.HandlerFunc // instead of an upgrade, unless nil
	away   bool             // nobody answers
}

// peer is the server's side of a connection.
type peer struct {
	t       *testing.T
	conn    *websocket.Conn
	request *http.Request
	end     func() // lets the handler return
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, conns: make(chan *peer, 8), dialed: make(chan net.Conn), closed: make(chan struct{})}
	f.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.answer != nil {
			f.answer(w, r)
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{version}})
		if err != nil {
			t.Error(err)
			return
		}
		ended := make(chan struct{})
		f.conns <- &peer{t, conn, r, sync.OnceFunc(func() { close(ended) })}
		<-ended
		conn.CloseNow()
	})
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = f.server.Serve(f) // until it is closed
	}()
	t.Cleanup(func() {
		f.server.Close()
		<-served
	})
	return f
}

// Accept, Close and Addr make the fake a net.Listener.
func (f *fake) Accept() (net.Conn, error) {
	select {
	case c := <-f.dialed:
		return c, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

func (f *fake) Close() error {
	close(f.closed)
	return nil
}

func (f *fake) Addr() net.Addr { return &net.TCPAddr{} }

func (f *fake) dial(context.Context, string, string) (net.Conn, error) {
	if f.away {
		return nil, &net.OpError{Op: "dial", Err: net.UnknownNetworkError("nobody there")}
	}
	here, there := net.Pipe()
	f.dialed <- there
	return here, nil
}

// next is the next client that has connected.
func (f *fake) next() *peer {
	f.t.Helper()
	p := <-f.conns
	f.t.Cleanup(p.end)
	return p
}

// welcome says hello and lets the client into the rooms it wants.
func (p *peer) welcome(id string, rooms ...string) {
	p.t.Helper()
	p.say(`{"type":"hello","protocol":"roomcast.v1","server":"fake","connection":"` + id + `","session":"s","limits":{}}`)
	for _, room := range rooms {
		r := p.hear()
		if r.Type != "join" || r.Room != room {
			p.t.Errorf("the client sent %+v, want a join of %s", r, room)
		}
		p.ack(r)
	}
}

func (p *peer) say(frame string) {
	p.t.Helper()
	if err := p.conn.Write(context.Background(), websocket.MessageText, []byte(frame)); err != nil {
		p.t.Error(err)
	}
}

// hear is the client's next request.
func (p *peer) hear() (r request) {
	p.t.Helper()
	_, frame, err := p.conn.Read(context.Background())
	if err != nil {
		p.t.Error(err)
		return r
	}
	if err := json.Unmarshal(frame, &r); err != nil {
		p.t.Errorf("%s: %v", frame, err)
	}
	return r
}

func (p *peer) ack(r request) {
	p.t.Helper()
	p.say(string(must(json.Marshal(map[string]any{"type": "ack", "id": r.ID}))))
}

// refuse answers with an error.
func (p *peer) refuse(r request, code string, retryMS int) {
	p.t.Helper()
	p.say(string(must(json.Marshal(map[string]any{
		"type": "error", "id": r.ID, "code": code, "message": "no", "room": r.Room, "retry_after_ms": retryMS,
	}))))
}

// leave closes with a code, and does not return before the client has answered.
func (p *peer) leave(code int, reason string) {
	_ = p.conn.Close(websocket.StatusCode(code), reason)
	p.end()
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// following is a client that runs.
type following struct {
	*Client
	t      *testing.T
	events chan Event
	states chan State
	stop   context.CancelFunc
	done   chan struct{} // closed when Run has returned
	result error
}

// follow runs a client of the fake.
func (f *fake) follow(cfg Config) *following {
	cfg.URL = "ws://fake/ws"
	r := &following{t: f.t, events: make(chan Event, 64), states: make(chan State, 64), done: make(chan struct{})}
	cfg.Event = func(e Event) { r.events <- e }
	cfg.State = func(s State) { r.states <- s }
	r.Client = New(cfg)
	r.transport = &http.Transport{DialContext: f.dial, DisableKeepAlives: true}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go func() {
		defer close(r.done)
		r.result = r.Run(ctx)
	}()
	f.t.Cleanup(func() {
		r.stop()
		<-r.done
	})
	return r
}

// end waits for Run and returns what it returned.
func (r *following) end() error {
	<-r.done
	return r.result
}

// bubble runs a test in fake time.
func bubble(t *testing.T, test func(t *testing.T, f *fake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newFake(t)) })
}
