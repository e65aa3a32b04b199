package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// patience is how long an answer may take before a run is given up.
const patience = 20 * time.Second

// client is one connection that speaks roomcast.v1. One goroutine reads.
type client struct {
	conn  net.Conn
	in    *bufio.Reader
	frame []byte       // what was read last
	got   atomic.Int64 // bytes, since the upgrade
	hello answer

	writing sync.Mutex // requests, and pongs of the goroutine that reads
}

// answer is what a server says, of all types.
type answer struct {
	Type, ID, Code, Message, Room string
	Resume, Session, Connection   string
	Epoch                         string
	Offset                        uint64
	Recovered, Resumed            bool
	Count                         int
	Data                          json.RawMessage
}

// counted counts what is read.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// dial connects and waits for hello.
func dial(addr string) (*client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, early, _, err := ws.Dialer{Protocols: []string{"roomcast.v1"}, ReadBufferSize: 1024, WriteBufferSize: 512}.Dial(ctx, "ws://"+addr+"/ws")
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn}
	in := io.Reader(conn)
	if early != nil { // hello came with the upgrade
		first, _ := early.Peek(early.Buffered())
		in = io.MultiReader(bytes.NewReader(bytes.Clone(first)), conn)
	}
	c.in = bufio.NewReaderSize(counted{in, &c.got}, 2048)
	if err := c.answer("", "hello", &c.hello); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) close() { _ = c.conn.Close() } // its reader ends with it

// say sends a request.
func (c *client) say(format string, args ...any) error {
	return c.write(fmt.Appendf(nil, format, args...))
}

func (c *client) write(request []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return wsutil.WriteClientText(c.conn, request)
}

// next reads a message. It is valid until the next one is read.
func (c *client) next() ([]byte, error) {
	for {
		op, err := c.read()
		switch {
		case err != nil:
			return nil, err
		case op == ws.OpText:
			return c.frame, nil
		case op == ws.OpClose:
			return nil, fmt.Errorf("the server closed: %q", c.frame)
		case op == ws.OpPing:
			c.writing.Lock()
			err := wsutil.WriteClientMessage(c.conn, ws.OpPong, c.frame)
			c.writing.Unlock()
			if err != nil {
				return nil, err
			}
		}
	}
}

// read reads one frame, which a server does not mask, and which Roomcast does not fragment.
func (c *client) read() (ws.OpCode, error) {
	var head [10]byte
	if _, err := io.ReadFull(c.in, head[:2]); err != nil {
		return 0, err
	}
	length := uint64(head[1])
	switch length {
	case 126:
		if _, err := io.ReadFull(c.in, head[2:4]); err != nil {
			return 0, err
		}
		length = uint64(binary.BigEndian.Uint16(head[2:4]))
	case 127:
		if _, err := io.ReadFull(c.in, head[2:10]); err != nil {
			return 0, err
		}
		length = binary.BigEndian.Uint64(head[2:10])
	}
	if length > 1<<24 {
		return 0, errors.New("the server sent a frame of more than 16 MiB, or a masked one")
	}
	if uint64(cap(c.frame)) < length {
		c.frame = make([]byte, length)
	}
	c.frame = c.frame[:length]
	_, err := io.ReadFull(c.in, c.frame)
	return ws.OpCode(head[0] & 0x0f), err
}

// refusal is an error that a server answered with.
type refusal struct{ code, message string }

func (r refusal) Error() string { return "the server said " + r.code + ": " + r.message }

// answer reads until there is the answer to a request, or what has no id.
func (c *client) answer(id, want string, into *answer) error {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	defer c.conn.SetReadDeadline(time.Time{})
	for {
		text, err := c.next()
		if err != nil {
			return fmt.Errorf("no %s: %w", want, err)
		}
		if bytes.HasPrefix(text, []byte(`{"type":"message"`)) {
			continue
		}
		if *into, err = parse(text); err != nil {
			return err
		}
		switch {
		case into.Type == "error" && into.ID == id:
			return refusal{into.Code, into.Message}
		case into.Type == want && into.ID == id:
			return nil
		}
	}
}

// join makes it a member of a room.
func (c *client) join(room string, presence bool) (a answer, err error) {
	if err := c.say(`{"type":"join","id":"join","room":%q,"presence":%v}`, room, presence); err != nil {
		return a, err
	}
	return a, c.answer("join", "ack", &a)
}

// member connects and joins.
func member(addr, room string) (*client, error) {
	c, err := dial(addr)
	if err == nil {
		if _, err = c.join(room, false); err == nil {
			return c, nil
		}
		c.close()
	}
	return nil, fmt.Errorf("a member of %s: %w", room, err)
}

// payload is how many bytes the data of every message has.
const payload = 128

// appendSend is a request to send. Its data are when that was and two numbers, and filling.
func appendSend(p []byte, room string, at time.Duration, sender, seq int) []byte {
	p = append(p, `{"type":"send","room":"`...)
	p = append(p, room...)
	p = append(p, `","echo":false,"data":"`...)
	begin := len(p)
	for i, n := range []int{int(at), sender, seq} {
		if i > 0 {
			p = append(p, ' ')
		}
		p = strconv.AppendInt(p, int64(n), 10)
	}
	p = append(p, ' ')
	for len(p) < begin+payload {
		p = append(p, 'x')
	}
	return append(p, '"', '}')
}

// readSend reads what appendSend has put into a message; false if it is none.
func readSend(message []byte) (at time.Duration, sender, seq int, ok bool) {
	begin := len(message) - payload - 2
	if begin < 0 || !bytes.HasPrefix(message, []byte(`{"type":"message"`)) {
		return 0, 0, 0, false
	}
	var numbers [3]int
	i := 0
	for _, b := range message[begin:] {
		switch {
		case b == ' ':
			if i++; i == len(numbers) {
				return time.Duration(numbers[0]), numbers[1], numbers[2], true
			}
		case b < '0' || b > '9':
			return 0, 0, 0, false
		default:
			numbers[i] = 10*numbers[i] + int(b-'0')
		}
	}
	return 0, 0, 0, false
}

func parse(text []byte) (a answer, err error) {
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("the server sent %.200q: %w", text, err)
	}
	return a, nil
}
