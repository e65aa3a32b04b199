package roomcast

import (
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/roomcast/roomcast/internal/session"
	"github.com/roomcast/roomcast/internal/wheel"
)

// Options adjusts a Server. The zero value works: each field says what zero means and what passing a bound leads to.
type Options struct {
	// MaxMessageBytes is the largest message a client may send, in bytes of payload over all its fragments. A larger one
	// ends its connection with 1009 before anything is allocated for it. Zero means 16 MiB.
	MaxMessageBytes int

	// OutboxBytes is how much may wait for one connection, in bytes of frames the socket has not taken. What would pass it
	// is not sent, counts as a failure of the broadcast, and closes the connection with 1013. So does what would pass one
	// frame for each 16 bytes of it: many tiny messages take memory besides their bytes. A single frame larger than
	// this is accepted when nothing else waits. Zero means 1 MiB.
	OutboxBytes int

	// Slow says for a room what becomes of a message for which a member has no room left in its outbox. It is called with every
	// Join, and the answer counts if that creates the room. Nil means SlowClose for every room.
	Slow func(room string) Slow

	// Gap makes the message that a member gets in place of the messages of a room that it missed, where they would have come. It
	// is called with a lock held: it builds the message and nothing else. Nil means that members are not told.
	Gap func(room string, missed int) Message

	// Engine is what lies behind the rooms, beyond this process. Nil means nothing: rooms are this server's alone, and nothing is kept.
	Engine Engine

	// Render makes the message that members get of an entry of the engine, so that it can tell its Position. What is published is an entry first,
	// on the node that publishes too. It may be called with a lock held: it builds the message and nothing else. Nil means Entry.Message.
	Render func(room string, e Entry) Message

	// Coalesce is how long what is sent to a connection may wait for more, so that fewer and larger writes leave: each write
	// costs the kernel some microseconds whatever it carries. Without it, messages that come while others are being written
	// leave together anyway. It delays everything by up to that long. Zero means that nothing waits.
	Coalesce time.Duration

	// MailboxBytes is how much may wait for the Message callback of one connection, in bytes of payload plus 64 for each
	// message. From there on nothing is read from the connection until half of it is handled, so that TCP slows the
	// sender down; nothing is dropped. What one read brings may pass it. Zero means 256 KiB.
	MailboxBytes int

	// MaxRoomsPerConn is how many rooms one connection may be in; a Join past it fails with ErrTooManyRooms. The time of
	// Join and Leave grows with the rooms of the connection, by about a nanosecond each. Zero means 1,000.
	MaxRoomsPerConn int

	// MaxRoomNameBytes is the longest name of a room, in bytes. A Join with a longer one fails with ErrRoomName. Zero means 255.
	MaxRoomNameBytes int

	// PingInterval is the time between two pings to a client. Zero means 30 s; negative means no pings, so that a client
	// that vanished without a word is found only when something is sent to it.
	PingInterval time.Duration

	// PongTimeout is how long a client has to answer a ping; after it the connection is closed with 1001. It is kept at up
	// to a thirtieth of PingInterval later, and longer for a client in the middle of a frame that keeps arriving, for one that
	// keeps taking what waits for it before the ping, and while its mailbox is full: a pong could not come or be seen. At
	// most PingInterval. Zero means 10 s, or PingInterval if that is less.
	PongTimeout time.Duration

	// HandshakeTimeout is how long ListenAndServe, ListenAndServeTLS and Serve wait for the whole upgrade request, TLS
	// included; then the connection is closed. Zero means 10 s. Behind an http.Server of your own, its ReadHeaderTimeout counts.
	HandshakeTimeout time.Duration

	// CloseTimeout is how long a connection that is being closed has to take the Close frame and to hang up in turn; then it is cut. Zero means 5 s.
	CloseTimeout time.Duration

	// MaxHeaderBytes is the largest upgrade request ListenAndServe, ListenAndServeTLS and Serve read, in bytes of header;
	// a larger one is answered with 431. Zero means 16 KiB. Behind an http.Server of your own, its MaxHeaderBytes counts.
	MaxHeaderBytes int

	// AllowedOrigins is which browser origins may connect besides the host itself: patterns of path.Match against the
	// origin's host[:port] such as "*.example.com", against the whole origin if they have a scheme such as
	// "https://app.example.com", or "*" for any. Others are answered with 403. A request without an Origin header does not
	// come from a browser and is let in. Nil means the same host only.
	AllowedOrigins []string

	// Subprotocols is which application protocols the server speaks (RFC 6455, section 1.9). The first one of the client's
	// list that is among them is chosen; see Conn.Subprotocol. At most 255. Nil means none.
	Subprotocols []string

	// Compression is whether messages are compressed for the clients that offer it. Zero means that they are not.
	Compression Compression

	// Logger is told of the end of each connection at Info, of one that broke a rule or was too slow at Warn, and of a
	// panic in a callback at Error. Nil means silence.
	Logger *slog.Logger
}

// Compression is whether messages are compressed (permessage-deflate, RFC 7692). It is agreed on with each client that offers it; the
// others in a room are sent plain frames.
//
// It trades CPU and latency for bandwidth. A broadcast is compressed once for all (G10), at the fastest level and without context
// takeover: a message can refer to itself alone, so that a connection keeps no window. Messages below 256 bytes, and those that
// do not become shorter, are sent as they are. MaxMessageBytes bounds what a message inflates to, and OutboxBytes counts what is sent. A
// client can make the server inflate a thousand bytes for each one it sends: set MaxMessageBytes as low as you can. What it has sent at once
// is delivered at once: if that inflates to more than OutboxBytes, those it is sent to are closed for it, however fast they read.
//
// Do not compress messages in which a secret stands beside what a stranger can choose: the size of the frame, which whoever sees the
// traffic sees, tells how much the two have in common (RFC 7692, section 8; the attacks CRIME and BREACH).
type Compression uint8

// What Options.Compression can be.
const (
	CompressionOff Compression = iota // no client's offer is accepted
	CompressionOn                     // every client's offer is accepted that can be kept
)

// Validate reports the first field that makes no sense, with its value and what to set instead. New panics with the same error;
// a program whose options come from outside calls Validate first.
func (o Options) Validate() error {
	for _, f := range []struct {
		name     string
		value    any
		negative bool
	}{
		{"MaxMessageBytes", o.MaxMessageBytes, o.MaxMessageBytes < 0},
		{"OutboxBytes", o.OutboxBytes, o.OutboxBytes < 0},
		{"MailboxBytes", o.MailboxBytes, o.MailboxBytes < 0},
		{"MaxRoomsPerConn", o.MaxRoomsPerConn, o.MaxRoomsPerConn < 0},
		{"MaxRoomNameBytes", o.MaxRoomNameBytes, o.MaxRoomNameBytes < 0},
		{"MaxHeaderBytes", o.MaxHeaderBytes, o.MaxHeaderBytes < 0},
		{"PongTimeout", o.PongTimeout, o.PongTimeout < 0},
		{"HandshakeTimeout", o.HandshakeTimeout, o.HandshakeTimeout < 0},
		{"CloseTimeout", o.CloseTimeout, o.CloseTimeout < 0},
		{"Coalesce", o.Coalesce, o.Coalesce < 0},
	} {
		if f.negative {
			return fmt.Errorf("roomcast: Options.%s is %v; set a positive value, or 0 for the default", f.name, f.value)
		}
	}
	if full := o.withDefaults(); o.PingInterval >= 0 && full.PongTimeout > full.PingInterval {
		return fmt.Errorf("roomcast: Options.PongTimeout is %v, longer than PingInterval %v; set it to at most that",
			full.PongTimeout, full.PingInterval)
	}
	if o.PingInterval > 0 && o.PingInterval < wheel.Slots*time.Millisecond {
		return fmt.Errorf("roomcast: Options.PingInterval is %v; set at least %v, or a negative value for no pings",
			o.PingInterval, wheel.Slots*time.Millisecond)
	}
	if o.Compression > CompressionOn {
		return fmt.Errorf("roomcast: Options.Compression is %d; set CompressionOff or CompressionOn", o.Compression)
	}
	if err := session.CheckOrigins(o.AllowedOrigins); err != nil {
		return fmt.Errorf("roomcast: Options.AllowedOrigins has %w", err)
	}
	if len(o.Subprotocols) > math.MaxUint8 {
		return fmt.Errorf("roomcast: Options.Subprotocols has %d names; list at most %d", len(o.Subprotocols), math.MaxUint8)
	}
	for _, name := range o.Subprotocols {
		if !session.IsToken(name) {
			return fmt.Errorf("roomcast: Options.Subprotocols has %q; use letters, digits and !#$%%&'*+-.^_`|~ only", name)
		}
	}
	return nil
}

// withDefaults returns o with every zero replaced by what it means.
func (o Options) withDefaults() Options {
	or(&o.MaxMessageBytes, 16<<20)
	or(&o.OutboxBytes, 1<<20)
	or(&o.MailboxBytes, 256<<10)
	or(&o.MaxRoomsPerConn, 1000)
	or(&o.MaxRoomNameBytes, 255)
	or(&o.PingInterval, 30*time.Second)
	if o.PingInterval > 0 {
		or(&o.PongTimeout, min(10*time.Second, o.PingInterval))
	}
	or(&o.HandshakeTimeout, 10*time.Second)
	or(&o.CloseTimeout, 5*time.Second)
	or(&o.MaxHeaderBytes, 16<<10)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// or sets *v to def if it is zero.
func or[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}
