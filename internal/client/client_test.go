package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/roomcast/roomcast/internal/server/protocol"
)

// TestFollow holds that the client shows its token, joins its rooms in turn, hands over what comes in order, and says goodbye.
func TestFollow(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		r := f.follow(Config{Rooms: []string{"a", "b"}, Token: "jwt"})
		p := f.next()
		if got := p.request.Header.Get("Authorization"); got != "Bearer jwt" {
			t.Errorf("Authorization %q, want the token", got)
		}
		p.welcome("c1", "a", "b")
		if s := <-r.states; !s.Connected || s.Connection != "c1" {
			t.Errorf("state %+v, want connected as c1", s)
		}
		frame := `{"type":"message","room":"a","from":{"connection":"x","user":"ann"},"data": 1.50}`
		p.say(frame)
		p.say(`{"type":"news from later versions","message":{}}`)
		p.say(`{"type":"direct","from":{"user":"bob"},"base64":"AA=="}`)
		p.say(`{"type":"error","code":"bad_request","message":"no id"}`)
		e := <-r.events
		if string(e.Raw) != frame || e.Room != "a" || e.From.User != "ann" || e.From.Connection != "x" || string(e.Data) != "1.50" {
			t.Errorf("event %+v of %s", e, e.Raw)
		}
		if e = <-r.events; e.Type != "direct" || e.Base64 == nil || *e.Base64 != "AA==" {
			t.Errorf("event %+v, want the direct message", e)
		}
		if e = <-r.events; e.Type != "error" || e.Message != "no id" {
			t.Errorf("event %+v, want the error", e)
		}
		r.stop()
		if _, _, err := p.conn.Read(context.Background()); !strings.Contains(fmt.Sprint(err), "StatusNormalClosure") {
			t.Errorf("the server saw %v, want a Close frame with 1000", err)
		}
		if err := r.end(); err != nil {
			t.Errorf("Run returned %v", err)
		}
		if err := r.Send(context.Background(), "a", json.RawMessage("1"), true); !errors.Is(err, ErrEnded) {
			t.Errorf("Send after the end: %v, want ErrEnded", err)
		}
	})
}

// TestSend holds that a message is sent as it is, that a refusal is an error, and that what is throttled is repeated when it is time.
func TestSend(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		r := f.follow(Config{Rooms: []string{"a"}})
		sent := make(chan error, 1)
		go func() { sent <- r.Send(t.Context(), "a", json.RawMessage(`"<é>"`), true) }() // before there is a connection
		p := f.next()
		p.welcome("c1", "a")
		q := p.hear()
		if q.Type != "send" || q.Room != "a" || string(q.Data) != `"<é>"` || q.Echo != nil || q.ID == 0 {
			t.Errorf("request %+v", q)
		}
		p.refuse(q, "throttled", 250)
		began := time.Now()
		q = p.hear()
		if took := time.Since(began); took != 250*time.Millisecond || string(q.Data) != `"<é>"` {
			t.Errorf("repeated after %v: %+v, want the same after 250ms", took, q)
		}
		p.ack(q)
		if err := <-sent; err != nil {
			t.Error(err)
		}
		go func() { sent <- r.Send(t.Context(), "b", json.RawMessage(`null`), false) }()
		q = p.hear()
		if q.Echo == nil || *q.Echo || string(q.Data) != "null" {
			t.Errorf("request %+v, want echo false and null", q)
		}
		p.refuse(q, "not_joined", 0)
		var refused *RefusedError
		if err := <-sent; !errors.As(err, &refused) || refused.Code != "not_joined" || err.Error() != "room b: no (not_joined)" {
			t.Errorf("Send returned %v, want the refusal", err)
		}
	})
}

// TestUnconfirmed holds that a message whose answer the end of the connection took with it is reported and not sent twice, and that
// the next one goes over the next connection.
func TestUnconfirmed(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		r := f.follow(Config{Rooms: []string{"a"}})
		p := f.next()
		p.welcome("c1", "a")
		sent := make(chan error, 1)
		send := func(n string) { sent <- r.Send(t.Context(), "a", json.RawMessage(n), true) }
		go send("1")
		p.hear()
		p.leave(1001, "")
		if err := <-sent; !errors.Is(err, ErrUnconfirmed) {
			t.Errorf("Send returned %v, want ErrUnconfirmed", err)
		}
		go send("2")
		p = f.next()
		p.welcome("c2", "a")
		q := p.hear()
		if string(q.Data) != "2" {
			t.Errorf("the new connection got %s first, want 2", q.Data)
		}
		p.ack(q)
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// TestCloseCodes holds what the client does after each end of a connection that lasted: come back at once, later, or never.
func TestCloseCodes(t *testing.T) {
	for code, want := range map[int]verdict{
		1000: never, 1001: later, 1002: never, 1007: never, 1008: never, 1009: never, 1011: later, 1013: later,
		3000: never, 3001: never, 3002: never, 3003: never, 3050: never, 3100: later, 3150: later, 3200: now, 3250: now, 4000: later,
	} {
		bubble(t, func(t *testing.T, f *fake) {
			r := f.follow(Config{Rooms: []string{"a"}})
			p := f.next()
			p.welcome("c1", "a")
			<-r.states
			synctest.Wait()
			<-time.After(settled)
			p.leave(code, "why")
			if want == never {
				var closed *ClosedError
				if err := r.end(); !errors.As(err, &closed) || closed.Code != code || closed.Reason != "why" {
					t.Errorf("%d: Run returned %v, want the close code", code, err)
				}
				return
			}
			s := <-r.states
			began := time.Now()
			f.next().welcome("c2", "a")
			took := time.Since(began)
			if want == now && took != 0 || took != s.Delay || took > firstBound {
				t.Errorf("%d: back after %v, announced %v; want %v", code, took, s.Delay, want)
			}
			if s := <-r.states; !s.Connected || s.Connection != "c2" {
				t.Errorf("%d: state %+v, want connected as c2", code, s)
			}
		})
	}
}

// TestVerdicts holds that the client does after every close code what the server's own table says.
func TestVerdicts(t *testing.T) {
	words := map[verdict]protocol.Retry{never: protocol.RetryNever, later: protocol.RetryLater, now: protocol.RetryNow}
	for code := range 5000 {
		if got, want := words[after(websocket.StatusCode(code))], protocol.CloseCode(code).Retry(); got != want {
			t.Errorf("after %d: %s, want %s", code, got, want)
		}
	}
}

// TestShortLife holds that a connection that ends at once is not made again at once, even after a code that says so.
func TestShortLife(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		r := f.follow(Config{Rooms: []string{"a"}})
		var waited time.Duration
		for range 20 {
			p := f.next()
			p.welcome("c", "a")
			<-r.states
			p.leave(3200, "")
			waited += (<-r.states).Delay
		}
		if waited == 0 {
			t.Error("twenty ends in a row, and no delay")
		}
	})
}

// TestDraining holds that the client comes back when the server has asked it to.
func TestDraining(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		r := f.follow(Config{Rooms: []string{"a"}})
		p := f.next()
		p.welcome("c1", "a")
		p.say(`{"type":"draining","reconnect_after_ms":4200}`)
		if e := <-r.events; e.Type != "draining" {
			t.Errorf("event %+v, want the notice", e)
		}
		<-r.states
		p.leave(1001, "")
		if s := <-r.states; s.Delay != 4200*time.Millisecond {
			t.Errorf("delay %v, want that of the notice", s.Delay)
		}
	})
}

// TestLeft holds that a room the server has taken us out of is not joined again, and that the last one ends it all.
func TestLeft(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		r := f.follow(Config{Rooms: []string{"a", "b"}})
		p := f.next()
		p.welcome("c1", "a", "b")
		p.say(`{"type":"left","room":"a","reason":"closed"}`)
		<-r.events
		p.leave(1001, "")
		p = f.next()
		p.welcome("c2", "b")
		p.say(`{"type":"left","room":"b"}`)
		if err := r.end(); !errors.Is(err, ErrNoRooms) || !strings.Contains(err.Error(), "room b") {
			t.Errorf("Run returned %v, want ErrNoRooms of b", err)
		}
	})
}

// TestNotLetIn holds that a join that is refused, an answer that is no upgrade, and another protocol end it, and that a server that
// is busy is asked again.
func TestNotLetIn(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		r := f.follow(Config{Rooms: []string{"a"}})
		p := f.next()
		p.welcome("c1")
		p.refuse(p.hear(), "forbidden", 0)
		var refused *RefusedError
		if err := r.end(); !errors.As(err, &refused) || refused.Code != "forbidden" {
			t.Errorf("Run returned %v, want the refusal", err)
		}
	})
	bubble(t, func(t *testing.T, f *fake) {
		f.answer = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such page\nmore", http.StatusNotFound) }
		if err := f.follow(Config{}).end(); fmt.Sprint(err) != "the server answered 404: no such page" {
			t.Errorf("Run returned %v, want the 404", err)
		}
	})
	bubble(t, func(t *testing.T, f *fake) {
		f.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}
		if s := <-f.follow(Config{}).states; s.Delay != 7*time.Second {
			t.Errorf("delay %v, want the 7s of Retry-After", s.Delay)
		}
	})
	bubble(t, func(t *testing.T, f *fake) {
		f.away = true
		if err := f.follow(Config{}).end(); !strings.Contains(fmt.Sprint(err), "nobody there") {
			t.Errorf("Run returned %v, want the error of the dialing", err)
		}
	})
	bubble(t, func(t *testing.T, f *fake) {
		f.away = true
		if s := <-f.follow(Config{Patient: true}).states; s.Err == nil {
			t.Errorf("state %+v, want an error and another attempt", s)
		}
	})
	bubble(t, func(t *testing.T, f *fake) {
		r := f.follow(Config{})
		f.next().say("welcome")
		if err := r.end(); !errors.Is(err, ErrProtocol) {
			t.Errorf("Run returned %v, want ErrProtocol", err)
		}
	})
}

// TestSilentServer holds that a server that answers no ping is left, and another attempt made.
func TestSilentServer(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		r := f.follow(Config{Rooms: []string{"a"}})
		p := f.next()
		p.welcome("c1", "a")
		<-r.states
		began := time.Now() // nobody reads from p any more, so no ping is answered
		s := <-r.states
		if took := time.Since(began); s.Err == nil || took < pingEvery || took > pingEvery+pongWithin {
			t.Errorf("left after %v with %+v, want after a ping", took, s)
		}
		p.end()
	})
}

// TestBackoff holds that the bound of the delay doubles up to its end, and that the delay is anywhere below it.
func TestBackoff(t *testing.T) {
	low, high := backoff{random: func() float64 { return 0 }}, backoff{random: func() float64 { return 1 }}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
		if l, h := low.delay(), high.delay(); l != 0 || h != want*time.Second {
			t.Errorf("attempt %d: from %v to %v, want from 0 to %v s", i, l, h, int(want))
		}
	}
}
