package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Config is what a client has to know.
type Config struct {
	URL   string   // ws://host:port/ws
	Token string   // a JWT; "" if the server asks for none
	Rooms []string // to be joined each time it has connected

	// Event is called with every message to a room or to us, every notice and every error that answers nobody: one after the other,
	// in the order they came. While it runs, nothing is read; it must not call Send.
	Event func(Event)

	// State is called when something has happened to the connection; nil is fine.
	State func(State)

	// Patient makes even the first connection be tried again; otherwise a server that is not there is an error.
	Patient bool
}

// State is what has happened to the connection.
type State struct {
	Connected  bool          // and joined
	Connection string        // our id, if connected
	Err        error         // why not
	Delay      time.Duration // until the next attempt
}

// Client is a connection that comes back by itself. Send may be called while Run runs, from anywhere.
type Client struct {
	cfg       Config
	transport http.RoundTripper // set by tests

	mu      sync.Mutex
	rooms   []string
	live    *session      // nil while there is none that has joined
	changed chan struct{} // closed, and replaced, when live changes or the client ends
	ended   error         // why Run has returned
}

// New returns a client that does nothing before Run.
func New(cfg Config) *Client {
	if cfg.State == nil {
		cfg.State = func(State) {}
	}
	return &Client{cfg: cfg, transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}, rooms: slices.Clone(cfg.Rooms), changed: make(chan struct{})}
}

var (
	// ErrUnconfirmed is what Send returns when the connection ended before the answer came: the message may have been sent or not.
	ErrUnconfirmed = errors.New("the connection ended before the server confirmed the message: it may have arrived or not")

	// ErrEnded is what Send returns once Run has returned.
	ErrEnded = errors.New("the client has ended")

	// ErrNoRooms is what Run returns when the server has taken the client out of its last room.
	ErrNoRooms = errors.New("the server has taken us out")
)

// Run connects, joins the rooms, and stays until ctx ends, which is no error, or until the server does not want it back.
func (c *Client) Run(ctx context.Context) (err error) {
	defer func() { c.end(err) }()
	wait := backoff{random: rand.Float64}
	for first := true; ; first = false {
		s := &session{client: c}
		began := time.Now()
		err = s.run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		lasted := s.joined && time.Since(began) >= settled
		if lasted {
			wait.tries = 0
		}
		todo, delay := judge(err)
		switch {
		case todo == never:
			return err
		case first && !c.cfg.Patient && errors.As(err, new(*dialError)):
			return err
		case todo == later && s.drainDelay > 0:
			delay = s.drainDelay
		case todo == now && lasted:
		case delay == 0:
			delay = wait.delay()
		}
		c.cfg.State(State{Err: err, Delay: delay})
		if !sleep(ctx, delay) {
			return nil
		}
	}
}

// sleep waits; it is false if ctx has ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Send sends a JSON value to a room and waits until the server has confirmed it. While there is no connection it waits for one, and
// what the server refuses because it is too much at once, it repeats after the time that the server asks for. So messages that
// are sent one after the other keep their order.
func (c *Client) Send(ctx context.Context, room string, data json.RawMessage, echo bool) error {
	r := request{Type: "send", Room: room, Data: data}
	if !echo {
		r.Echo = &echo
	}
	for {
		s, err := c.session(ctx)
		if err != nil {
			return err
		}
		err = s.call(ctx, r)
		if errors.Is(err, errNotSent) {
			c.drop(s)
			continue // with the next connection
		}
		return err
	}
}

// Ready waits until the client has joined its rooms.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.session(ctx)
	return err
}

// session waits for a connection that has joined.
func (c *Client) session(ctx context.Context) (*session, error) {
	for {
		c.mu.Lock()
		s, changed, ended := c.live, c.changed, c.ended
		c.mu.Unlock()
		switch {
		case ended != nil:
			return nil, ended
		case s != nil:
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ready lets Send use a session, unless it has ended meanwhile.
func (c *Client) ready(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.over {
		c.live = s
		c.signalLocked()
	}
}

// drop takes a session from Send.
func (c *Client) drop(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.over = true
	if c.live == s {
		c.live = nil
		c.signalLocked()
	}
}

// end makes every Send fail from now on.
func (c *Client) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = ErrEnded
	if err != nil {
		c.ended = fmt.Errorf("%w: %w", ErrEnded, err)
	}
	c.signalLocked()
}

// signalLocked wakes who waits for a session.
func (c *Client) signalLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// wanted are the rooms to join.
func (c *Client) wanted() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.rooms)
}

// left forgets a room that the server has taken us out of; it returns how many are left.
func (c *Client) left(room string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms = slices.DeleteFunc(c.rooms, func(r string) bool { return r == room })
	return len(c.rooms)
}
