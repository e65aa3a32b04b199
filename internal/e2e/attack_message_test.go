package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/golang-jwt/jwt/v5"
)

func TestAttackJSONBombs(t *testing.T) {
	t.Parallel()
	s := serve(t, "--max-message=1MiB")
	near := stand(t, s, "")
	eve, other := member(t, s, "", "bombs"), member(t, s, "", "bombs")
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	send := func(data string) string {
		return `{"type":"send","id":1,"room":"bombs","echo":false,"data":` + data + `}`
	}
	for _, bomb := range []string{send(deep(64)), send(deep(400_000)), send(strings.Repeat(`{"a":`, 150_000) + "1" + strings.Repeat("}", 150_000))} {
		eve.expectRefusal(t, bomb, "bad_request")
	}
	for _, bomb := range []string{
		`{"type":"join","id":` + strings.Repeat("9", 65) + `,"room":"a"}`, `{"type":"join","id":"` + strings.Repeat("x", 1_000_000) + `","room":"a"}`,
		`{"type":"send","id":1,"room":"bombs","key":"` + strings.Repeat("x", 65) + `","data":1}`, `{"type":"join","id":1,"room":1e999999999}`,
		`{"type":"join","id":1,"room":["a"]}`, `{"type":"send","id":1,"room":"bombs","room":"a","data":1}`, `{"type":"send","id":1,"room":"bombs"}`,
		`{"type":"send","id":1,"room":"bombs","base64":"` + strings.Repeat("/", 500_001) + `"}`,
	} {
		eve.expectRefusal(t, bomb, "bad_request")
	}
	eve.expectRefusal(t, `{"type":"`+strings.Repeat("x", 1_000_000)+`","id":1}`, "unknown_type")

	// What is no bomb is passed on byte for byte, however large a number it is.
	for _, data := range []string{
		deep(63), strings.Repeat("9", 900_000), "1e999999999", "-0.0e-400", "[" + strings.Repeat("1,", 400_000) + "1]", `"` + strings.Repeat("\\u0000", 100_000) + `"`,
		"{" + strings.TrimSuffix(strings.Repeat(`"a":1,`, 100_000), ",") + "}",
	} {
		eve.ask(t, send(data), "ack")
		if e := other.hear(t, "message"); string(e.Data) != data {
			t.Errorf("the other member received %.100q, want %.100q", e.Data, data)
		}
	}
	for _, c := range []struct {
		frame string
		code  int
	}{
		{send(strings.Repeat("9", 1<<20)), 1009}, {"{}{}", 3000}, {deep(400_000), 3000}, {"\xff\xfe", 1007}, {`{"type":"ping"`, 3000}, {"", 3000},
		{"null", 3000},
	} {
		victim := speak(t, s, "")
		_ = victim.lib.write(text(c.frame)) // the server may have hung up before all of it was sent
		victim.expectClose(t, c.code)
	}
	for path, body := range map[string]string{
		"/v1/rooms/bombs/messages": `{"data":` + deep(400_000) + `}`, "/v1/batch": `{"publications":` + deep(400_000) + `}`,
		"/v1/rooms/a/messages": `{"data":1,"idempotency_key":"` + strings.Repeat("x", 300) + `"}`,
	} {
		answer, said := answered(t, connect(t, s, call(s, "POST", path, body)))
		if answer.StatusCode != http.StatusUnprocessableEntity && answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%s %.40s: %s %.200s, want 400 or 422", path, body, answer.Status, said)
		}
	}
	expectStatus(t, s, call(s, "GET", "/v1/rooms?limit=1e999", ""), http.StatusUnprocessableEntity)
	expectStatus(t, s, call(s, "GET", "/v1/rooms?limit="+strings.Repeat("9", 1_000), ""), http.StatusUnprocessableEntity)
	near.fine(t)
}

// TestAttackJoinFlood: ten thousand joins as fast as they can be sent. Each is answered: done, or throttled.
func TestAttackJoinFlood(t *testing.T) {
	t.Parallel()
	s := serve(t)
	near := stand(t, s, "")
	const joins = 10_000
	eve := speak(t, s, "")
	began := time.Now()
	flood(eve, joins, func(i int) string { return fmt.Sprintf(`{"type":"join","id":%d,"room":"flood/%d"}`, i, i%500) })
	acks := 0
	for i := range joins {
		e, err := eve.next()
		if err != nil {
			t.Fatalf("after %d answers: %v", i, err)
		}
		switch {
		case string(e.ID) != fmt.Sprint(i):
			t.Fatalf("answer %d is %+v", i, e)
		case e.Type == "ack":
			acks++
		case e.Code != "throttled" || e.RetryAfter <= 0:
			t.Fatalf("answer %d is %+v, want an ack or throttled", i, e)
		}
	}
	if most := 1_000 + int(1_000*time.Since(began).Seconds()) + 1; acks < 1_000 || acks > most {
		t.Errorf("%d of %d joins were done, want those that may come at once, 1000, and 1000 per second: at most %d", acks, joins, most)
	}
	near.fine(t)
}

// TestAttackMessageFlood: who goes on and on, whatever he is told, is closed.
func TestAttackMessageFlood(t *testing.T) {
	t.Parallel()
	s := serve(t, "--max-message-rate=100")
	near := stand(t, s, "")
	eve := member(t, s, "", "flood")
	flood(eve, 50_000, func(i int) string { return fmt.Sprintf(`{"type":"send","room":"flood","echo":false,"data":%d}`, i) })
	for {
		e, err := eve.next()
		if err != nil {
			break
		}
		if e.Type != "throttled" || e.RetryAfter <= 0 {
			t.Fatalf("heard %+v, want the notice throttled", e)
		}
	}
	if code, _ := eve.lib.closeCode(eve.err); code != 3100 {
		t.Errorf("the connection ended with %v, want 3100", eve.err)
	}
	near.fine(t)
}

// flood sends requests as fast as it can, while the test reads the answers.
func flood(c *client, n int, request func(i int) string) {
	go func() {
		for i := range n {
			if c.lib.write(text(request(i))) != nil {
				return // the server has had enough
			}
		}
	}()
}

// TestAttackLogInjection: whatever comes, one event is one line, and no line has a control character in it.
func TestAttackLogInjection(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "--log-level=debug", "--log-format="+format, "--token-secret", secret, "--api-key", apiKey)
			near := stand(t, s, sign(t, "ann", nil))
			for _, evil := range []string{
				"\n", "\r", "\r\n", "\x00", "\x1b[31mred", "\x1b]0;title\x07", "\u0085", "\u009b31m", "\u2028", "\u202e", "\x7f", "\xff\x9b31m",
				"\ntime=2026-01-01T00:00:00Z level=ERROR msg=hacked", "\n{\"level\":\"ERROR\",\"msg\":\"hacked\"}", `" level=ERROR msg="hacked`,
			} {
				injectHTTP(t, s, evil)
				injectMessages(t, s, evil)
			}
			near.fine(t)
			s.stop(t)
			examine(t, s.output(), format)
		})
	}
}

// injectHTTP puts a text wherever a request can have one. The answers do not matter.
func injectHTTP(t *testing.T, s *server, evil string) {
	t.Helper()
	escaped := url.PathEscape(evil)
	token := sign(t, "eve", nil)
	for _, request := range []string{
		upgrade(s, "/rooms/"+escaped, "Authorization: Bearer "+token),
		upgrade(s, "/ws?token="+url.QueryEscape(evil)), upgrade(s, "/ws?"+url.QueryEscape(evil)+"=1"), upgrade(s, "/"+escaped),
		upgrade(s, "/ws", "Authorization: Bearer "+evil), upgrade(s, "/ws", "Sec-WebSocket-Protocol: "+evil), upgrade(s, "/ws", "Origin: http://"+evil),
		upgrade(s, "/ws", "User-Agent: "+evil), upgrade(s, "/ws", "X-Forwarded-For: "+evil), upgrade(s, "/ws", "Sec-WebSocket-Extensions: "+evil),
		upgrade(s, "/ws", "Sec-WebSocket-Version: "+evil), upgrade(s, "/ws", evil+": 1"), upgrade(s, evil),
		call(s, "GET", "/v1/rooms/"+escaped+"/members", "", "X-API-Key: "+apiKey), call(s, "GET", "/v1/rooms", "", "X-API-Key: "+evil),
		call(s, "GET", "/v1/"+escaped, ""), call(s, "GET", "/v1/rooms?pattern="+url.QueryEscape(evil), "", "X-API-Key: "+apiKey),
		call(s, "GET"+evil, "/v1/rooms", ""), call(s, "DELETE", "/v1/users/ann%0a/connections?reason="+url.QueryEscape(evil), "", "X-API-Key: "+apiKey),
		call(s, "POST", "/v1/rooms/a/messages", `{"data":1,"user":`+quoted(t, evil)+`}`, "X-API-Key: "+apiKey),
		call(s, "POST", "/v1/rooms/a/messages", `{"data":1}`, "Content-Type: "+evil, "X-API-Key: "+apiKey),
	} {
		conn := connect(t, s, request)
		buffer := make([]byte, 64)
		_, _ = conn.Read(buffer) // it has been dealt with
		_ = conn.Close()
	}
}

// injectMessages puts it wherever a message can have one.
func injectMessages(t *testing.T, s *server, evil string) {
	t.Helper()
	q := quoted(t, evil)
	c := dial(t, s, "/ws", nil)
	for _, token := range []string{evil, sign(t, evil, nil), sign(t, "eve", jwt.MapClaims{"jti": evil}), sign(t, "eve", jwt.MapClaims{"aud": evil, "rooms": map[string]any{evil: []string{evil}}})} {
		_ = c.lib.write(text(`{"type":"token","token":` + quoted(t, token) + `}`))
	}
	for _, request := range []string{
		`{"type":"join","id":1,"room":` + q + `}`, `{"type":"send","id":1,"room":` + q + `,"data":` + q + `,"as":` + q + `,"key":` + q + `}`,
		`{"type":"direct","id":1,"to":{"user":` + q + `},"data":1}`, `{"type":` + q + `,"id":` + q + `}`,
		`{"type":"members","id":1,"room":` + q + `}`, evil,
	} {
		_ = c.lib.write(text(request))
	}
	_ = c.lib.startClose(4000, evil) // its reason
}

// examine requires that every line is an event, and that there is nothing in it that a terminal obeys.
func examine(t *testing.T, log, format string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	if len(lines) < 50 {
		t.Errorf("the log has %d lines: the test shows less than it should", len(lines))
	}
	for _, line := range lines {
		if i := strings.IndexFunc(line, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp) }); i >= 0 {
			t.Errorf("a control character in the log: %q", line)
		}
		var event struct{ Msg, Level string }
		if format == "json" {
			if err := json.Unmarshal([]byte(line), &event); err != nil {
				t.Errorf("%q is no event: %v", line, err)
			}
			if event.Msg == "hacked" {
				t.Errorf("an event of the attacker's: %q", line)
			}
			continue
		}
		if fields := strings.Fields(line); len(fields) < 3 || !strings.HasPrefix(fields[0], "time=20") || !strings.HasPrefix(fields[1], "level=") ||
			!strings.HasPrefix(fields[2], "msg=") || fields[2] == "msg=hacked" || strings.Contains(line, `" level=ERROR msg="hacked`) {
			t.Errorf("%q is no event of the server's", line)
		}
	}
}
