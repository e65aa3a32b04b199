package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/server/admission"
)

// keyring is Keys.
type keyring []string

func (k keyring) KeysRequired() bool { return len(k) > 0 }

func (k keyring) APIKey(presented string) bool {
	for _, key := range k {
		if key == presented {
			return true
		}
	}
	return false
}

// TestWithoutKeys holds that without API keys programs on this machine may use the API, and neither others nor web pages.
func TestWithoutKeys(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.dial("", "r")
		w.api.keys = keyring{}
		header := func(lines ...string) func(*http.Request) {
			return func(r *http.Request) {
				for i := 0; i < len(lines); i += 2 {
					r.Header.Set(lines[i], lines[i+1])
				}
			}
		}
		host := func(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }
		from := func(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }
		for name, c := range map[string]struct {
			edit func(*http.Request)
			word string // of the refusal; none if it may
		}{
			"a program":              {func(*http.Request) {}, ""},
			"IPv6":                   {from("[::1]:5000"), ""},
			"IPv4 in IPv6":           {from("[::ffff:127.0.0.1]:5000"), ""},
			"another loopback":       {from("127.8.8.8:5000"), ""},
			"localhost":              {host("localhost"), ""},
			"localhost, port":        {host("LocalHost:8080"), ""},
			"IPv6 host":              {host("[::1]:8080"), ""},
			"IPv6 host, no port":     {host("[::1]"), ""},
			"a page of ours":         {header("Origin", "http://127.0.0.1:8080", "Sec-Fetch-Site", "same-origin"), ""},
			"typed by a person":      {header("Sec-Fetch-Site", "none"), ""},
			"another machine":        {from("192.0.2.1:5000"), "192.0.2.1"},
			"another, IPv6":          {from("[2001:db8::1]:5000"), "2001:db8::1"},
			"another, link local":    {from("[fe80::1%eth0]:5000"), "fe80"},
			"no address":             {from("@"), "@"},
			"rebound":                {host("evil.example:8080"), "evil.example"},
			"rebound, address":       {host("127.0.0.1.evil.example"), "evil.example"},
			"rebound, localhost":     {host("localhost.evil.example"), "evil.example"},
			"an address of ours":     {host("192.0.2.7:8080"), "192.0.2.7"},
			"no host":                {host(""), "host"},
			"a page":                 {header("Origin", "https://evil.example"), "evil.example"},
			"a page of another port": {header("Origin", "http://127.0.0.1:3000"), "127.0.0.1:3000"},
			"a sandboxed page":       {header("Origin", "null"), "null"},
			"a link on a page":       {header("Sec-Fetch-Site", "cross-site"), "cross-site"},
			"a sister page":          {header("Sec-Fetch-Site", "same-site"), "same-site"},
			"a proxy":                {header("X-Forwarded-For", "192.0.2.1"), "X-Forwarded-For: 192.0.2.1"},
			"a standard proxy":       {header("Forwarded", "for=192.0.2.1"), "Forwarded"},
			"a key that helps not":   {func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1"; r.Header.Set("X-API-Key", "x") }, "192.0.2.1"},
		} {
			for _, ask := range []*http.Request{request("GET", "/v1/rooms", ""), request(post, "/v1/rooms/r/messages", `{"data":1}`), request("DELETE", "/v1/users/x/connections", "")} {
				c.edit(ask)
				if c.word != "" {
					w.refused(ask, 403, c.word, "API key")
				} else if status, body := read(t, w.serve(ask)); status != 200 {
					t.Errorf("%s: %d %s", name, status, body)
				}
			}
		}
		m.got(slices.Repeat([]string{`{"type":"message","room":"r","data":1}`}, 10)...)
	})
}

// TestWithKeys holds that with API keys every request needs one, wherever it comes from, and that the documents need none.
func TestWithKeys(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.api.keys = keyring{"correct-horse-16", "other-key-of-16b"}
		for _, c := range []struct {
			name, value, query string
			status             int
		}{
			{"Authorization", "Bearer correct-horse-16", "", 200},
			{"Authorization", "bearer  other-key-of-16b ", "", 200},
			{"X-Api-Key", "correct-horse-16", "", 200},
			{"Authorization", "Bearer correct-horse-1", "", 401},
			{"Authorization", "Bearer", "", 401},
			{"Authorization", "correct-horse-16", "", 401},
			{"Authorization", "Basic correct-horse-16", "", 401},
			{"X-Api-Key", "wrong", "", 401},
			{"X-Other", "", "?api_key=correct-horse-16&key=correct-horse-16&token=correct-horse-16", 401},
			{"Cookie", "key=correct-horse-16", "", 401},
		} {
			r := request("GET", "/v1/rooms"+c.query, "")
			r.RemoteAddr, r.Host = "192.0.2.1:5000", "rooms.example.com"
			r.Header.Set(c.name, c.value)
			res := w.serve(r)
			status, body := read(t, res)
			if challenge := res.Header.Get("WWW-Authenticate"); status != c.status || (status == 401) != strings.HasPrefix(challenge, "Bearer ") {
				t.Errorf("%s: %s: %d %s, WWW-Authenticate %q; want %d", c.name, c.value, status, body, challenge, c.status)
			}
			if strings.Contains(body, "correct-horse") {
				t.Errorf("the answer repeats the key: %s", body)
			}
		}
		if n := w.desk.Refused()[admission.KeyInvalid]; n != 7 {
			t.Errorf("%d requests without a key are counted, want 7", n)
		}
		logged := w.log.String()
		if n := strings.Count(logged, "API request without a valid key\" remote=192.0.2.1:5000"); n != 7 || strings.Contains(logged, "correct-horse") || strings.Contains(logged, "wrong") {
			t.Errorf("%d of 7 are logged: %s", n, logged)
		}
		for _, path := range []string{"/v1/rooms", "/v1/", "/v1/nothing", "/v1/rooms/r/messages"} {
			w.refused(request("POST", path, "{}"), 401, "Authorization: Bearer")
		}
		for _, path := range []string{"/openapi.json", "/openapi.yaml", "/docs"} {
			r := request("GET", path, "")
			r.RemoteAddr, r.Host = "192.0.2.1:5000", "rooms.example.com"
			if status, _ := read(t, w.serve(r)); status != 200 {
				t.Errorf("%s: %d without a key", path, status)
			}
		}
	})
}

// TestNoCORS holds that no answer lets a page of another origin read it.
func TestNoCORS(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.api.keys = keyring{"correct-horse-16"}
		for _, c := range [][2]string{{"OPTIONS", "/v1/rooms"}, {"GET", "/v1/rooms"}, {"GET", "/openapi.json"}, {"GET", "/docs"}} {
			r := request(c[0], c[1], "")
			r.Header.Set("X-API-Key", "correct-horse-16")
			r.Header.Set("Origin", "https://app.example.com")
			r.Header.Set("Access-Control-Request-Method", "GET")
			for name := range w.serve(r).Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s %s is answered with %s", c[0], c[1], name)
				}
			}
		}
	})
}

// TestPaths holds that what is no operation is answered with a problem, and that names are what is between the slashes, decoded once.
func TestPaths(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for _, path := range []string{"/v1/", "/v1/nothing", "/v1/rooms/a/b/messages", "/v1/rooms/a", "/v1/rooms/a/messages/1", "/v1/users/ann", "/v1/" + strings.Repeat("x", 9000)} {
			w.refused(request("GET", path, ""), 404, "no such path", "/docs")
		}
		for path, allow := range map[string]string{
			"/v1/rooms": "GET, HEAD", "/v1/rooms/r/messages": "POST", "/v1/connections/c/rooms/r": "DELETE, PUT", "/v1/batch": "POST",
		} {
			for _, method := range []string{"PATCH", "OPTIONS", "BREW"} {
				w.refused(request(method, path, ""), 405, allow)
			}
			if got := w.serve(request("PATCH", path, "")).Header.Get("Allow"); got != allow {
				t.Errorf("%s: Allow %q, want %q", path, got, allow)
			}
		}
		m := w.dial("", ".", "..", "../..", "a/../b", "%2F", "a b", "é", "+", "?", "#", `<script>"`, "messages")
		for path, room := range map[string]string{
			"%2E": `.`, "%2e%2E": `..`, "%2E%2E%2F%2E%2E": `../..`, "..%2F..": `../..`, "a%2F..%2Fb": `a/../b`, "%252F": `%2F`, "a%20b": `a b`, "%C3%A9": `é`, "é": `é`,
			"+": `+`, "%2B": `+`, "%3F": `?`, "%23": `#`, "%3Cscript%3E%22": `<script>\"`, "messages": `messages`,
		} {
			w.want(post, "/v1/rooms/"+path+"/messages", `{"data":1}`, 200, `{"delivered":1,"failed":0,"dropped":0}`)
			m.got(`{"type":"message","room":"` + room + `","data":1}`)
		}
		for _, path := range []string{
			"/v1/rooms/../rooms", "/v1/rooms/./messages", "/v1/rooms/../messages", "/v1/rooms/..", "/v1//rooms", "/v1/rooms//messages", "/v1/rooms/", "/v1/../docs",
			"/v1/connections/" + m.id + "/rooms/..", "/v1/connections/../connections/" + m.id,
		} {
			for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
				w.refused(request(method, path, ""), 404, "%2E")
			}
		}
		m.got()
	})
}
