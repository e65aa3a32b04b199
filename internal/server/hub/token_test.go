package hub

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/protocol"
	"github.com/roomcast/roomcast/roomcasttest"
)

var everything = map[string][]string{"**": {"join", "send", "presence", "publish-as"}}

// TestTokenPlaces holds that a token is taken from the header, the query and the first message.
func TestTokenPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, true, nil)
		token := w.token("ann", everything, time.Minute)
		hello := `"session":"`
		greets := func(p *person) {
			t.Helper()
			if text := p.Receive().String(); !strings.Contains(text, hello) || !strings.Contains(text, `"user":"ann","token_ttl_ms":65000`) {
				t.Errorf("hello is %s, want ann and her minute, with the leeway", text)
			}
		}
		greets(w.dial(bearing(token)))
		greets(&person{Client: roomcasttest.Dial(t, w.hub, "/ws?token="+token, nil), t: t})
		p := w.dial(nil)
		p.silent()
		p.say(`{"type":"join","id":1,"room":"k"}`)
		p.hearsError("1", "unauthorized", "wants a token first")
		p.say(`{"type":"token","id":2,"token":"wrong"}`)
		p.hearsError("2", "unauthorized", "not valid")
		p.say(`{"type":"token","id":3,"token":%q}`, token)
		greets(p)
		p.hears(`{"type":"ack","id":3,"token_ttl_ms":65000}`)
		p.say(`{"type":"join","id":4,"room":"k"}`)
		p.hears(`{"type":"ack","id":4}`)
	})
}

// TestTokenRefused holds how each token that does not count is answered, with the request and in a message, and that only the last
// word ends a connection that could still show a better one.
func TestTokenRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		token func(*world) string
		close int
		code  string
	}{
		{"garbage", func(*world) string { return "garbage" }, 3001, "unauthorized"},
		{"unsigned", func(*world) string { return "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9." }, 3001, "unauthorized"},
		{"expired", func(w *world) string {
			token := w.token("ann", everything, time.Minute)
			<-time.After(time.Hour) // of the bubble's time
			return token
		}, 3200, "token_expired"},
		{"revoked", func(w *world) string {
			token := w.token("ann", everything, time.Minute)
			if _, err := w.desk.RevokeUser("ann", time.Now()); err != nil {
				w.t.Fatal(err)
			}
			return token
		}, 3002, "forbidden"},
	} {
		t.Run(c.name, bubble(func(t *testing.T) {
			w := start(t, true, nil)
			token := c.token(w)
			w.dial(bearing(token)).ends(c.close, "")
			p := w.dial(nil)
			p.say(`{"type":"token","id":1,"token":%q}`, token)
			p.hearsError("1", c.code, "")
			begin := time.Now()
			p.ends(3001, "no valid token came in time")
			if waited := time.Since(begin); waited > 10*time.Second {
				t.Errorf("closed after %v", waited)
			}
		}))
	}
}

// TestTokenExpires holds that a connection ends with its token, unless a fresh one of the same user has come.
func TestTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, true, nil)
		begin := time.Now()
		ends, stays := w.dial(bearing(w.token("ann", everything, time.Minute))), w.dial(bearing(w.token("ann", everything, time.Minute)))
		ends.greeted()
		stays.greeted()
		stays.say(`{"type":"token","id":1,"token":%q}`, w.token("bob", everything, time.Hour))
		stays.hearsError("1", "forbidden", "another user's")
		stays.say(`{"type":"token","id":2,"token":%q}`, w.token("ann", everything, time.Hour))
		stays.hears(`{"type":"ack","id":2,"token_ttl_ms":3605000}`)
		ends.ends(3200, "expired")
		if lived := time.Since(begin); lived != time.Minute+5*time.Second { // and the leeway
			t.Errorf("ended after %v", lived)
		}
		stays.say(`{"type":"ping"}`)
		stays.hears(`{"type":"pong"}`)
	})
}

// TestRights holds that a token's rooms are what it says, to the letter.
func TestRights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, true, nil)
		ann := w.user("ann", map[string][]string{"chat/*": {"join", "send"}, "news": {"join"}, "stage": {"join", "send", "publish-as", "presence"}})
		for _, room := range []string{"chat", "chat/a/b", "Chat/a", "chatter/a", "news/", "stage2"} {
			ann.say(`{"type":"join","id":1,"room":%q}`, room)
			ann.hearsError("1", "forbidden", "join")
		}
		for _, room := range []string{"chat/a", "news", "stage"} {
			ann.say(`{"type":"join","id":1,"room":%q}`, room)
			ann.hears(`{"type":"ack","id":1}`)
		}
		for _, c := range []struct{ request, code, text string }{
			{`{"type":"send","id":1,"room":"news","data":1}`, "forbidden", "send"},
			{`{"type":"send","id":1,"room":"chat/a","as":"bob","data":1}`, "forbidden", "bob"},
			{`{"type":"members","id":1,"room":"chat/a"}`, "forbidden", "who is in"},
			{`{"type":"direct","id":1,"to":{"user":"ann"},"data":1}`, "forbidden", "direct"},
		} {
			ann.Send(c.request)
			ann.hearsError("1", c.code, c.text)
		}
		ann.say(`{"type":"send","room":"stage","as":"bob","data":1}`)
		ann.hears(`{"type":"message","room":"stage","from":{"user":"bob"},"data":1}`)
		ann.say(`{"type":"send","room":"stage","as":"ann","data":2}`)
		ann.hears(`{"type":"message","room":"stage","from":{"user":"ann"},"data":2}`)
		ann.say(`{"type":"members","room":"stage"}`)
		ann.hears(`{"type":"members","room":"stage","count":1,"users":1,"members":[{"connection":"<me>","user":"ann"}]}`)
	})
}

// TestFewerRights holds that a fresh token that allows less takes the client out of what it does not allow.
func TestFewerRights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, true, nil)
		ann := w.user("ann", everything)
		for _, room := range []string{"k", "l"} {
			ann.say(`{"type":"join","id":1,"room":%q}`, room)
			ann.hears(`{"type":"ack","id":1}`)
		}
		ann.say(`{"type":"token","id":2,"token":%q}`, w.token("ann", map[string][]string{"l": {"join"}}, time.Hour))
		ann.hears(`{"type":"left","room":"k","reason":"the token does not allow it any more"}`, `{"type":"ack","id":2,"token_ttl_ms":3605000}`)
		if rooms := w.hub.Server().Rooms(); len(rooms) != 1 || rooms[0] != "l" {
			t.Errorf("rooms %q, want l", rooms)
		}
		ann.say(`{"type":"send","id":3,"room":"l","data":1}`)
		ann.hearsError("3", "forbidden", "send")
	})
}

// A fresh token that does not allow to see who is there ends the notices of it; the room stays.
func TestFewerRightsToSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, true, nil)
		ann, bob := w.user("ann", everything), w.user("bob", everything)
		for _, room := range []string{"here", "there"} {
			ann.say(`{"type":"join","id":1,"room":%q,"presence":true}`, room)
			ann.hears(`{"type":"ack","id":1}`)
		}
		ann.say(`{"type":"token","token":%q}`, w.token("ann", map[string][]string{"**": {"join"}, "there": {"join", "presence"}}, time.Hour))
		for _, room := range []string{"here", "there"} {
			bob.say(`{"type":"join","id":1,"room":%q}`, room)
			bob.hears(`{"type":"ack","id":1}`)
		}
		<-time.After(10 * time.Second)
		ann.hears(`{"type":"presence","room":"there","count":2,"users":2,"joined":[{"connection":"` + bob.id + `","user":"bob"}],"left":[]}`)
		ann.silent()
		ann.say(`{"type":"leave","id":2,"room":"here"}`)
		ann.hears(`{"type":"ack","id":2}`)
	})
}

// TestDirectToUser holds that every connection of a user gets it, and that the token has to allow it.
func TestDirectToUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, true, nil)
		ann1, ann2, bob := w.user("ann", nil), w.user("ann", nil), w.user("bob", nil)
		if _, found, _ := w.hub.PublishTo(Target{User: "ann"}, Post{}); !found {
			t.Error("ann is not found")
		}
		for _, p := range []*person{ann1, ann2} {
			p.Receive()
		}
		bob.silent()
		ann1.Close(1000, "")
		ann2.Close(1000, "")
		synctest.Wait()
		if _, found, _ := w.hub.PublishTo(Target{User: "ann"}, Post{}); found {
			t.Error("ann is found when she has gone")
		}
	})
}

// TestRevoked holds that connections end with the tokens they live by, and that others do not.
func TestRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, true, nil)
		ann, bob := w.user("ann", everything), w.user("bob", everything)
		if n, err := w.desk.RevokeUser("ann", time.Time{}); n != 1 || err != nil {
			t.Errorf("%d ended, %v; want 1", n, err)
		}
		ann.ends(3002, "revoked")
		bob.say(`{"type":"ping"}`)
		bob.hears(`{"type":"pong"}`)
		<-time.After(2 * time.Second) // of the bubble's time: tokens are issued in whole seconds
		w.user("ann", everything)
	})
}

// TestThrottle holds that what is too much is not done, that who asked with an id is told each time, and the others once.
func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, false, func(c *Config) { c.Limits = Limits{MessageRate: 10, JoinRate: 1} })
		p := w.connect("k")
		for i := range 30 {
			p.say(`{"type":"send","id":%d,"room":"k","echo":false,"data":0}`, i)
		}
		acks, errors := 0, 0
		for range 30 {
			switch text := p.Receive().String(); {
			case strings.Contains(text, `"ack"`):
				acks++
			case strings.Contains(text, `"code":"throttled"`) && strings.Contains(text, `"retry_after_ms":100`):
				errors++
			default:
				t.Errorf("heard %s", text)
			}
		}
		if acks != 10 || errors != 20 {
			t.Errorf("%d acks and %d errors, want 10 and 20", acks, errors)
		}
		for range 5 {
			p.say(`{"type":"send","room":"k","echo":false,"data":0}`)
		}
		p.hears(`{"type":"throttled","retry_after_ms":100}`)
		p.silent()
		<-time.After(100 * time.Millisecond) // of the bubble's time
		p.say(`{"type":"send","id":1,"room":"k","echo":false,"data":0}`)
		p.hears(`{"type":"ack","id":1}`)
		for range 8 { // of the ten rooms it may have, one is taken
			p.say(`{"type":"join","id":1,"room":"l"}`)
			p.hears(`{"type":"ack","id":1}`)
		}
		p.say(`{"type":"join","id":1,"room":"l"}`)
		p.hears(`{"type":"ack","id":1}`)
		p.say(`{"type":"join","id":1,"room":"l"}`)
		p.hearsError("1", "throttled", "joins")
	})
}

// TestThrottleEnds holds that who goes on and on is closed.
func TestThrottleEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, false, func(c *Config) { c.Limits = Limits{ByteRate: 40} })
		p := w.connect()
		for range refusedAtOnce + 2 {
			if p.TrySend(`{"type":"ping"}                         `) != nil {
				break
			}
		}
		p.ends(3100, "again and again")
	})
}

// TestUserLimits holds that the connections of one user share a rate, and have a number.
func TestUserLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, true, func(c *Config) { c.Desk.SetLimits(admission.Limits{ConnsPerUser: 2, UserMessageRate: 3}) })
		a, b, bob := w.user("ann", everything), w.user("ann", everything), w.user("bob", everything)
		w.dial(bearing(w.token("ann", everything, time.Hour))).ends(3100, "2 connections")
		late := w.dial(nil)
		late.say(`{"type":"token","id":1,"token":%q}`, w.token("ann", everything, time.Hour))
		late.hearsError("1", "throttled", "2 connections")
		for _, p := range []*person{a, b, bob} {
			p.say(`{"type":"join","room":"k"}`)
		}
		for _, p := range []*person{a, b, a} {
			p.say(`{"type":"send","id":1,"room":"k","echo":false,"data":0}`)
			synctest.Wait()
		}
		b.say(`{"type":"send","id":2,"room":"k","echo":false,"data":0}`)
		synctest.Wait()
		last := b.Waiting()
		if len(last) == 0 || !strings.Contains(last[len(last)-1].String(), `"code":"throttled"`) {
			t.Errorf("b heard %v, want throttled at last", last)
		}
		bob.say(`{"type":"ping","id":9}`)
		for bob.Receive().String() != `{"type":"pong","id":9}` {
		}
		a.Close(1000, "")
		synctest.Wait()
		w.user("ann", everything)
	})
}

// TestFaultsAreThrottled holds that what is no request is held against the client like a message, so that it ends too.
func TestFaultsAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, false, func(c *Config) { c.Limits = Limits{MessageRate: 5} })
		p := w.connect()
		for i := range 10 {
			p.say(`{"type":"dance","id":%d}`, i)
		}
		for i := range 10 {
			code := map[bool]string{true: "unknown_type", false: "throttled"}[i < 5]
			p.hearsError(fmt.Sprint(i), code, "")
		}
		for range refusedAtOnce {
			if p.TrySend(`{"type":"members","room":"k"}`) != nil {
				break
			}
		}
		p.ends(3100, "again and again")
	})
}

// TestTokensAreCounted holds that nobody tries tokens without end.
func TestTokensAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, true, nil)
		p := w.dial(nil)
		for i := range mostTokens {
			p.say(`{"type":"token","id":%d,"token":"wrong"}`, i)
		}
		p.ends(3001, "not valid")
		if n := w.desk.Refused()[admission.TokenInvalid]; n != mostTokens {
			t.Errorf("%d tokens looked at, want %d", n, mostTokens)
		}
	})
}

// TestBackendsRoomStays holds that a fresh token takes the client out of no room that the backend has put it into.
func TestBackendsRoomStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, true, nil)
		ann := w.user("ann", map[string][]string{"k": {"join"}})
		ann.say(`{"type":"join","id":1,"room":"k"}`)
		ann.hears(`{"type":"ack","id":1}`)
		if n, err := w.hub.Join(Target{User: "ann"}, "orders"); n != 1 || err != nil {
			t.Errorf("%d joined, %v", n, err)
		}
		ann.hears(`{"type":"joined","room":"orders"}`)
		ann.say(`{"type":"token","id":2,"token":%q}`, w.token("ann", nil, time.Hour))
		ann.hears(`{"type":"left","room":"k","reason":"the token does not allow it any more"}`, `{"type":"ack","id":2,"token_ttl_ms":3605000}`)
		if receipt, err := w.hub.Publish("orders", Post{Payload: protocol.Payload{Bytes: []byte("7")}}); receipt.Delivered != 1 || err != nil {
			t.Errorf("%+v, %v, want one delivery", receipt, err)
		}
		ann.hears(`{"type":"message","room":"orders","data":7}`)
	})
}

// TestKeysTakenAway holds that who has not shown a token yet when the last key is taken away is let in by showing any.
func TestKeysTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, true, nil)
		p := w.dial(nil)
		if err := w.gate.Reload(auth.Config{}); err != nil {
			t.Fatal(err)
		}
		p.say(`{"type":"token","id":1,"token":"any"}`)
		p.greeted()
		p.hears(`{"type":"ack","id":1}`)
		<-time.After(time.Minute) // of the bubble's time
		p.say(`{"type":"ping"}`)
		p.hears(`{"type":"pong"}`)
	})
}

// TestNoticesTellTheTruth holds that the last word that a client hears of a room is true, whoever puts it in and takes it out at once.
func TestNoticesTellTheTruth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, false, nil)
		p := w.connect()
		for range 50 {
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() { _, _ = w.hub.Join(Target{Connection: p.id}, "k") })
				all.Go(func() { w.hub.Leave(Target{Connection: p.id}, "k", "") })
			}
			all.Wait()
			synctest.Wait()
			in := false
			for range p.Waiting() {
				joined := strings.HasPrefix(p.Receive().String(), `{"type":"joined"`)
				if joined == in {
					t.Fatalf("told twice that it is in: %v", in)
				}
				in = joined
			}
			if member := len(w.hub.Server().Members("k")) == 1; member != in {
				t.Fatalf("told that it is in: %v, and is: %v", in, member)
			}
			w.hub.Leave(Target{Connection: p.id}, "k", "")
			synctest.Wait()
			for range p.Waiting() {
				p.Receive()
			}
		}
	})
}
