package client

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/roomcast/roomcast/internal/chaos/history"
)

const (
	dialTime = 3 * time.Second        // for a connection and its upgrade
	tick     = 500 * time.Millisecond // between two looks at whether something was heard
	quiet    = time.Second            // after which it pings
	calm     = 500 * time.Millisecond // before the next connection, at most, when it is not to stay away
	deaf     = 4 * time.Second        // after which it gives the connection up
	buried   = 2 * time.Second        // from the end of a silent loss until the server hears of it: both connections may be there for so long
	answered = 25 * time.Second       // for an answer: a server waits for its engine for up to ten seconds, and one request waits for the other
)

// Options are what a client is.
type Options struct {
	Name  string
	URLs  []string                    // of the nodes, http://…/ws
	Rooms []string                    // that it wants to be in
	Slow  bool                        // it has little room for what it has not read: the server soon notices when it stalls
	Watch bool                        // it wants notices of presence
	From  map[string]history.Position // from where it wants rooms; otherwise from now on
	Seed  uint64
	Began time.Time // the run
}

// Client is one client, over all its connections.
type Client struct {
	Options
	tasks sync.WaitGroup
	over  chan struct{} // closed by End
	home  chan struct{} // closed by Home
	once  sync.Once     // of End
	still sync.Once     // of Home

	mu     sync.Mutex
	random *rand.Rand
	rooms  map[string]*room
	line   *line         // the connection; nil while there is none
	ready  chan struct{} // closed when it is in all its rooms; another one when the connection has ended
	lost   []*wire       // silently; End buries them if it is not done yet
	away   time.Duration // before the next connection, set by Drop
	identity
	conns     int                           // connections so far
	seq       int                           // of what it has published
	published map[string][]*history.Publish // by room
	told
}

// told is what a client has to say at the end.
type told struct {
	complaints []history.Violation
	notices    []Notice
	sessions   Sessions
	diary      []string  // what became of its connections
	outSince   time.Time // the end of the connection; zero while it is in all its rooms
	couldSince time.Time // when it could have connected again
}

// identity is who the server takes the client for. It stays over all connections.
type identity struct {
	token      string // to resume with
	session    string
	connection string
}

// Notice is a notice of presence.
type Notice struct {
	Time         time.Duration
	Room         string
	Count        int
	Joined, Left []string // connections
}

// Sessions is what became of the attempts to resume.
type Sessions struct {
	Resumed, Over int
	Refused       int           // attempts that were answered with unavailable
	LongestOut    time.Duration // from the end of a connection until it was in all its rooms again
	Slowest       time.Duration // from when it could have connected again until it was in all its rooms again
}

// room is what a client knows of a room that it wants to be in.
type room struct {
	in     bool              // on this connection
	asked  bool              // on this connection, by join
	since  *history.Position // that the server was given on this connection
	pos    history.Position  // of the last message, or where it was told to begin
	known  bool              // pos says something
	early  []frame           // what came before it was told that it is in the room
	events []history.Event
}

// New makes a client that has not begun.
func New(o Options) *Client {
	c := &Client{Options: o, over: make(chan struct{}), home: make(chan struct{}), ready: make(chan struct{}), rooms: map[string]*room{},
		published: map[string][]*history.Publish{}, random: rand.New(rand.NewPCG(o.Seed, 1))}
	for _, name := range o.Rooms {
		from, known := o.From[name]
		c.rooms[name] = &room{pos: from, known: known}
	}
	return c
}

// Start lets it connect, and connect again whenever its connection has ended, until End.
func (c *Client) Start() { c.tasks.Go(c.run) }

// End stops it for ever: politely, with a Close frame, or as if it had died.
func (c *Client) End(politely bool) {
	c.once.Do(func() {
		close(c.over)
		c.mu.Lock()
		l := c.line
		c.mu.Unlock()
		if l == nil {
			return
		}
		if politely {
			_ = l.ws.Close(websocket.StatusNormalClosure, "") // if nobody answers, it ends all the same
		}
		l.wire.lose(false)
	})
	c.tasks.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.lost {
		w.bury()
	}
	c.lost = nil
}

// Home has it come back now if it is away, and not stay away any more, nor be slow.
func (c *Client) Home() {
	c.still.Do(func() { close(c.home) })
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Slow && c.line != nil {
		c.line.wire.widen()
	}
	c.Slow = false
}

// Drop takes the client's network away for a while. Silently means that the server is not told: what it sends is swallowed.
func (c *Client) Drop(away time.Duration, silently bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.line == nil {
		return
	}
	c.away = away
	c.noteLocked("loses its network for %v, silently: %v", away, silently)
	c.line.wire.lose(silently)
	if silently {
		c.lost = append(c.lost, c.line.wire)
		time.AfterFunc(away+buried, c.line.wire.bury)
	}
}

// Stall has the client read nothing for a while.
func (c *Client) Stall(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.line != nil {
		c.noteLocked("reads nothing for %v", d)
		c.line.wire.stall(d)
	}
}

func (c *Client) run() {
	last := -1
	for {
		n := c.pick(last)
		began := time.Now()
		err := c.serve(c.URLs[n])
		last = n
		c.mu.Lock()
		wait := c.away + time.Duration(50+c.random.IntN(350))*time.Millisecond
		c.outLocked(wait)
		c.away = 0
		c.mu.Unlock()
		if err != nil && time.Since(began) < time.Second {
			wait += 200 * time.Millisecond
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-c.home:
			timer.Reset(min(wait, calm))
			select {
			case <-timer.C:
			case <-c.over:
			}
		case <-c.over:
		}
		timer.Stop()
		select {
		case <-c.over:
			return
		default:
		}
	}
}

// outLocked notes that it is not in its rooms, and could be so again after a wait.
func (c *Client) outLocked(wait time.Duration) {
	if now := time.Now(); c.outSince.IsZero() {
		c.outSince, c.couldSince = now, now.Add(wait)
	}
}

// pick chooses a node, another one than before.
func (c *Client) pick(last int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.URLs)
	if n == 1 || last < 0 {
		return c.random.IntN(n)
	}
	return (last + 1 + c.random.IntN(n-1)) % n
}

// line is one connection.
type line struct {
	ws   *websocket.Conn
	wire *wire
	ctx  context.Context // ends with the connection

	mu      sync.Mutex
	heard   time.Time
	pending map[string]*question // guarded by mu; nil when the connection has ended
	nextID  int
}

// question is a request that wants an answer.
type question struct {
	answer  chan frame // cap 1; closed without one if the connection has ended
	publish *history.Publish
	room    string
}

func (c *Client) dial(url string) (*line, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	defer cancel()
	c.mu.Lock()
	slow := c.Slow
	c.mu.Unlock()
	l := &line{heard: time.Now(), pending: map[string]*question{}}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if tcp, ok := conn.(*net.TCPConn); ok && slow {
			_ = tcp.SetReadBuffer(16 << 10) // a larger one is no fault
		}
		l.wire = &wire{Conn: conn, gone: make(chan struct{})}
		return l.wire, nil
	}}
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{"roomcast.v1"}})
	if err != nil {
		return nil, fmt.Errorf("client: connect to %s: %w", url, err)
	}
	ws.SetReadLimit(-1)
	l.ws = ws
	return l, nil
}

func (l *line) write(r request) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(l.ctx, deaf)
	defer cancel()
	return l.ws.Write(ctx, websocket.MessageText, text)
}

// watch pings when nothing is heard, and gives the connection up when nothing is heard for too long.
func (l *line) watch() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-ticker.C:
		}
		l.mu.Lock()
		heard := l.heard
		l.mu.Unlock()
		if until := l.wire.stalled(); until.After(heard) {
			heard = until // it does not listen itself
		}
		switch since := time.Since(heard); {
		case since > deaf:
			l.wire.lose(false)
			return
		case since > quiet:
			_ = l.write(request{Type: "ping"}) // that it fails, the reader notices
		}
	}
}

// noteLocked writes down what people want to know who look for the reason of something.
func (c *Client) noteLocked(format string, args ...any) {
	c.diary = append(c.diary, fmt.Sprintf("%s %10v %s: ", time.Now().Format("15:04:05.000"), c.now().Round(time.Millisecond), c.Name)+fmt.Sprintf(format, args...))
}

// complain writes down what no server does.
func (c *Client) complain(rule history.Rule, room, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complainLocked(rule, room, format, args...)
}

func (c *Client) complainLocked(rule history.Rule, room, format string, args ...any) {
	c.complaints = append(c.complaints, history.Violation{Rule: rule, Room: room, Who: c.Name,
		Text: fmt.Sprintf("at %v ", c.now()) + fmt.Sprintf(format, args...)})
}

func (c *Client) now() time.Duration { return time.Since(c.Began) }
