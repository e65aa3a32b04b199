package server

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/roomcast/roomcast/internal/server/api"
	"github.com/roomcast/roomcast/internal/server/auth"
)

var _ api.Keys = (*auth.Authority)(nil)

// TestAPI holds that the API and its documents are where they belong, and act on the clients of /ws.
func TestAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		c := r.dial("/ws")
		c.Receive() // hello
		c.Send(`{"type":"join","room":"..","id":1}`)
		c.Receive() // ack
		for _, ask := range []struct{ method, path, body, want string }{
			{"GET", "/v1/rooms", "", `{"rooms":[{"name":"..","members":1}]}`},
			{"POST", "/v1/rooms/%2E%2E/messages", `{"data":1.0}`, `{"delivered":1,"failed":0}`},
			{"GET", "/openapi.json", "", `"openapi": "3.1.0"`},
			{"GET", "/openapi.yaml", "", "openapi: 3.1.0"},
			{"GET", "/docs", "", "<!doctype html>"},
			{"GET", "/v1/nothing", "", `"status":404`},
			{"DELETE", "/v1/connections/../users/ann/connections", "", `"status":404`},
			{"GET", "/healthz", "", "ok"},
		} {
			req := httptest.NewRequest(ask.method, ask.path, strings.NewReader(ask.body))
			req.RemoteAddr, req.Host = "127.0.0.1:50000", "localhost:8080"
			req.Header.Set("Content-Type", "application/json")
			rec := httptest.NewRecorder()
			r.server.routes().ServeHTTP(rec, req)
			if !strings.Contains(rec.Body.String(), ask.want) {
				t.Errorf("%s %s: %d %.300s, want %s", ask.method, ask.path, rec.Code, rec.Body, ask.want)
			}
		}
		if got := c.Receive().String(); got != `{"type":"message","room":"..","data":1.0}` {
			t.Errorf("the member got %s", got)
		}
	})
}
