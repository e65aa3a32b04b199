package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAttackOrigin(t *testing.T) {
	t.Parallel()
	s := serve(t, "--allowed-origin", "https://app.example.com", "--allowed-origin", "*.friends.example")
	near := stand(t, s, "")
	_, port, _ := strings.Cut(s.addr, ":")
	for _, path := range []string{"/ws", "/rooms/bystanders"} {
		for _, origin := range []string{
			"https://evil.example", "null", "http://app.example.com", "https://app.example.com.evil.example", "https://evil-app.example.com",
			"https://app.example.com:8443", "https://friends.example.evil.example", "https://friends.example", "https://a.b.evil.example",
			"http://" + s.addr + ".evil.example", "http://evil.example#" + s.addr, "http://" + s.addr + "@evil.example", "http://127.0.0.1", "file://",
			"http://localhost:" + port, "",
		} {
			expectStatus(t, s, upgrade(s, path, "Origin: "+origin), http.StatusForbidden)
		}
		expectStatus(t, s, upgrade(s, path, "Origin: http://"+s.addr, "Origin: https://evil.example"), http.StatusForbidden)
		for _, origin := range []string{"http://" + s.addr, "https://app.example.com", "https://a.friends.example"} {
			expectStatus(t, s, upgrade(s, path, "Origin: "+origin), http.StatusSwitchingProtocols)
		}
		rebound := strings.Replace(upgrade(s, path, "Origin: http://evil.example:"+port), "Host: "+s.addr, "Host: evil.example:"+port, 1)
		expectStatus(t, s, rebound, http.StatusForbidden)
	}
	near.fine(t)
}

const apiKey = "correct-horse-battery"

func TestAttackAPIKey(t *testing.T) {
	t.Parallel()
	s := serve(t, "--api-key", apiKey)
	near := stand(t, s, "")
	for _, path := range []string{"/v1/rooms", "/v1/connections", "/v1/nothing", "/v1/rooms?api_key=" + apiKey, "/v1/rooms?token=" + apiKey, "/v1/../v1/rooms"} {
		for _, lines := range [][]string{
			nil, {"Authorization: Bearer wrong-horse-battery"}, {"X-API-Key: " + apiKey[:len(apiKey)-1]}, {"X-API-Key: " + apiKey + "x"}, {"X-API-Key:"},
			{"Authorization: Basic " + apiKey}, {"Authorization: Bearer"}, {"Cookie: api_key=" + apiKey}, {"X-API-Key: " + strings.ToUpper(apiKey)},
		} {
			answer, body := expectStatus(t, s, call(s, "GET", path, "", lines...), http.StatusUnauthorized)
			if answer.Header.Get("WWW-Authenticate") == "" || strings.Contains(body, apiKey) {
				t.Errorf("%s: header %v, body %s", path, answer.Header, body)
			}
		}
	}
	expectStatus(t, s, call(s, "DELETE", "/v1/users/ann/connections", ""), http.StatusUnauthorized)
	expectStatus(t, s, call(s, "GET", "/v1/rooms", "", "X-API-Key: "+apiKey), http.StatusOK)
	near.fine(t)
}

// TestAttackLocalAPI: without keys the API is for programs of this machine, not for the web pages that are looked at on it.
func TestAttackLocalAPI(t *testing.T) {
	t.Parallel()
	s := serve(t)
	near := stand(t, s, "")
	for _, line := range []string{
		"Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.7",
	} {
		expectStatus(t, s, call(s, "DELETE", "/v1/users/ann/connections", "", line), http.StatusForbidden)
	}
	rebound := strings.Replace(call(s, "GET", "/v1/rooms", ""), "Host: "+s.addr, "Host: rebound.evil.example", 1)
	expectStatus(t, s, rebound, http.StatusForbidden)
	body := `{"data":1}` // which a page can send without asking, if it does not say that it is JSON
	form := strings.Replace(call(s, "POST", "/v1/rooms/bystanders/messages", body), "application/json", "text/plain", 1)
	expectStatus(t, s, form, http.StatusUnsupportedMediaType)
	near.fine(t)
}

func TestAttackBatches(t *testing.T) {
	t.Parallel()
	s := serve(t, "--api-key", apiKey)
	near := stand(t, s, "")
	post := func(path, body string, want int) {
		t.Helper()
		expectStatus(t, s, call(s, "POST", path, body, "X-API-Key: "+apiKey), want)
	}
	many := func(n int) string {
		return `{"publications":[` + strings.TrimSuffix(strings.Repeat(`{"to":{"room":"a"},"data":1},`, n), ",") + `]}`
	}
	post("/v1/batch", many(1_000), http.StatusOK)
	post("/v1/batch", many(1_001), http.StatusUnprocessableEntity)
	post("/v1/batch", many(200_000), http.StatusUnprocessableEntity) // below 8 MiB
	post("/v1/batch", `{"publications":[{"to":{"room":"a"},"data":"`+strings.Repeat("x", 9<<20)+`"}]}`, http.StatusRequestEntityTooLarge)
	post("/v1/rooms/a/messages", `{"data":"`+strings.Repeat("x", 2<<20)+`"}`, http.StatusRequestEntityTooLarge)
	chunked := "POST /v1/batch HTTP/1.1\r\nHost: " + s.addr + "\r\nContent-Type: application/json\r\nX-API-Key: " + apiKey +
		"\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + strings.Repeat("100000\r\n"+strings.Repeat(" ", 1<<20)+"\r\n", 9) + "0\r\n\r\n"
	expectStatus(t, s, chunked, http.StatusRequestEntityTooLarge)
	near.fine(t)
}

func TestAttackHeaderBombs(t *testing.T) {
	t.Parallel()
	s := serve(t)
	near := stand(t, s, "")
	long, many := "X-Bomb: "+strings.Repeat("x", 64<<10), strings.Repeat("X-Bomb: x\r\n", 10_000)
	for _, bomb := range []string{
		upgrade(s, "/ws", long), upgrade(s, "/ws", many[:len(many)-2]), upgrade(s, "/rooms/a", long), upgrade(s, "/rooms/a", many[:len(many)-2]),
		call(s, "GET", "/v1/rooms", "", long), call(s, "GET", "/"+strings.Repeat("x", 64<<10), ""), call(s, "GET", "/healthz", "", long),
		upgrade(s, "/ws?token="+strings.Repeat("x", 64<<10)),
	} {
		expectStatus(t, s, bomb, http.StatusRequestHeaderFieldsTooLarge)
	}
	near.fine(t)
}

// TestAttackHalfOpen: a thousand who never finish their handshake keep nobody out, and are cut off.
func TestAttackHalfOpen(t *testing.T) {
	t.Parallel()
	s := serve(t, "--handshake-timeout=5s")
	near := stand(t, s, "")
	whole := upgrade(s, "/ws")
	var halves []net.Conn
	for i := range 1_000 {
		halves = append(halves, connect(t, s, whole[:len(whole)*(i%4)/4])) // nothing at all, or more
	}
	trickle := connect(t, s, "")
	go func() { // one byte after the other, for as long as it is let
		pause := time.NewTicker(10 * time.Millisecond)
		defer pause.Stop()
		for range pause.C {
			if _, err := trickle.Write([]byte{'G'}); err != nil {
				return
			}
		}
	}()
	a, b := member(t, s, "", "late"), member(t, s, "", "late")
	if err := exchangeIn(a, b, "late"); err != nil {
		t.Errorf("who comes during the attack: %v", err)
	}
	for i, conn := range append(halves, trickle) {
		_ = conn.SetDeadline(time.Now().Add(patience))
		got, err := io.ReadAll(conn)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() || strings.Contains(string(got), "101") {
			t.Fatalf("half-open connection %d was not cut off: %q, %v", i, got, err)
		}
	}
	near.fine(t)
}

// exchangeIn sends one message from a to b.
func exchangeIn(a, b *client, room string) error {
	if err := a.lib.write(text(`{"type":"send","room":"` + room + `","echo":false,"data":"hello"}`)); err != nil {
		return err
	}
	if e, err := b.next(); err != nil || string(e.Data) != `"hello"` {
		return fmt.Errorf("received %+v: %v", e, err)
	}
	return nil
}

// TestAttackSlowBodies: who sends a body byte by byte is cut off, and holds up nobody.
func TestAttackSlowBodies(t *testing.T) {
	t.Parallel()
	s := serve(t, "--handshake-timeout=3s")
	near := stand(t, s, "")
	head := strings.TrimSuffix(call(s, "POST", "/v1/rooms/a/messages", strings.Repeat("x", 1_000)), strings.Repeat("x", 1_000))
	var slow []net.Conn
	for range 200 {
		slow = append(slow, connect(t, s, head+`{"da`))
	}
	expectStatus(t, s, call(s, "POST", "/v1/rooms/a/messages", `{"data":1}`), http.StatusOK)
	for _, conn := range slow {
		if answer, body := answered(t, conn); answer.StatusCode != http.StatusRequestTimeout {
			t.Fatalf("a body that does not come: %s %s, want 408", answer.Status, body)
		}
	}
	near.fine(t)
}

// TestAttackAddress: an address has so many connections, and cannot talk itself into being another one.
func TestAttackAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, "--trusted-proxy", "127.0.0.1", "--max-address-conns=1000")
	near := stand(t, s, "")
	from := func(list string) string { return "X-Forwarded-For: " + list }
	for i := range 1_000 {
		path := []string{"/ws", "/rooms/a"}[i%2]
		expectStatus(t, s, upgrade(s, path, from("203.0.113.7")), http.StatusSwitchingProtocols)
	}
	for _, path := range []string{"/ws", "/rooms/a"} {
		for _, list := range []string{"203.0.113.7", "198.51.100.1, 203.0.113.7", "203.0.113.8,203.0.113.7, 127.0.0.1", "::ffff:203.0.113.7"} {
			answer, _ := expectStatus(t, s, upgrade(s, path, from(list)), http.StatusTooManyRequests)
			retryLater(t, answer)
		}
		expectStatus(t, s, upgrade(s, path, from("203.0.113.8")), http.StatusSwitchingProtocols)
	}
	near.fine(t)
}

// retryLater requires an answer that says in how many seconds to come again.
func retryLater(t *testing.T, answer *http.Response) {
	t.Helper()
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 10 {
		t.Errorf("Retry-After: %q, want a number of seconds from 1 to 10", answer.Header.Get("Retry-After"))
	}
}

func TestAttackAcceptRate(t *testing.T) {
	t.Parallel()
	s := serve(t, "--max-accept-rate=5")
	near := stand(t, s, "")
	began := time.Now()
	var storm []net.Conn
	for i := range 200 {
		storm = append(storm, connect(t, s, upgrade(s, []string{"/ws", "/rooms/a"}[i%2])))
	}
	in := 0
	for _, conn := range storm {
		answer, body := answered(t, conn)
		switch answer.StatusCode {
		case http.StatusSwitchingProtocols:
			in++
		case http.StatusServiceUnavailable:
			retryLater(t, answer)
		default:
			t.Errorf("%s %s, want 101 or 503", answer.Status, body)
		}
	}
	if most := 5 + int(5*time.Since(began).Seconds()) + 1; in > most || in == len(storm) {
		t.Errorf("%d of %d were let in, want at most %d", in, len(storm), most)
	}
	near.fine(t)
}

func TestAttackRoomNames(t *testing.T) {
	t.Parallel()
	s := serve(t)
	near := stand(t, s, "")
	for path, want := range map[string]int{
		"/rooms/..%2f..%2fetc":                http.StatusSwitchingProtocols, // a name like any other
		"/rooms/%2e%2e%2f%2e%2e%2fetc":        http.StatusSwitchingProtocols,
		"/rooms/..%5c..%5cetc":                http.StatusSwitchingProtocols,
		"/rooms/%2e%2e":                       http.StatusSwitchingProtocols,
		"/rooms/../../etc/passwd":             http.StatusTemporaryRedirect, // to /etc/passwd, which is not there
		"/rooms/a/../../etc":                  http.StatusTemporaryRedirect,
		"/etc/passwd":                         http.StatusNotFound,
		"/rooms/a%00b":                        http.StatusBadRequest,
		"/rooms/a%0ab":                        http.StatusBadRequest,
		"/rooms/a%1b%5b31m":                   http.StatusBadRequest,
		"/rooms/a%ff":                         http.StatusBadRequest,
		"/rooms/" + strings.Repeat("x", 256):  http.StatusBadRequest,
		"/rooms/" + strings.Repeat("%c3", 99): http.StatusBadRequest,
		"/..%2f..%2fetc%2fpasswd":             http.StatusNotFound,
		"/page/..%2f..%2fpage.go":             http.StatusNotFound,
	} {
		expectStatus(t, s, upgrade(s, path), want)
	}
	c := speak(t, s, "")
	for _, room := range []string{"", "a\x00b", "a\nb", "a\x1b[31m", "a\u0085b", strings.Repeat("x", 256), strings.Repeat("x", 1<<20)} {
		c.expectRefusal(t, `{"type":"join","id":1,"room":`+quoted(t, room)+`}`, "bad_room")
	}
	for _, room := range []string{"../../etc/passwd", "..", ".", "/", "//", "C:\\", "$(id)", "'; drop table rooms; --", "<script>", "__proto__"} {
		c.ask(t, `{"type":"join","id":1,"room":`+quoted(t, room)+`}`, "ack")
	}
	_, body := expectStatus(t, s, call(s, "GET", "/v1/rooms", ""), http.StatusOK)
	var list struct{ Rooms []struct{ Name string } }
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	if names := fmt.Sprintf("%q", list.Rooms); !slices.ContainsFunc(list.Rooms, func(r struct{ Name string }) bool { return r.Name == "../../etc/passwd" }) {
		t.Errorf("the rooms are %s, want the names as they were given", names)
	}
	expectStatus(t, s, call(s, "GET", "/v1/rooms/../connections", ""), http.StatusNotFound)
	expectStatus(t, s, call(s, "GET", "/v1/rooms/%2e%2e/members", ""), http.StatusOK)
	near.fine(t)
}
