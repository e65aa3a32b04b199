package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// resumable is a client of /ws with its resume token and session.
func resumable(t *testing.T, s *server, token string) (c *client, resume, session string) {
	t.Helper()
	c = dial(t, s, "/ws?token="+token, nil)
	select {
	case m := <-c.inbox:
		var hello struct{ Type, Resume, Session string }
		if err := json.Unmarshal(m.data, &hello); err != nil || hello.Resume == "" {
			t.Fatalf("heard %s (%v), want hello with a resume token", m.data, err)
		}
		return c, hello.Resume, hello.Session
	case <-t.Context().Done():
		t.Fatal("no hello")
	}
	return nil, "", ""
}

// TestAttackSessions: a session is resumed by nobody but its own user, with nothing but its own token, and to nothing but what that user may.
func TestAttackSessions(t *testing.T) {
	t.Parallel()
	s := serve(t, "--token-secret", secret, "--history=log/**=100")
	near := stand(t, s, sign(t, "ann", nil))
	_, resume, session := resumable(t, s, sign(t, "ann", nil))
	eve, own, _ := resumable(t, s, sign(t, "eve", jwt.MapClaims{"rooms": map[string][]string{"log/eve": {"join"}}}))
	parts := strings.Split(resume, ".")
	for _, token := range []string{
		resume, session, parts[0], strings.Repeat("x", 1<<20), strings.Repeat(".", 1<<10), "...", "....", "\\u0000.a.0.b",
		parts[0] + own[strings.IndexByte(own, '.'):], resume[:len(resume)-1], resume + "A",
	} {
		eve.expectRefusal(t, fmt.Sprintf(`{"type":"resume","id":1,"resume":"%s"}`, token), "forbidden")
	}
	many := strings.Repeat(`{"room":"log/a","epoch":"x","offset":9007199254740991},`, 10_000)
	eve.ask(t, fmt.Sprintf(`{"type":"resume","id":2,"resume":%q,"rooms":[%s]}`, own, strings.TrimSuffix(many, ",")), "resumed")
	for _, room := range []string{"log/ann", "log/bystanders"} {
		eve.expectRefusal(t, fmt.Sprintf(`{"type":"join","id":3,"room":%q,"since":{"epoch":"x","offset":1}}`, room), "forbidden")
	}
	for _, since := range []string{`{"epoch":"x","offset":9007199254740991}`, `{"epoch":"x","offset":0}`} {
		eve.ask(t, fmt.Sprintf(`{"type":"join","id":4,"room":"log/eve","since":%s}`, since), "ack")
	}
	near.fine(t)
}

// TestAttackNodeRooms: what nodes say to each other goes through rooms that have no name for clients or for the API.
func TestAttackNodeRooms(t *testing.T) {
	t.Parallel()
	s := serve(t)
	near := stand(t, s, "")
	eve := speak(t, s, "")
	for _, room := range []string{`\u0001nodes`, `\u0001node/x`, `\u0001=kitchen`, `\u0001`} {
		eve.expectRefusal(t, fmt.Sprintf(`{"type":"join","id":1,"room":"%s"}`, room), "bad_room")
		eve.expectRefusal(t, fmt.Sprintf(`{"type":"send","id":2,"room":"%s","data":{"Command":{"Do":"disconnect"}}}`, room), "not_joined")
		escaped := strings.ReplaceAll(strings.ReplaceAll(room, `\u0001`, "%01"), "/", "%2F")
		expectStatus(t, s, call(s, "POST", "/v1/rooms/"+escaped+"/messages", `{"data":1}`), 422)
		expectStatus(t, s, upgrade(s, "/rooms/"+escaped), 400)
	}
	near.fine(t)
}
