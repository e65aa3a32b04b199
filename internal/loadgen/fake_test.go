package loadgen

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// fake is a relay in memory whose faults a test can choose. It works in synctest.
type fake struct {
	t testing.TB

	// What becomes of a message to a member, the n-th one from 0; nil passes it on.
	mangle func(to *fakeMember, n int, frame []byte) [][]byte
	// Who gets a message; nil means all others in the room.
	route func(from, to *fakeMember) bool
	// Called before a message is passed on, which waits for it.
	before func(n int)
	// It speaks roomcast.v1, with the connections c0, c1 and so on.
	protocol bool
	// With the protocol: what is sent right after the upgrade, and what answers a join; nil means hello, and an ack.
	// The connection c? is that of the client.
	hello, ack [][]byte
	// Its rooms keep a history: messages say where they stand in it.
	history bool

	mu      sync.Mutex
	members []*fakeMember
	got     int // messages from senders
	offset  int // of the last message
}

type fakeMember struct {
	id    string
	room  string
	conn  net.Conn
	count int    // messages for it
	held  []byte // by mangle
	pongs []string

	mu    sync.Mutex
	queue [][]byte
	wake  chan struct{} // cap 1, never closed
	done  chan struct{} // closed when nothing can be read any more
}

// dial is a Config.Dial.
func (f *fake) dial(context.Context, string, string) (net.Conn, error) {
	server, client := net.Pipe()
	go f.serve(server)
	return client, nil
}

func (f *fake) serve(conn net.Conn) {
	defer conn.Close()
	m := &fakeMember{conn: conn, wake: make(chan struct{}, 1), done: make(chan struct{})}
	upgrader := ws.Upgrader{OnRequest: func(uri []byte) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		m.room, m.id = string(uri), fmt.Sprintf("c%d", len(f.members))
		f.members = append(f.members, m) // before the client can know that it is connected
		return nil
	}}
	if f.protocol {
		upgrader.Protocol = func(p []byte) bool { return string(p) == subprotocol }
	}
	if _, err := upgrader.Upgrade(conn); err != nil {
		if !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, io.EOF) { // the client has given up
			f.t.Errorf("upgrade: %v", err)
		}
		return
	}
	if f.protocol {
		m.say(f.hello, `{"type":"hello","protocol":"roomcast.v1","server":"fake","connection":%q,"session":"s","limits":{}}`, m.id)
	}
	var writer sync.WaitGroup
	writer.Go(m.write)
	defer writer.Wait()
	for {
		head, err := ws.ReadHeader(conn)
		payload := make([]byte, head.Length)
		if err == nil {
			_, err = io.ReadFull(conn, payload)
		}
		if err != nil {
			close(m.done)
			return
		}
		if !head.Masked || head.Length > writeBuffer {
			f.t.Errorf("a client sent the frame %+v", head)
		}
		ws.Cipher(payload, head.Mask, 0)
		switch head.OpCode {
		case ws.OpText:
			if f.protocol {
				payload = f.request(m, payload)
			}
			if payload != nil {
				f.relay(m, payload)
			}
		case ws.OpPong:
			m.pongs = append(m.pongs, string(payload))
		case ws.OpClose:
			m.push(ws.MustCompileFrame(ws.NewCloseFrame(payload)))
			m.push(nil)
			return
		}
	}
}

// request handles a request of the protocol; if it is a send, it returns what is to be passed on.
func (f *fake) request(m *fakeMember, payload []byte) []byte {
	var r struct {
		Type, Room string
		ID, Data   json.RawMessage
		Echo       *bool
	}
	err := json.Unmarshal(payload, &r)
	switch {
	case err == nil && r.Type == "join" && r.ID != nil:
		f.mu.Lock()
		m.room = r.Room
		f.mu.Unlock()
		m.say(f.ack, `{"type":"ack","id":%s}`, r.ID)
	case err == nil && r.Type == "send" && r.Room == m.room && r.Echo != nil && !*r.Echo && r.Data != nil:
		return fmt.Appendf(nil, `{"type":"message","room":%q%s,"from":{"connection":%q},"data":%s}`, r.Room, f.position(), m.id, r.Data)
	default:
		f.t.Errorf("a client sent %s: %v", payload, err)
	}
	return nil
}

// position is where the next message stands.
func (f *fake) position() string {
	if !f.history {
		return ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offset++
	return fmt.Sprintf(`,"epoch":"k3v9","offset":%d`, f.offset)
}

// say queues frames or, if there are none, a text frame.
func (m *fakeMember) say(frames [][]byte, format string, args ...any) {
	if frames == nil {
		frames = [][]byte{ws.MustCompileFrame(ws.NewTextFrame(fmt.Appendf(nil, format, args...)))}
	}
	for _, frame := range frames {
		m.push(bytes.ReplaceAll(frame, []byte("c?"), []byte(m.id)))
	}
}

func (f *fake) relay(from *fakeMember, payload []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before != nil {
		f.before(f.got)
	}
	f.got++
	for _, to := range f.members {
		if f.route != nil && !f.route(from, to) || f.route == nil && (to == from || to.room != from.room) {
			continue
		}
		frames := [][]byte{ws.MustCompileFrame(ws.NewTextFrame(payload))}
		if f.mangle != nil {
			frames = f.mangle(to, to.count, frames[0])
		}
		to.count++
		for _, frame := range frames {
			to.push(frame)
		}
	}
}

// push queues bytes; nil ends the connection after what is queued.
func (m *fakeMember) push(p []byte) {
	m.mu.Lock()
	m.queue = append(m.queue, p)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *fakeMember) write() {
	for {
		m.mu.Lock()
		queue := m.queue
		m.queue = nil
		m.mu.Unlock()
		for _, p := range queue {
			if p == nil {
				m.conn.Close()
				return
			}
			if _, err := m.conn.Write(p); err != nil {
				return
			}
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-m.wake:
		case <-m.done:
			return
		}
	}
}

// member returns one by the order in which they connected.
func (f *fake) member(i int) *fakeMember {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members[i]
}

// dropDoubleSwap loses, doubles and delays one in ten each.
func dropDoubleSwap(to *fakeMember, n int, frame []byte) [][]byte {
	switch n % 10 {
	case 3:
		return nil
	case 5:
		return [][]byte{frame, frame}
	case 7:
		to.held = bytes.Clone(frame)
		return nil
	case 8:
		return [][]byte{frame, to.held}
	}
	return [][]byte{frame}
}

// config is a small closed loop against the fake, without a warm-up.
func (f *fake) config(edit func(*Config)) Config {
	c := Config{
		URL: "ws://fake", Conns: 5, Rooms: 1, Senders: 1, Window: 4, Size: 100, Messages: 100, Timeout: 5 * time.Second, Dial: f.dial,
	}
	if edit != nil {
		edit(&c)
	}
	return c
}

// run runs the generator on Go's own timers, which synctest knows.
func (f *fake) run(ctx context.Context, edit func(*Config)) *Result {
	f.t.Helper()
	result, err := newRun(f.config(edit)).execute(ctx, newClockAlarm)
	if err != nil {
		f.t.Fatal(err)
	}
	return result
}
