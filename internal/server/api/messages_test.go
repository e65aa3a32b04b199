package api

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/roomcast/roomcast"
)

const post = http.MethodPost

// TestPublishToRoom holds that the payload reaches every member byte for byte, and nobody else.
func TestPublishToRoom(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		one, two, other := w.dial("", "a/b"), w.dial("", "a/b"), w.dial("", "b")
		for _, c := range []struct{ body, arrives string }{
			{`{"data":12.50}`, `"data":12.50`},
			{`{ "data" : { "b":1.0e+99, "a": [123456789012345678901234567890] } }`, `"data":{ "b":1.0e+99, "a": [123456789012345678901234567890] }`},
			{`{"data":1e999}`, `"data":1e999`},
			{`{"data":null}`, `"data":null`},
			{`{"data":"<&> \ud800 é"}`, `"data":"<&> \ud800 é"`},
			{`{"base64":"AAH+/w=="}`, `"base64":"AAH+/w=="`},
			{`{"base64":""}`, `"base64":""`},
			{`{"data":1,"user":"ann","key":"k"}`, `"from":{"user":"ann"},"data":1`},
			{`{"data":1,"base64":null,"except":null,"user":null}`, `"data":1`},
		} {
			w.want(post, "/v1/rooms/a%2Fb/messages", c.body, 200, `{"delivered":2,"failed":0,"dropped":0}`)
			for _, m := range []*member{one, two} {
				m.got(`{"type":"message","room":"a/b",` + c.arrives + `}`)
			}
		}
		w.want(post, "/v1/rooms/nobody/messages", `{"data":1}`, 200, `{"delivered":0,"failed":0,"dropped":0}`)
		other.got()
	})
}

// TestExcept holds that connections, sessions and users are left out, and that whoever is not there does not matter.
func TestExcept(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.dial("", "r"), w.dial("", "r")
		ann1, ann2, bob := w.dial("ann", "r"), w.dial("ann", "r"), w.dial("bob", "r")
		w.want(post, "/v1/rooms/r/messages",
			`{"data":1,"except":{"connections":["`+a.id+`","nobody",""],"sessions":["`+b.session+`",""],"users":["ann","nobody"]}}`, 200, `{"delivered":1,"failed":0,"dropped":0}`)
		bob.got(`{"type":"message","room":"r","data":1}`)
		for _, m := range []*member{a, b, ann1, ann2} {
			m.got()
		}
	})
}

func TestPublishDirect(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ann1, ann2, other := w.dial("ann"), w.dial("ann"), w.dial("", "r")
		w.want(post, "/v1/users/ann/messages", `{"data":1.0,"user":"bob"}`, 200, `{"delivered":2,"failed":0,"dropped":0}`)
		for _, m := range []*member{ann1, ann2} {
			m.got(`{"type":"direct","from":{"user":"bob"},"data":1.0}`)
		}
		w.want(post, "/v1/connections/"+ann1.id+"/messages", `{"base64":"AA=="}`, 200, `{"delivered":1,"failed":0,"dropped":0}`)
		ann1.got(`{"type":"direct","base64":"AA=="}`)
		w.want(post, "/v1/users/nobody/messages", `{"data":1}`, 200, `{"delivered":0,"failed":0,"dropped":0}`)
		w.refused(request(post, "/v1/connections/nobody/messages", `{"data":1}`), 404, `"nobody"`, "there is none")
		w.refused(request(post, "/v1/connections/"+ann1.id+"/messages", `{"data":1,"key":"k"}`), 422, `"key"`)
		w.refused(request(post, "/v1/users/ann/messages", `{"data":1,"except":{"users":["ann"]}}`), 422, `"except"`)
		ann1.got()
		ann2.got()
		other.got()
	})
}

// TestFailedAreCounted holds that a member that does not read is counted, and the others get the message.
func TestFailedAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, roomcast.Options{OutboxBytes: 4096})
		slow, quick, slowDirect := w.dial("", "r"), w.dial("", "r"), w.dial("")
		synctest.Wait() // they read
		slow.Stall()
		slowDirect.Stall()
		long := `{"data":"` + strings.Repeat("x", 3000) + `"}`
		for range 2 { // the client takes one of them
			w.want(post, "/v1/rooms/r/messages", long, 200, `{"delivered":2,"failed":0,"dropped":0}`)
			w.want(post, "/v1/connections/"+slowDirect.id+"/messages", long, 200, `{"delivered":1,"failed":0,"dropped":0}`)
			synctest.Wait()
		}
		w.want(post, "/v1/rooms/r/messages", long, 200, `{"delivered":1,"failed":1,"dropped":0}`)
		w.want(post, "/v1/connections/"+slowDirect.id+"/messages", long, 200, `{"delivered":0,"failed":1,"dropped":0}`)
		synctest.Wait()
		if n := len(quick.Waiting()); n != 3 {
			t.Errorf("the quick member has %d messages, want 3", n)
		}
	})
}

// TestDroppedAreCounted holds that a member that misses a message by its room's policy is counted as such, and stays.
func TestDroppedAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, roomcast.Options{OutboxBytes: 4096, Slow: func(string) roomcast.Slow { return roomcast.SlowDropNewest }})
		slow, _ := w.dial("", "r"), w.dial("", "r")
		synctest.Wait() // it reads
		slow.Stall()
		message := `"data":"` + strings.Repeat("x", 3000) + `"}`
		for range 2 { // the client takes one of them
			w.want(post, "/v1/rooms/r/messages", "{"+message, 200, `{"delivered":2,"failed":0,"dropped":0}`)
			synctest.Wait()
		}
		const missed = `{"delivered":1,"failed":0,"dropped":1}`
		w.want(post, "/v1/rooms/r/messages", "{"+message, 200, missed)
		synctest.Wait()
		w.want(post, "/v1/batch", `{"publications":[{"to":{"room":"r"},`+message+`]}`, 200, `{"results":[`+missed+`],"errors":0}`)
		w.want("GET", "/v1/rooms", "", 200, `{"rooms":[{"name":"r","members":2}]}`)
	})
}

// TestKey holds that the key of a publication says what it is the latest of.
func TestKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, roomcast.Options{OutboxBytes: 1 << 20, Slow: func(string) roomcast.Slow { return roomcast.SlowKeepLatest }})
		w.dial("", "r").Stall()
		superseded := func(body string) uint64 {
			for range 200 { // superseded messages are looked for when many wait
				w.want(post, "/v1/rooms/r/messages", body, 200, `{"delivered":1,"failed":0,"dropped":0}`)
			}
			return w.hub.Server().Stats().Superseded
		}
		if n := superseded(`{"data":1}`); n != 0 {
			t.Errorf("%d messages without a key are superseded", n)
		}
		if n := superseded(`{"data":1,"key":"cursor-1"}`); n == 0 {
			t.Error("no message is superseded by those with its key")
		}
	})
}

// TestBadBodies holds that each body that cannot be taken has its answer, and nobody gets anything of it.
func TestBadBodies(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bystander := w.dial("ann", "r")
		const room = "/v1/rooms/r/messages"
		x := func(n int) string { return strings.Repeat("x", n) }
		for _, c := range []struct {
			path, body string
			status     int
			words      string
		}{
			{room, `{`, 400, "not JSON"},
			{room, ` `, 400, "empty"},
			{room, `nope`, 400, "not JSON"},
			{room, `{"data":1}{"data":2}`, 400, "something follows"},
			{room, `{"data":1}]`, 400, "something follows"},
			{room, `{"data":NaN}`, 400, "not JSON"},
			{room, `{"data":01}`, 400, "not JSON"},
			{room, "{\"data\":\"\xff\"}", 400, "UTF-8"},
			{room, "{\"data\":\"\x01\"}", 400, "not JSON"},
			{room, `null`, 422, "no payload"},
			{room, `{}`, 422, "no payload"},
			{room, `[]`, 422, "array"},
			{room, `"data"`, 422, "string"},
			{room, `{"base64":null}`, 422, "no payload"},
			{room, `{"data":1,"base64":"AA=="}`, 422, "leave out one"},
			{room, `{"data":1,"dota":2}`, 422, `"dota"`},
			{room, `{"data":1,"` + x(100_000) + `":2}`, 422, "no field"},
			{room, `{"data":1,"user":7}`, 422, "body.user"},
			{room, `{"data":1,"except":["a"]}`, 422, "body.except"},
			{room, `{"data":1,"except":{"users":[1]}}`, 422, "users"},
			{room, `{"data":1,"except":{"people":[]}}`, 422, `"people"`},
			{room, `{"data":1,"except":{"users":[` + strings.Repeat(`"a",`, 100) + `"a"]}}`, 422, "at most 100"},
			{room, `{"base64":"AA"}`, 422, "base64"},
			{room, `{"base64":"AB=="}`, 422, "base64"},
			{room, `{"base64":"AA==\n"}`, 422, "base64"},
			{room, `{"base64":"-_-_"}`, 422, "base64"},
			{room, `{"data":1,"user":"` + x(257) + `"}`, 422, "at most 256"},
			{room, `{"data":1,"key":"` + x(65) + `"}`, 422, "at most 64"},
			{room, `{"data":1,"idempotency_key":"` + x(256) + `"}`, 422, "at most 255"},
			{room, `{"data":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, 422, "nest at most 63"},
			{room, `{"data":` + strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000) + `}`, 422, "nest at most 63"},
			{room, `{"data":` + strings.Repeat("[", 500_000), 400, "not JSON"},
			{room, strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000), 400, "depth"},
			{room, `{"data":"` + x(1<<20) + `"}`, 413, "1048576"},
			{"/v1/users/ann/messages", `{"data":1,"key":"k"}`, 422, `"key"`},
			{"/v1/rooms/%0A/messages", `{"data":1}`, 422, "control character"},
			{"/v1/rooms/%FF/messages", `{"data":1}`, 422, "UTF-8"},
			{"/v1/rooms/" + x(256) + "/messages", `{"data":1}`, 422, "256 bytes"},
		} {
			w.refused(request(post, c.path, c.body), c.status, c.words)
		}
		bystander.got()

		most := `{"data":` + strings.Repeat("[", 63) + `"[[\"[["` + strings.Repeat("]", 63) + `}`
		w.want(post, room, most, 200, `{"delivered":1,"failed":0,"dropped":0}`)
		full := `{"data":"` + x(1<<20-len(`{"data":""}`)) + `"}`
		w.want(post, room, full, 200, `{"delivered":1,"failed":0,"dropped":0}`)
	})
}

// TestContentType holds that only what says that it is JSON is read.
func TestContentType(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for kind, status := range map[string]int{
			"": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415, "multipart/form-data; boundary=x": 415, "application/cbor": 415,
			"text/plain, application/json": 415, "text/plain+application/json": 415, "application/vnd.x+json": 415, ";": 415,
			"application/json": 200, "Application/JSON; charset=utf-8": 200,
		} {
			r := request(post, "/v1/rooms/r/messages", `{"data":1}`)
			if r.Header.Set("Content-Type", kind); kind == "" {
				r.Header.Del("Content-Type")
			}
			if status == 415 {
				w.refused(r, status, "application/json")
			} else if got, body := read(t, w.serve(r)); got != status {
				t.Errorf("%q: %d %s", kind, got, body)
			}
		}
	})
}

// TestBodyEndsEarly holds that a body that breaks off is refused: net/http says so with an error.
func TestBodyEndsEarly(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			err    error
			status int
		}{{http.ErrBodyReadAfterClose, 400}, {timeout{}, 408}} {
			r := request(post, "/v1/rooms/r/messages", `{"data":1}`)
			r.Body, r.ContentLength = broken{c.err}, -1
			w.refused(r, c.status, "the body")
		}
		r := request(post, "/v1/rooms/r/messages", strings.Repeat(" ", 1<<20)+`{"data":1}`)
		r.ContentLength = -1 // as with chunks
		w.refused(r, 413, "1048576")
	})
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
func (broken) Close() error               { return nil }

type timeout struct{}

func (timeout) Error() string   { return "i/o timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }
