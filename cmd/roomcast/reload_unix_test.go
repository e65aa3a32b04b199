//go:build unix

package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

// knock asks for an upgrade as a page of the origin does, and returns the status.
func (s *serving) knock(path, origin string) int {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+s.addr+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": origin,
	} {
		request.Header.Set(name, value)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// TestReload holds that SIGHUP reads the file again, that what can change does, that a broken file changes nothing, that each is
// logged without values, and that nobody is dropped.
func TestReload(t *testing.T) {
	name := settingsFile(t, "allowed-origin: https://one.example\n")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, nil, "--config", name)
	status := func(origin string) [2]int { return [2]int{s.knock("/ws", origin), s.knock("/rooms/a", origin)} }
	none, both := [2]int{403, 403}, [2]int{101, 101}
	one, two := "https://one.example", "https://two.example"
	if status(one) != both || status(two) != none {
		t.Fatal("the settings of the file are not in effect")
	}
	member, br := s.member()

	write("allowed-origin: https://two.example\nmax-rooms: 3\nlog-level: warn\n")
	s.signal(syscall.SIGHUP)
	if line := s.read(s.stderr, "settings read again"); !strings.Contains(line, "changed=allowed-origin") || strings.Contains(line, "two.example") {
		t.Errorf("log line %q, want the name of what has changed, and no value", line)
	}
	if line := s.read(s.stderr, "next start"); !strings.Contains(line, `settings="max-rooms, log-level"`) {
		t.Errorf("log line %q, want what waits for the next start", line)
	}
	if status(one) != none || status(two) != both {
		t.Error("the new origins are not in effect")
	}

	write("allowed-origin: https://one.example\nmax-rooms: none\n")
	s.signal(syscall.SIGHUP)
	if line := s.read(s.stderr, "not taken over"); !strings.Contains(line, name+":2: max-rooms none: write a whole number") {
		t.Errorf("log line %q, want the problem", line)
	}
	if status(one) != none || status(two) != both {
		t.Error("a broken file has changed something")
	}

	s.signal(os.Interrupt) // the member is there still: it gets the Close frame
	var frame [4]byte
	if _, err := io.ReadFull(br, frame[:]); err != nil || frame[0] != 0x88 || frame[3] != 0xe9 {
		t.Errorf("the member got % x, %v; want a Close frame with 1001", frame, err)
	}
	member.Close()
	if code := s.end(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// TestServeJSON holds that where it listens is one line of JSON.
func TestServeJSON(t *testing.T) {
	p := start(t, "serve", "--addr=127.0.0.1:0", "--json")
	line := p.expect(p.stdout, `{"addr":"127.0.0.1:`)
	addr := strings.Split(line, `"`)[3]
	if want := `{"addr":"` + addr + `","url":"http://` + addr + `/"}` + "\n"; line != want {
		t.Errorf("line %q, want %q", line, want)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if stdout, _, code := p.end(); code != 0 || stdout != "" {
		t.Errorf("code %d, more on stdout %q", code, stdout)
	}
}

// TestJoinWait holds that --wait stays in the room after the end of the input, until a signal, which is no failure.
func TestJoinWait(t *testing.T) {
	url := own(t)
	waits := start(t, "join", "a", "--wait", "--url", url)
	waits.stdin.Close()
	waits.expect(waits.stderr, "* joined a as ")
	other := start(t, "join", "a", "--url", url)
	other.say("still here\n")
	if _, _, code := other.end(); code != 0 {
		t.Errorf("code %d, want 0", code)
	}
	waits.expect(waits.stdout, "still here\n")
	if err := waits.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if stdout, stderr, code := waits.end(); code != 0 || stdout != "" || stderr != "" {
		t.Errorf("code %d, stdout %q, stderr %q; want 0 and nothing", code, stdout, stderr)
	}
}

// TestJoinToken holds that a token is shown, that one is asked for in words, and that a key that a reload takes away lets nobody in.
func TestJoinToken(t *testing.T) {
	const secret = "a secret of thirty-two bytes or more"
	name := settingsFile(t, "token-secret: "+secret+"\ntoken-timeout: 10ms\n")
	s := serve(t, nil, "--config", name)
	mint := program(t, "token", "--user=ann", "--room=kitchen=join,send")
	mint.Env = append(mint.Env, "ROOMCAST_TOKEN_SECRET="+secret)
	token, err := mint.Output()
	if err != nil {
		t.Fatal(err)
	}
	join := func(room, token string) (stdout, last string, code int) {
		p := start(t, "join", room, "--url", "ws://"+s.addr, "--token", strings.TrimSpace(token))
		_, _ = io.WriteString(p.stdin, "hello\n") // it may have ended
		stdout, stderr, code := p.end()
		lines := strings.SplitAfter(stderr, "\n")
		return stdout, lines[max(0, len(lines)-2)], code
	}
	if stdout, last, code := join("kitchen", string(token)); code != 0 || stdout != "hello\n" {
		t.Errorf("with a token: code %d, stdout %q, stderr %q", code, stdout, last)
	}
	if _, last, code := join("cellar", string(token)); code != 1 || !strings.HasSuffix(last, "(forbidden)\n") {
		t.Errorf("another room: code %d, stderr %q", code, last)
	}
	const remedy = "; show a valid token with --token or ROOMCAST_TOKEN\n"
	if _, last, code := join("kitchen", ""); code != 1 || !strings.HasSuffix(last, remedy) {
		t.Errorf("without a token: code %d, stderr %q", code, last)
	}
	if err := os.WriteFile(name, []byte("token-secret: another "+secret+"\ntoken-timeout: 10ms\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGHUP)
	if line := s.read(s.stderr, "settings read again"); !strings.Contains(line, "changed=token-secret") || strings.Contains(line, secret) {
		t.Errorf("log line %q, want the name of what has changed, and no secret", line)
	}
	if _, last, code := join("kitchen", string(token)); code != 1 || !strings.HasSuffix(last, remedy) {
		t.Errorf("a token of the old key: code %d, stderr %q", code, last)
	}
}
