package api

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/roomcasttest"
)

// gone fails the test if a client is not closed because of a revocation.
func gone(t *testing.T, who string, c *roomcasttest.Client) {
	t.Helper()
	if end := c.End(); end != (roomcasttest.End{Code: 3002, Reason: "the token has been revoked"}) {
		t.Errorf("%s: closed with %+v, want 3002", who, end)
	}
}

// TestRevokeUser holds that all connections of the user end, that a token from before helps no more, and that a later one does.
func TestRevokeUser(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		old := w.token("ann")
		one, two, bob := w.dial("ann", "r"), w.dial("ann", "r"), w.dial("bob", "r")
		w.want(post, "/v1/revocations", `{"user":"ann"}`, 200, `{"disconnected":2}`)
		for _, m := range []*member{one, two} {
			gone(t, "ann", m.Client)
		}
		gone(t, "with the old token", w.connect(old))
		gone(t, "with another of the same second", w.connect(w.token("ann")))
		<-time.After(time.Second)
		gone(t, "with the old token, later", w.connect(old))
		again := w.dial("ann", "r")
		w.want(post, "/v1/rooms/r/messages", `{"data":1}`, 200, `{"delivered":2,"failed":0,"dropped":0}`)
		for _, m := range []*member{again, bob} {
			m.got(`{"type":"message","room":"r","data":1}`)
		}
		if logged := w.log.String(); strings.Count(logged, "\n") != 1 || !strings.Contains(logged, `msg="revoked by the backend" user=ann connections=2`) {
			t.Errorf("logged: %s", logged)
		}
	})
}

// TestRevokeUpTo holds that only tokens that were issued up to the instant are revoked.
func TestRevokeUpTo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		before := w.dial("ann")
		instant := time.Now().Format(time.RFC3339)
		<-time.After(time.Second)
		after := w.dial("ann", "r")
		w.want(post, "/v1/revocations", `{"user":"ann","issued_before":"`+instant+`"}`, 200, `{"disconnected":1}`)
		gone(t, "issued before", before.Client)
		after.got()
		w.want("GET", "/v1/rooms", "", 200, `{"rooms":[{"name":"r","members":1}]}`)
	})
}

// TestRevokeToken holds that one token alone is revoked, by its name, and not beyond the given time.
func TestRevokeToken(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		token := w.token("ann")
		grant, err := w.gate.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		hit, other := w.connect(token), w.dial("ann")
		hit.Receive() // hello
		until := time.Now().Add(10 * time.Minute)
		w.want(post, "/v1/revocations", `{"token":"`+grant.ID+`","until":"`+until.Format(time.RFC3339)+`"}`, 200, `{"disconnected":1}`)
		gone(t, "the token", hit)
		gone(t, "the token again", w.connect(token))
		other.got()
		<-time.After(11 * time.Minute)
		if back := w.connect(token); !strings.HasPrefix(back.Receive().String(), `{"type":"hello"`) {
			t.Error("it is remembered past its time")
		}
		w.want(post, "/v1/revocations", `{"token":"`+grant.ID+`"}`, 200, `{"disconnected":1}`)
		<-time.After(40 * time.Minute)
		gone(t, "the token, revoked for as long as it lasts", w.connect(token))
	})
}

// TestBadRevocations holds that each that makes no sense has its answer, and hits nobody.
func TestBadRevocations(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ann := w.dial("ann")
		for body, words := range map[string]string{
			`{}`:                         `either a "user" or a "token"`,
			`{"user":"ann","token":"x"}`: `either a "user" or a "token"`,
			`{"user":"a\nnn"}`:           "body.user",
			`{"token":"` + strings.Repeat("x", 257) + `"}`:          "body.token",
			`{"user":"ann","until":"2026-11-23T18:00:00Z"}`:         "body.until",
			`{"token":"x","issued_before":"2026-11-23T18:00:00Z"}`:  "body.issued_before",
			`{"user":"ann","issued_before":"yesterday"}`:            "RFC 3339",
			`{"user":"ann","issued_before":"2026-11-23"}`:           "RFC 3339",
			`{"user":"ann","issued_before":"0001-01-01T00:00:00Z"}`: "since 1970",
			`{"user":"ann","issued_before":1795455000}`:             "body.issued_before",
			`{"user":"ann","issuedBefore":"2026-11-23T18:00:00Z"}`:  `"issuedBefore"`,
		} {
			w.refused(request(post, "/v1/revocations", body), 422, words)
		}
		ann.got()
		w.want("GET", "/v1/connections?user=ann", "", 200, `{"connections":[{`+ann.listed(`,"user":"ann"`)+`}],"total":1}`)
	})
}

// full is a hub whose desk's list of revocations is full.
type full struct{ Hub }

func (full) RevokeUser(string, time.Time) (int, error)  { return 0, auth.ErrTooManyRevocations }
func (full) RevokeToken(string, time.Time) (int, error) { return 0, auth.ErrTooManyRevocations }

// TestTooManyRevocations holds that a full list is a problem that says what helps.
func TestTooManyRevocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, roomcast.Options{})
		w.api.hub = full{w.hub}
		for _, body := range []string{`{"user":"ann"}`, `{"token":"x"}`} {
			w.refused(request(post, "/v1/revocations", body), http.StatusServiceUnavailable, "100000 revocations", "nothing was revoked", "change the keys")
		}
	})
}
