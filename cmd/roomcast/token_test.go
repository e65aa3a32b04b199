package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/server/auth"
)

const tokenSecret = "a secret of the tests, 32 bytes+"

// verify is what a server that knows the secret makes of a token.
func verify(t *testing.T, token string) *auth.Grant {
	t.Helper()
	a, err := auth.New(t.Context(), auth.Config{Secrets: []string{tokenSecret}, Leeway: -1}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	g, err := a.Verify(t.Context(), token)
	if err != nil {
		t.Fatalf("token %q: %v", token, err)
	}
	return g
}

// TestToken holds that a server takes what the command prints, and nothing else is on stdout.
func TestToken(t *testing.T) {
	stdout, stderr, code := output(t, "token", "--user=ann", "--room=chat/*=join,send", "--room=news=join", "--secret="+tokenSecret)
	if code != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("code %d, stdout %q, stderr %q; want one line", code, stdout, stderr)
	}
	g := verify(t, strings.TrimSpace(stdout))
	if g.User != "ann" || g.Expires.Sub(g.IssuedAt).Round(time.Minute) != time.Hour || !g.Allows(auth.Send, "chat/a") || g.Allows(auth.Send, "news") || !g.Allows(auth.Join, "news") {
		t.Errorf("grant %+v", g)
	}
}

func TestTokenJSON(t *testing.T) {
	cmd := program(t, "token", "--user=ann", "--expires=30m", "--json")
	cmd.Env = append(cmd.Env, "ROOMCAST_TOKEN_SECRET="+tokenSecret)
	var log bytes.Buffer
	cmd.Stderr = &log
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &log)
	}
	var got struct {
		Token, User string
		Expires     time.Time
	}
	if err := json.Unmarshal(stdout, &got); err != nil || bytes.Count(stdout, []byte("\n")) != 1 {
		t.Fatalf("%s: %v", stdout, err)
	}
	if g := verify(t, got.Token); got.User != "ann" || !g.Expires.Equal(got.Expires) || g.Allows(auth.Join, "a") {
		t.Errorf("%s, grant %+v", stdout, g)
	}
}

// TestTokenErrors holds that what cannot be minted is one line that says so, and exit code 2.
func TestTokenErrors(t *testing.T) {
	public := t.TempDir() + "/public.pem"
	if err := os.WriteFile(public, []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"missing flags: --user=NAME; see roomcast token --help": {"--secret=" + tokenSecret},
		"--secret is missing: set it":                           {"--user=ann"},
		"--secret that is given: 5 bytes are too few":           {"--user=ann", "--secret=short"},
		"--key-file none: cannot be read":                       {"--user=ann", "--key-file=none"},
		"there is no private key in it; make one with":          {"--user=ann", "--key-file=" + public},
		`--room: pattern "a": the action "fly" is unknown`:      {"--user=ann", "--secret=" + tokenSecret, "--room=a=fly"},
		`--user "a\nb": there are control characters`:           {"--user=a\nb", "--secret=" + tokenSecret},
		"--expires 0s: set a time such as 1h; see roomcast":     {"--user=ann", "--secret=" + tokenSecret, "--expires=0"},
	} {
		stdout, stderr, code := output(t, append([]string{"token"}, args...)...)
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "roomcast: ") || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: code %d, stdout %q, stderr %q; want code 2 and one line with %q", args, code, stdout, stderr, want)
		}
	}
}
