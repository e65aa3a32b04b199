package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	dialTimeout = 10 * time.Second
	pingEvery   = 30 * time.Second
	pongWithin  = 10 * time.Second
	maxFrame    = 64 << 20              // of the server; more than its default limit lets through as base64
	minPause    = 10 * time.Millisecond // before something is repeated
	maxBody     = 1 << 10               // of an answer that is no upgrade
)

const version = "roomcast.v1"

var (
	// errNotSent is why a request may be tried again: nothing of it has left.
	errNotSent = errors.New("the connection had ended before")

	// errSilent is why a connection is given up.
	errSilent = errors.New("the server has not answered a ping")

	// ErrProtocol is what Run returns when something else than roomcast.v1 is at the address.
	ErrProtocol = errors.New("what is there does not speak roomcast.v1; its endpoint is /ws")
)

// dialError is that nobody has answered.
type dialError struct{ error }

// Unwrap gives the cause.
func (e *dialError) Unwrap() error { return e.error }

// session is one connection, from the dialing to its end.
type session struct {
	client *Client
	conn   *websocket.Conn
	tasks  sync.WaitGroup

	// Owned by run.
	drainDelay time.Duration // that the server has asked for; 0 if it has not

	// Owned by join, and by run once the tasks have ended.
	joined bool // in all rooms

	over bool // guarded by client.mu: Send is to use it no more

	mu      sync.Mutex
	nextID  uint64
	waiting map[string]chan error // by id, each of capacity 1; nil when the connection has ended
}

// run connects, joins and reads, until the connection or ctx ends.
func (s *session) run(ctx context.Context) error {
	if err := s.dial(ctx); err != nil {
		return err
	}
	defer s.conn.CloseNow() // it has ended, if all is well
	ctx, cancel := context.WithCancelCause(ctx)
	s.waiting = map[string]chan error{}
	s.tasks.Go(func() { s.ping(ctx, cancel) })
	s.tasks.Go(func() {
		<-ctx.Done()
		_ = s.conn.Close(websocket.StatusNormalClosure, "") // what has ended already needs no goodbye
	})
	cancel(s.readAll(ctx, cancel)) // unless there was another cause before
	s.client.drop(s)
	s.abandon()
	s.tasks.Wait()
	return context.Cause(ctx)
}

// dial makes the WebSocket.
func (s *session) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	options := &websocket.DialOptions{Subprotocols: []string{version}, HTTPHeader: http.Header{}, HTTPClient: &http.Client{
		Transport:     s.client.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token is for this server
	}}
	if token := s.client.cfg.Token; token != "" {
		options.HTTPHeader.Set("Authorization", "Bearer "+token)
	}
	conn, answer, err := websocket.Dial(ctx, s.client.cfg.URL, options)
	switch {
	case err == nil:
	case answer != nil && answer.StatusCode != http.StatusSwitchingProtocols:
		body, _ := io.ReadAll(io.LimitReader(answer.Body, maxBody)) // what there is of it
		line, _, _ := strings.Cut(string(body), "\n")
		return &HTTPError{answer.StatusCode, line, seconds(answer.Header.Get("Retry-After"))}
	default:
		var op *net.OpError
		if errors.As(err, &op) {
			err = op // without the request around it, which names the address again
		}
		return &dialError{err}
	}
	s.conn = conn
	conn.SetReadLimit(maxFrame)
	if conn.Subprotocol() != version {
		conn.CloseNow()
		return ErrProtocol
	}
	return nil
}

// readAll takes what comes until the connection ends.
func (s *session) readAll(ctx context.Context, cancel context.CancelCauseFunc) error {
	for {
		_, frame, err := s.conn.Read(context.Background()) // the task that closes it ends this
		if err != nil {
			var closed websocket.CloseError
			if errors.As(err, &closed) {
				return &ClosedError{int(closed.Code), closed.Reason}
			}
			return err
		}
		e := Event{Raw: frame}
		if err := json.Unmarshal(frame, &e); err != nil && !errors.As(err, new(*json.UnmarshalTypeError)) { // of what we do not know
			return fmt.Errorf("%w (%w)", ErrProtocol, err)
		}
		if e.Type == "hello" {
			s.tasks.Go(func() {
				if err := s.join(ctx, e.Connection); err != nil {
					cancel(err)
				}
			})
			continue
		}
		if err := s.take(e); err != nil {
			return err
		}
	}
}

// take handles a message of the server.
func (s *session) take(e Event) error {
	switch e.Type {
	case "ack":
		s.answer(e.ID, nil)
		return nil
	case "error":
		if s.answer(e.ID, &RefusedError{e.Code, e.Message, e.Room, e.RetryAfter()}) {
			return nil
		}
	case "draining":
		s.drainDelay = time.Duration(e.ReconnectAfterMS) * time.Millisecond
	case "message", "direct", "joined", "left", "throttled", "gap":
	default:
		return nil // what we do not know, we ignore
	}
	s.client.cfg.Event(e)
	if e.Type == "left" && s.client.left(e.Room) == 0 {
		return fmt.Errorf("%w of room %s: %s", ErrNoRooms, e.Room, cmp.Or(e.Reason, "no reason given"))
	}
	return nil
}

// join joins all rooms, one after the other, and then lets Send use the connection.
func (s *session) join(ctx context.Context, connection string) error {
	for _, room := range s.client.wanted() {
		if err := s.call(ctx, request{Type: "join", Room: room}); err != nil {
			return err
		}
	}
	s.joined = true
	s.client.ready(s)
	s.client.cfg.State(State{Connected: true, Connection: connection})
	return nil
}

// ping ends a connection whose other side has silently gone.
func (s *session) ping(ctx context.Context, end context.CancelCauseFunc) {
	for sleep(ctx, pingEvery) {
		within, cancel := context.WithTimeout(ctx, pongWithin)
		err := s.conn.Ping(within)
		cancel()
		if err != nil && ctx.Err() == nil {
			end(errSilent)
			s.conn.CloseNow() // a goodbye would wait in vain
			return
		}
	}
}

// call sends a request and waits for its answer. What is throttled it repeats. An error of errNotSent means that nothing has left.
func (s *session) call(ctx context.Context, r request) error {
	for {
		answered, err := s.write(ctx, r)
		if err != nil {
			return err
		}
		select {
		case err = <-answered:
		case <-ctx.Done():
			return ctx.Err()
		}
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Code != "throttled" {
			return err
		}
		if !sleep(ctx, max(refused.retryAfter, minPause)) {
			return ctx.Err()
		}
	}
}

// write sends a request and returns where its answer will come.
func (s *session) write(ctx context.Context, r request) (<-chan error, error) {
	answered := make(chan error, 1) // never closed
	s.mu.Lock()
	if s.waiting == nil {
		s.mu.Unlock()
		return nil, errNotSent
	}
	s.nextID++
	r.ID = s.nextID
	s.waiting[strconv.FormatUint(r.ID, 10)] = answered
	s.mu.Unlock()

	var frame bytes.Buffer
	encoder := json.NewEncoder(&frame)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return nil, fmt.Errorf("client: the data is no JSON: %w", err)
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), pongWithin) // half a frame would end the connection
	defer cancel()
	if err := s.conn.Write(within, websocket.MessageText, bytes.TrimSpace(frame.Bytes())); err != nil {
		return nil, errNotSent // the server takes whole frames only
	}
	return answered, nil
}

// answer tells who waits for it; it is false if nobody does.
func (s *session) answer(id json.RawMessage, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting, ok := s.waiting[string(id)]
	if ok {
		delete(s.waiting, string(id))
		waiting <- err
	}
	return ok
}

// abandon tells everybody who waits that there will be no answer.
func (s *session) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, waiting := range s.waiting {
		waiting <- ErrUnconfirmed
	}
	s.waiting = nil
}
