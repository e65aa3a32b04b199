package loadgen

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Config says what is loaded, how, and for how long. Validate checks it.
type Config struct {
	// URL is the server's address, ws://host:port or wss://host:port. Rooms are at /rooms/NAME below it; if it has a path, at
	// NAME below that path. With Protocol it is the endpoint itself; /ws if it has no path.
	URL string

	// Protocol is whether the server is spoken to in roomcast.v1 (docs/protocol.md): each connection joins its room, and a message is
	// a JSON string of Size characters. Otherwise whoever connects to the address of a room is in it, and a message is Size bytes.
	Protocol bool

	// Header is sent with every upgrade request.
	Header http.Header

	// Insecure takes any certificate of a wss server.
	Insecure bool

	// Conns is how many connections there are in all. They are spread evenly over the rooms; the senders are among them.
	Conns int

	// Rooms is how many rooms there are, each with at least two members.
	Rooms int

	// Senders is how many of the connections send, spread evenly over the rooms as well.
	Senders int

	// Window is how many messages each sender keeps on the way in a closed loop: it sends the next one when one has reached
	// every other member of its room. It is 0 with a rate.
	Window int

	// Rate is how many messages are sent in an open loop, per second and by all senders together, whatever the server makes of
	// them. It is 0 with a window.
	Rate float64

	// Size is the payload of a message in bytes, HeaderBytes or more.
	Size int

	// Duration is how long is measured; zero means until Messages have been sent.
	Duration time.Duration

	// Warmup is how long the same load runs before that. Its messages are checked, but not in the figures.
	Warmup time.Duration

	// Messages ends the run when so many have been sent after the warm-up; zero means no such end.
	Messages uint64

	// Timeout is how long a connection may take to be made, and how long is waited for a delivery that does not come: by a
	// sender with a full window before it goes on, and at the end of the run.
	Timeout time.Duration

	// PIDs are the server's processes, whose CPU time and memory are read from /proc. That needs Linux.
	PIDs []int

	// OwnServer says that the server is in this process, so that both need descriptors and share the CPU time and the memory.
	OwnServer bool

	// Progress, if not nil, is told every ProgressEvery how far things are. It is called by one goroutine.
	Progress      func(Progress)
	ProgressEvery time.Duration

	// Dial makes the connection under the WebSocket; nil means TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

const (
	minRate     = 1e-3
	maxSize     = 64 << 20
	maxWindow   = 1 << 20
	maxDuration = 48 * time.Hour // less than a header can say
)

// Validate reports the first field that makes no sense, as a *FieldError.
func (c *Config) Validate() error {
	for _, check := range []func() error{c.checkURL, c.checkWho, c.checkWhat, c.checkEnd} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkURL() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" || u.RawQuery != "" || u.Fragment != "" {
		return invalid("url", c.URL, "write it as ws://127.0.0.1:8080, or wss:// for TLS")
	}
	return nil
}

func (c *Config) checkWho() error {
	switch {
	case c.Rooms < 1:
		return invalid("rooms", c.Rooms, "set 1 or more")
	case c.Conns < 2*c.Rooms:
		return invalid("conns", c.Conns, fmt.Sprintf("a room needs two members to pass a message on; set %d or more", 2*c.Rooms))
	case c.Conns > maxMember:
		return invalid("conns", c.Conns, fmt.Sprintf("set at most %d", maxMember))
	case c.Senders < 1 || c.Senders > c.Conns:
		return invalid("senders", c.Senders, fmt.Sprintf("set 1 to %d, the connections there are", c.Conns))
	}
	return nil
}

func (c *Config) checkWhat() error {
	switch {
	case c.Rate != 0 && c.Window != 0:
		return invalid("window", c.Window, "a rate is kept whatever is on the way; leave out one of the two")
	case c.Rate != 0 && !(c.Rate >= minRate && c.Rate <= 1e9):
		return invalid("rate", c.Rate, "set messages per second from 0.001 up, or leave it out for a closed loop")
	case c.Rate == 0 && (c.Window < 1 || c.Window > maxWindow):
		return invalid("window", c.Window, fmt.Sprintf("set 1 to %d messages", maxWindow))
	case c.Size < HeaderBytes:
		return invalid("size", c.Size, fmt.Sprintf("the header of a message takes %d bytes of it; set %d or more", HeaderBytes, HeaderBytes))
	case c.Size > maxSize:
		return invalid("size", c.Size, fmt.Sprintf("set at most %d", maxSize))
	}
	return nil
}

func (c *Config) checkEnd() error {
	switch {
	case c.Duration < 0 || c.Duration > maxDuration || c.Duration == 0 && c.Messages == 0:
		return invalid("duration", c.Duration, "set a time such as 10s, at most 48h")
	case c.Warmup < 0 || c.Warmup > maxDuration:
		return invalid("warmup", c.Warmup, "set a time such as 2s, at most 48h, or 0")
	case c.Timeout <= 0:
		return invalid("timeout", c.Timeout, "set a time such as 5s")
	}
	for _, pid := range c.PIDs {
		if pid < 1 {
			return invalid("pid", pid, "set the number of the server's process")
		}
	}
	return nil
}

// FieldError is about one field of a Config.
type FieldError struct {
	Field  string // its name, in lower case
	Value  any
	Remedy string // what to set instead
}

// Error says the field, its value, and what to set instead.
func (e *FieldError) Error() string { return fmt.Sprintf("%s %v: %s", e.Field, e.Value, e.Remedy) }

func invalid(field string, value any, remedy string) error { return &FieldError{field, value, remedy} }
