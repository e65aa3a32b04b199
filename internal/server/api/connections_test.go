package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/roomcasttest"
)

// listed is a connection as the answers have it; user is ,"user":… or nothing.
func (m *member) listed(user string) string {
	return fmt.Sprintf(`"connection":"%s","session":"%s"%s,"address":"192.0.2.1:1234"`, m.id, m.session, user)
}

func TestConnections(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.want("GET", "/v1/connections", "", 200, `{"connections":[],"total":0}`)
		ann, other := w.dial("ann", "s", "é", "a/b"), w.dial("")
		w.want("GET", "/v1/connections/"+ann.id, "", 200, `{`+ann.listed(`,"user":"ann"`)+`,"rooms":["a/b","s","é"]}`)
		w.want("GET", "/v1/connections/"+other.id, "", 200, `{`+other.listed(`,"user":"somebody"`)+`,"rooms":[]}`)
		w.want("GET", "/v1/connections?user=ann", "", 200, `{"connections":[{`+ann.listed(`,"user":"ann"`)+`}],"total":1}`)
		w.want("GET", "/v1/connections?user=nobody", "", 200, `{"connections":[],"total":0}`)
		w.refused(request("GET", "/v1/connections/"+ann.session, ""), 404, ann.session, "there is none")
	})
}

// TestJoinAndLeave holds that a client hears of what is done to it, once, and that messages flow and stop.
func TestJoinAndLeave(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, other := w.dial(""), w.dial("", "r")
		room := "/v1/connections/" + a.id + "/rooms/r"
		w.want("PUT", room, "", 200, `{"joined":1}`)
		w.want("PUT", room, "", 200, `{"joined":0}`)
		w.want(post, "/v1/rooms/r/messages", `{"data":1}`, 200, `{"delivered":2,"failed":0,"dropped":0}`)
		a.got(`{"type":"joined","room":"r"}`, `{"type":"message","room":"r","data":1}`)
		a.Send(`{"type":"send","room":"r","echo":false,"data":2}`) // it is a member like any other
		synctest.Wait()
		w.want("DELETE", room+"?reason=it+is+%22late%22", "", 200, `{"left":1}`)
		w.want("DELETE", room, "", 200, `{"left":0}`)
		w.want(post, "/v1/rooms/r/messages", `{"data":3}`, 200, `{"delivered":1,"failed":0,"dropped":0}`)
		a.got(`{"type":"left","room":"r","reason":"it is \"late\""}`)
		other.got(`{"type":"message","room":"r","data":1}`, `{"type":"message","room":"r","from":{"connection":"`+a.id+`","user":"somebody"},"data":2}`, `{"type":"message","room":"r","data":3}`)

		for _, method := range []string{"PUT", "DELETE"} {
			w.refused(request(method, "/v1/connections/nobody/rooms/r", ""), 404, `"nobody"`)
			w.refused(request(method, "/v1/connections/"+a.id+"/rooms/a%0Ab", ""), 422, "path.room", "control character")
			w.refused(request(method, "/v1/users/ann/rooms/"+strings.Repeat("x", 256), ""), 422, "256 bytes")
		}
		a.got()
	})
}

func TestUsers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ann1, ann2, other := w.dial("ann é/1"), w.dial("ann é/1", "r"), w.dial("", "r")
		w.want("PUT", "/v1/users/ann%20%C3%A9%2F1/rooms/r", "", 200, `{"joined":1}`)
		ann1.got(`{"type":"joined","room":"r"}`)
		ann2.got()
		w.want("DELETE", "/v1/users/ann%20%C3%A9%2F1/rooms/r", "", 200, `{"left":2}`)
		for _, m := range []*member{ann1, ann2} {
			m.got(`{"type":"left","room":"r"}`)
		}
		w.want("DELETE", "/v1/users/ann%20%C3%A9%2F1/connections?reason=bye", "", 200, `{"disconnected":2}`)
		for _, m := range []*member{ann1, ann2} {
			if end := m.End(); end != (roomcasttest.End{Code: 3003, Reason: "bye"}) {
				t.Errorf("closed with %+v, want 3003 bye", end)
			}
		}
		w.want("PUT", "/v1/users/nobody/rooms/r", "", 200, `{"joined":0}`)
		w.want("DELETE", "/v1/users/nobody/rooms/r", "", 200, `{"left":0}`)
		w.want("DELETE", "/v1/users/nobody/connections", "", 200, `{"disconnected":0}`)
		other.got()
	})
}

func TestDisconnect(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, other := w.dial("", "r"), w.dial("", "r"), w.dial("", "r")
		longest := strings.Repeat("é", 61) + "!" // 123 bytes
		w.want("DELETE", "/v1/connections/"+a.id+"?reason="+strings.Repeat("%C3%A9", 61)+"!", "", 200, `{"disconnected":1}`)
		if end := a.End(); end != (roomcasttest.End{Code: 3003, Reason: longest}) {
			t.Errorf("closed with %+v, want 3003 and the reason", end)
		}
		synctest.Wait()
		w.refused(request("DELETE", "/v1/connections/"+a.id, ""), 404, a.id)
		w.refused(request("DELETE", "/v1/connections/"+b.id+"?reason="+longest+"x", ""), 422, "query.reason", "124 bytes", "at most 123")
		w.refused(request("DELETE", "/v1/connections/"+b.id+"?reason=%FF", ""), 422, "query.reason", "UTF-8")
		w.refused(request("DELETE", "/v1/connections/"+b.id+"/rooms/r?reason="+longest+"x", ""), 422, "query.reason")
		b.got()
		w.want("DELETE", "/v1/connections/"+b.id, "", 200, `{"disconnected":1}`)
		if end := b.End(); end.Code != 3003 || end.Reason != "" {
			t.Errorf("closed with %+v, want 3003", end)
		}
		other.got()
	})
}

// TestTooManyRooms holds that a user's other connections are in all the same.
func TestTooManyRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, roomcast.Options{MaxRoomsPerConn: 1})
		full, free := w.dial("ann", "a"), w.dial("ann")
		w.refused(request("PUT", "/v1/users/ann/rooms/b", ""), 409, `"b"`, "1 connections have joined", "take it out")
		full.got()
		free.got(`{"type":"joined","room":"b"}`)
		w.refused(request("PUT", "/v1/connections/"+full.id+"/rooms/b", ""), 409, "0 connections")
	})
}

// TestLogInjection holds that what is logged of a request stays on one line, whatever is in it.
func TestLogInjection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.dial(`x level=ERROR msg="forged"`)
		w.want("DELETE", "/v1/users/x%20level=ERROR%20msg=%22forged%22/connections?reason=bye%0D%0Alevel=ERROR%20msg=forged", "", 200, `{"disconnected":1}`)
		a.End()
		logged := w.log.String()
		if n := strings.Count(logged, "\n"); n != 1 || !strings.Contains(logged, `user="x level=ERROR msg=\"forged\"" reason="bye\r\nlevel=ERROR msg=forged"`) {
			t.Errorf("%d lines logged: %q", n, logged)
		}
	})
}

// TestWithoutUsers holds that a server without tokens has no users, and serves everybody else.
func TestWithoutUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWith(t, roomcast.Options{}, auth.Config{})
		m := w.dial("ann")
		w.want("GET", "/v1/connections", "", 200, `{"connections":[{`+m.listed("")+`}],"total":1}`)
		w.want("GET", "/v1/connections?user=ann", "", 200, `{"connections":[],"total":0}`)
		w.want(post, "/v1/users/ann/messages", `{"data":1}`, 200, `{"delivered":0,"failed":0,"dropped":0}`)
		w.want(post, "/v1/revocations", `{"user":"ann"}`, 200, `{"disconnected":0}`)
		w.want(post, "/v1/connections/"+m.id+"/messages", `{"data":2}`, 200, `{"delivered":1,"failed":0,"dropped":0}`)
		m.got(`{"type":"direct","data":2}`)
	})
}

// TestUserNames holds that a user is everywhere what a token can have as its sub.
func TestUserNames(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		longest := strings.Repeat("x", 256)
		m := w.dial(longest, "r")
		for bad, words := range map[string]string{"a%0Ab": "control", "%E2%80%AE": "direction", "%E2%80%A8": "line", "%FF": "half", "x" + longest: "257 bytes"} {
			for _, r := range []*http.Request{
				request(post, "/v1/users/"+bad+"/messages", `{"data":1}`), request("PUT", "/v1/users/"+bad+"/rooms/r", ""), request("DELETE", "/v1/users/"+bad+"/rooms/r", ""),
				request("DELETE", "/v1/users/"+bad+"/connections", ""), request("GET", "/v1/connections?user="+bad, ""),
			} {
				w.refused(r, 422, "user", words)
			}
		}
		for _, body := range []string{
			`{"data":1,"user":"a\nb"}`, `{"data":1,"user":"\ud800"}`, `{"data":1,"user":"x` + longest + `"}`, `{"data":1,"except":{"users":["ann","a\u202eb"]}}`,
			`{"data":1,"except":{"users":[""]}}`,
		} {
			w.refused(request(post, "/v1/rooms/r/messages", body), 422, "user", "sub")
		}
		if _, body := w.do(post, "/v1/batch", `{"publications":[{"to":{"user":"a\u0000"},"data":1}]}`); !strings.Contains(body, "publications[0].to.user: ") {
			t.Errorf("a batch to a bad name: %s", body)
		}
		w.want(post, "/v1/users/"+longest+"/messages", `{"data":1,"user":"`+longest+`"}`, 200, `{"delivered":1,"failed":0,"dropped":0}`)
		m.got(`{"type":"direct","from":{"user":"` + longest + `"},"data":1}`)
	})
}
