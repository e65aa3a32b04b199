package bridge

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"sync"

	"github.com/roomcast/roomcast"
)

// Callbacks is what a program does about the connections of one port. The calls for one connection come one after the other, in the
// order Connect, Message, Close; those for different connections in parallel.
type Callbacks interface {
	// Connect decides whether to accept a client. headers is live until it returns.
	Connect(conn Handle, path string, headers Handle) (accept bool)

	// Message handles a text or binary message.
	Message(conn Handle, data []byte)

	// Close tells the end of every connection that Connect was told of, rejected ones included. conn is stale already.
	Close(conn Handle, code int, reason string)
}

// Bridge is the rooms of the process. Its methods may be called from anywhere at any time.
type Bridge struct {
	srv      *roomcast.Server
	host     string // to listen on; "" is every address of the machine
	conns    table[client]
	requests table[*request]

	mu    sync.Mutex // never held together with another lock
	ports map[int64]*port
}

// Settings is what a process sets through its environment, since the C functions have no argument for it.
type Settings struct {
	Host           string   // ROOMCAST_HOST: the address to listen on; "" is every address of the machine
	AllowedOrigins []string // ROOMCAST_ALLOWED_ORIGIN, separated by commas: see roomcast.Options.AllowedOrigins
}

// ReadSettings reads the settings from the environment.
func ReadSettings(getenv func(name string) string) Settings {
	s := Settings{Host: strings.TrimSpace(getenv("ROOMCAST_HOST"))}
	for origin := range strings.SplitSeq(getenv("ROOMCAST_ALLOWED_ORIGIN"), ",") {
		if origin = strings.TrimSpace(origin); origin != "" {
			s.AllowedOrigins = append(s.AllowedOrigins, origin)
		}
	}
	return s
}

// New returns a bridge that serves no port. What goes wrong without anybody being told by a return value is written to log.
func New(s Settings, log io.Writer) (*Bridge, error) {
	o := roomcast.Options{
		AllowedOrigins: s.AllowedOrigins,
		Logger:         slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("ROOMCAST_ALLOWED_ORIGIN: %w", err) // nothing else comes from outside
	}
	b := &Bridge{host: s.Host, conns: table[client]{kind: connections}, requests: table[*request]{kind: requests}, ports: map[int64]*port{}}
	b.srv = roomcast.New(roomcast.Handler{Connect: b.connect, Message: b.message, Close: b.close}, o)
	return b, nil
}

var errNoConn = errors.New("no live connection has this handle")

// find returns the connection that h stands for. It may have begun to close.
func (b *Bridge) find(h Handle) (*roomcast.Conn, error) {
	if e := b.conns.find(h); e != nil {
		return e.value.conn, nil
	}
	return nil, errNoConn
}

// open is find for what a roomcast.Conn that closes does not refuse by itself.
func (b *Bridge) open(h Handle) (*roomcast.Conn, error) {
	c, err := b.find(h)
	if err == nil && c.Closing() {
		return nil, errNoConn
	}
	return c, err
}

// Join makes a connection a member of a room.
func (b *Bridge) Join(h Handle, room string) error {
	c, err := b.find(h)
	if err != nil {
		return err
	}
	return c.Join(room)
}

// Leave ends a membership, if there is one.
func (b *Bridge) Leave(h Handle, room string) error {
	c, err := b.open(h)
	if err != nil {
		return err
	}
	c.Leave(room)
	return nil
}

// Send sends m to one connection.
func (b *Bridge) Send(h Handle, m roomcast.Message) error {
	c, err := b.find(h)
	if err != nil {
		return err
	}
	return c.Send(m)
}

// Close ends a connection; its handle is stale from then on. The error tells of a code or reason that must not be sent.
func (b *Bridge) Close(h Handle, code int64, reason string) error {
	c, err := b.open(h)
	if err != nil {
		return err
	}
	if code < math.MinInt32 || code > math.MaxInt32 {
		return fmt.Errorf("close code %d is none; use one from 1000 to 4999", code)
	}
	if err := c.Close(int(code), reason); err != nil {
		return err
	}
	b.conns.remove(h)
	return nil
}

// Broadcast sends m to every member of a room but one, and returns to how many it could not be handed. A handle that is not live
// leaves nobody out: whom it stood for is in no room any more.
func (b *Bridge) Broadcast(room string, m roomcast.Message, except Handle) (failed int, err error) {
	left, _ := b.find(except)
	return b.srv.BroadcastExcept(room, m, left)
}

// RoomSize returns how many members a room has.
func (b *Bridge) RoomSize(room string) int { return len(b.srv.Members(room)) }
