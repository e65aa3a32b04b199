package hub

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/roomcast/roomcast"
)

// TestTranscript holds that the conversation at the top of docs/protocol.md is true, but for what is different each time.
func TestTranscript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		document, err := os.ReadFile("../../../docs/protocol.md")
		if err != nil {
			t.Fatal(err)
		}
		w := start(t, false, nil)
		p := w.dial(nil)
		lines := 0
		top, _, _ := strings.Cut(string(document), "\n## ")
		for line := range strings.Lines(top) {
			line = strings.TrimSuffix(line, "\n")
			if text, ok := strings.CutPrefix(line, "> "); ok {
				p.Send(text)
				lines++
			}
			text, ok := strings.CutPrefix(line, "< ")
			switch {
			case !ok:
			case strings.HasPrefix(text, `{"type":"hello"`):
				p.greeted()
			default:
				p.hears(strings.ReplaceAll(text, "c7Qm2x", p.id))
				lines++
			}
		}
		if lines < 10 {
			t.Errorf("the transcript has %d lines", lines)
		}
	})
}

// TestRooms holds who gets what: members of the room and nobody else, oneself too unless echo is off.
func TestRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, false, nil)
		a, b, c := w.connect("k", "l"), w.connect("k"), w.connect("l")
		a.say(`{"type":"send","room":"k","data":{"n":1.50}}`)
		for _, p := range []*person{a, b} {
			p.hears(`{"type":"message","room":"k","from":{"connection":"` + a.id + `"},"data":{"n":1.50}}`)
		}
		a.say(`{"type":"send","id":1,"room":"k","echo":false,"base64":"AAH+/w=="}`)
		b.hears(`{"type":"message","room":"k","from":{"connection":"` + a.id + `"},"base64":"AAH+/w=="}`)
		a.hears(`{"type":"ack","id":1}`)
		b.say(`{"type":"leave","id":2,"room":"k"}`)
		b.hears(`{"type":"ack","id":2}`)
		a.say(`{"type":"send","room":"k","data":null}`)
		a.hears(`{"type":"message","room":"k","from":{"connection":"<me>"},"data":null}`)
		a.say(`{"type":"members","id":3,"room":"l"}`)
		got := a.Receive().String()
		want := `{"type":"members","id":3,"room":"l","count":2,"users":2,"members":[{"connection":"` + a.id + `"},{"connection":"` + c.id + `"}]}`
		if got != want && got != strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(want, a.id, "x"), c.id, a.id), "x", c.id) {
			t.Errorf("members: %s, want %s", got, want)
		}
		b.silent()
		c.silent()
	})
}

// TestOrder holds that requests that come at once are answered one after the other, one's own message before its ack, and that a message
// for one room does not pass one for another.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, false, nil)
		a, b := w.connect("k", "l"), w.connect("k", "l")
		var want []string
		for i := range 50 {
			room := []string{"k", "k", "k", "l"}[i%4]
			switch {
			case i%10 == 9:
				a.say(`{"type":"send","id":%d,"room":"nowhere","data":0}`, i)
				want = append(want, fmt.Sprintf(`{"type":"error","id":%d,"code":"not_joined","message":"not in this room; join it first","room":"nowhere"}`, i))
			case i%7 == 6:
				a.say(`{"type":"ping","id":%d}`, i)
				want = append(want, fmt.Sprintf(`{"type":"pong","id":%d}`, i))
			default:
				a.say(`{"type":"send","id":%d,"room":%q,"data":%d}`, i, room, i)
				want = append(want, fmt.Sprintf(`{"type":"message","room":%q,"from":{"connection":"%s"},"data":%d}`, room, a.id, i),
					fmt.Sprintf(`{"type":"ack","id":%d}`, i))
			}
		}
		var got, heard []string
		for range want {
			got = append(got, a.Receive().String())
		}
		// Acks of sends that were published together follow the last of them.
		position := func(list []string, text string) int { return slices.Index(list, text) }
		for i, text := range want {
			if position(got, text) < 0 {
				t.Fatalf("nobody said %s; heard %q", text, got)
			}
			if strings.Contains(text, `"ack"`) && position(got, text) < position(got, want[i-1]) {
				t.Errorf("%s came before %s", text, want[i-1])
			}
		}
		isMessage := func(s string) bool { return strings.Contains(s, `"message","room"`) }
		without := func(list []string, drop func(string) bool) []string {
			return slices.DeleteFunc(slices.Clone(list), drop)
		}
		if !slices.Equal(without(got, isMessage), without(want, isMessage)) {
			t.Errorf("answers %q, want %q", without(got, isMessage), without(want, isMessage))
		}
		sent := without(want, func(s string) bool { return !isMessage(s) })
		for range sent {
			heard = append(heard, b.Receive().String())
		}
		if !slices.Equal(heard, sent) {
			t.Errorf("the other one heard %q, want %q", heard, sent)
		}
	})
}

// TestLastWords holds that what a client sends before it hangs up is sent.
func TestLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, false, nil)
		a, b := w.connect("k"), w.connect("k")
		for i := range 20 {
			a.say(`{"type":"send","room":"k","data":%d}`, i)
		}
		a.Close(1000, "bye")
		for i := range 20 {
			b.hears(fmt.Sprintf(`{"type":"message","room":"k","from":{"connection":"%s"},"data":%d}`, a.id, i))
		}
	})
}

// TestDirect holds that a direct message reaches a connection, and nobody where there is none.
func TestDirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, false, nil)
		a, b := w.connect(), w.connect()
		a.say(`{"type":"direct","id":1,"to":{"connection":"%s"},"data":"psst"}`, b.id)
		b.hears(`{"type":"direct","from":{"connection":"` + a.id + `"},"data":"psst"}`)
		a.hears(`{"type":"ack","id":1}`)
		b.Close(1000, "")
		synctest.Wait()
		a.say(`{"type":"direct","id":2,"to":{"connection":"%s"},"data":"psst"}`, b.id)
		a.hearsError("2", "not_found", b.id)
		a.say(`{"type":"direct","to":{"user":"ann"},"data":"psst"}`)
		a.hearsError("", "not_found", "ann")
	})
}

// TestRefusals holds that a request that cannot be done is answered with its code, and the connection goes on.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, false, nil)
		p := w.connect("a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
		for _, c := range []struct{ request, code, text string }{
			{`{"type":"join","id":1,"room":"k"}`, "too_many_rooms", "10 rooms"},
			{`{"type":"join","id":1,"room":""}`, "bad_room", "empty"},
			{`{"type":"join","id":1,"room":"a\nb"}`, "bad_room", "control character"},
			{`{"type":"join","id":1,"room":"` + strings.Repeat("x", 51) + `"}`, "bad_room", "51 bytes"},
			{`{"type":"members","id":1,"room":""}`, "bad_room", "empty"},
			{`{"type":"send","id":1,"room":"k","data":1}`, "not_joined", "join it first"},
			{`{"type":"send","id":1,"room":"a"}`, "bad_request", "data"},
			{`{"type":"send","id":1,"room":"a","as":"ann","data":1}`, "forbidden", "ann"},
			{`{"type":"dance","id":1}`, "unknown_type", "dance"},
			{`{"id":1}`, "bad_request", "type"},
		} {
			p.Send(c.request)
			p.hearsError("1", c.code, c.text)
		}
		p.say(`{"type":"leave","room":"nowhere"}`)
		p.say(`{"type":"token","id":2,"token":"whatever"}`)
		p.hears(`{"type":"ack","id":2}`)
	})
}

// TestBroken holds that what is no message at all ends the connection, with the code that docs/protocol.md says.
func TestBroken(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*person)
		code int
	}{
		{"binary", func(p *person) { p.SendBinary([]byte("{}")) }, 3000},
		{"garbage", func(p *person) { p.Send("hello") }, 3000},
		{"an array", func(p *person) { p.Send("[]") }, 3000},
		{"two objects", func(p *person) { p.Send("{}{}") }, 3000},
		{"not UTF-8", func(p *person) { p.Send("{\"type\":\"\xff\"}") }, 1007},
		{"too big", func(p *person) { _ = p.TrySend(strings.Repeat(" ", 1<<20+1)) }, 1009},
	} {
		t.Run(c.name, bubble(func(t *testing.T) {
			w := start(t, false, nil)
			p, other := w.connect("k"), w.connect("k")
			p.say(`{"type":"send","room":"k","data":1}`)
			c.do(p)
			p.ends(c.code, "")
			other.hears(`{"type":"message","room":"k","from":{"connection":"` + p.id + `"},"data":1}`)
			other.silent()
		}))
	}
}

// TestGap holds that a slow member is told how many messages of a room it missed, and where.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, false, func(c *Config) {
			c.Rooms.OutboxBytes = 2000
			c.Rooms.Slow = func(string) roomcast.Slow { return roomcast.SlowDropNewest }
		})
		a, slow := w.connect("k"), w.connect("k")
		slow.Stall()
		for i := range 100 {
			a.say(`{"type":"send","room":"k","data":%d}`, i)
			a.Receive()
		}
		slow.Go()
		synctest.Wait()
		a.say(`{"type":"send","room":"k","data":100}`)
		next, missed := 0, 0
		for next <= 100 {
			var n int
			text := slow.Receive().String()
			if _, err := fmt.Sscanf(text, `{"type":"gap","room":"k","missed":%d}`, &n); err == nil {
				next, missed = next+n, missed+n
				continue
			}
			if want := fmt.Sprintf(`{"type":"message","room":"k","from":{"connection":"%s"},"data":%d}`, a.id, next); text != want {
				t.Fatalf("heard %s, want %s", text, want)
			}
			next++
		}
		if missed == 0 {
			t.Error("nothing was missed")
		}
	})
}
