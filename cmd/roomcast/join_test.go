package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/client"
	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/hub"
)

// own is a server in this process, for the test.
func own(t *testing.T) (url string) {
	t.Helper()
	s, err := startOwn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s.url
}

// piped is the program with pipes to it.
type piped struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr *bufio.Reader
}

func start(t *testing.T, args ...string) *piped {
	t.Helper()
	p := &piped{t: t, cmd: program(t, args...)}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin, p.stdout, p.stderr = in, bufio.NewReader(out), bufio.NewReader(log)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended, if all is well
		_ = p.cmd.Wait()
	})
	return p
}

// expect reads a line, which has to begin with the text.
func (p *piped) expect(from *bufio.Reader, begin string) (line string) {
	p.t.Helper()
	line, err := from.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, begin) {
		p.t.Fatalf("line %q, %v; want one that begins with %q", line, err, begin)
	}
	return line
}

func (p *piped) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, text); err != nil {
		p.t.Fatal(err)
	}
}

// end reads what is left and returns it with the exit code.
func (p *piped) end() (stdout, stderr string, code int) {
	p.t.Helper()
	p.stdin.Close()
	out, err := io.ReadAll(p.stdout)
	if err != nil {
		p.t.Fatal(err)
	}
	log, err := io.ReadAll(p.stderr)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait() // the exit code says it
	return string(out), string(log), p.cmd.ProcessState.ExitCode()
}

// TestJoinPipe holds that lines go in and messages come out, one per line and in order, and that the end of the input waits until
// everything is confirmed.
func TestJoinPipe(t *testing.T) {
	url := own(t)
	watch := start(t, "watch", "kitchen", "cellar", "--url", url)
	watch.expect(watch.stderr, "* joined kitchen, cellar as ")
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, "line %d\n", i)
	}
	join := start(t, "join", "kitchen", "--url", url)
	id := strings.Fields(join.expect(join.stderr, "* joined kitchen as "))[4]
	join.say(lines.String() + "{\"a\": 1.50}\n\ntab\there\nno end")
	stdout, stderr, code := join.end()
	if want := lines.String() + "{\"a\": 1.50}\n\n\"tab\\there\"\nno end\n"; code != 0 || stderr != "" || stdout != want {
		t.Errorf("code %d, stderr %q, stdout %q; want the lines again", code, stderr, stdout)
	}
	for i := range 200 {
		watch.expect(watch.stdout, fmt.Sprintf("kitchen\t%s\tline %d\n", id, i))
	}
	quiet := start(t, "join", "cellar", "--url", url, "--no-echo")
	quiet.say("psst\n")
	if stdout, _, code := quiet.end(); code != 0 || stdout != "" {
		t.Errorf("code %d, stdout %q; want no echo", code, stdout)
	}
	for _, want := range []string{"kitchen\t" + id + "\t{\"a\": 1.50}\n", "kitchen\t" + id + "\t\n", "kitchen\t" + id + "\t\"tab\\there\"\n",
		"kitchen\t" + id + "\tno end\n", "cellar\t"} {
		watch.expect(watch.stdout, want)
	}
}

// TestJoinJSON holds that messages come out as the server sent them, and that lines of JSON go in as JSON, others as strings.
func TestJoinJSON(t *testing.T) {
	url := own(t)
	join := start(t, "join", "kitchen", "--json", "--url", url+"/")
	id := strings.Fields(join.expect(join.stderr, "* joined kitchen as "))[4]
	join.say("{\"n\":1.50,\"u\":\"<\u00e9>\"}\nnull\nplain <text>\n")
	begin := `{"type":"message","room":"kitchen","from":{"connection":"` + id + `"},"data":`
	want := begin + "{\"n\":1.50,\"u\":\"<\u00e9>\"}}\n" + begin + "null}\n" + begin + "\"plain <text>\"}\n"
	if stdout, stderr, code := join.end(); code != 0 || stderr != "" || stdout != want {
		t.Errorf("code %d, stderr %q, stdout\n%s\nwant\n%s", code, stderr, stdout, want)
	}
}

// TestJoinFails holds that what does not work is said in one line with a remedy, and exit code 1.
func TestJoinFails(t *testing.T) {
	url := own(t)
	gone := httptest.NewServer(nil)
	gone.Close()
	nowhere := "ws" + strings.TrimPrefix(gone.URL, "http")
	locked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no token", http.StatusUnauthorized) }))
	defer locked.Close()
	door := "ws" + strings.TrimPrefix(locked.URL, "http")
	for _, c := range []struct {
		args  []string
		stdin string
		want  string // the end of stderr begins with it
	}{
		{[]string{"join", "a", "--url", nowhere}, "", "roomcast: cannot connect to " + nowhere + "/ws: dial tcp "},
		{[]string{"watch", "a", "--url", nowhere}, "", "roomcast: cannot connect to " + nowhere + "/ws: dial tcp "},
		{[]string{"join", strings.Repeat("x", 256), "--url", url}, "", "roomcast: room xxx"},
		{[]string{"join", "a", "--url", url + "/rooms/a"}, "", "roomcast: " + url + "/rooms/a: what is there does not speak roomcast.v1; its endpoint is /ws\n"},
		{[]string{"join", "a", "--url", url + "/nope"}, "", "roomcast: " + url + "/nope: the server answered 404: "},
		{[]string{"join", "a", "--url", door}, "", "roomcast: the server answered 401: no token; show a valid token with --token or ROOMCAST_TOKEN\n"},
		{[]string{"join", "a", "--url", url}, "good\nb\xffd\n", "roomcast: 1 lines sent, 1 not\n"},
	} {
		p := start(t, c.args...)
		p.say(c.stdin)
		_, stderr, code := p.end()
		lines := strings.SplitAfter(strings.TrimSuffix(stderr, "\n"), "\n")
		if last := lines[len(lines)-1] + "\n"; code != 1 || !strings.HasPrefix(last, c.want) {
			t.Errorf("roomcast %.60q: code %d, stderr %q; want code 1 and %q", c.args, code, stderr, c.want)
		}
	}
}

// TestWatchReturns holds that who watches is back in the rooms when the server has been replaced, and says both.
func TestWatchReturns(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	gate, err := auth.New(t.Context(), auth.Config{}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	config := hub.Config{Version: "test", Rooms: roomcast.Options{Logger: log}, Desk: admission.New(gate, admission.Limits{}, log)}
	first, second := hub.New(config), hub.New(config)
	var serving atomic.Pointer[hub.Hub]
	serving.Store(first)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serving.Load().ServeHTTP(w, r) }))
	defer s.Close()
	defer second.Server().Shutdown(context.Background())
	url := "ws" + strings.TrimPrefix(s.URL, "http")

	watch := start(t, "watch", "a", "--url", url, "--json")
	watch.expect(watch.stderr, "* joined a as ")
	serving.Store(second)
	if err := first.Server().Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	watch.expect(watch.stderr, "* disconnected: the server closed the connection with 1001: ")
	watch.expect(watch.stderr, "* joined a as ")
	join := start(t, "join", "a", "--url", url)
	join.say("again\n")
	if _, _, code := join.end(); code != 0 {
		t.Errorf("code %d, want 0", code)
	}
	watch.expect(watch.stdout, `{"type":"message","room":"a",`)
}

// TestPrinter holds how messages look, and that nobody's message commands the terminal.
func TestPrinter(t *testing.T) {
	bytes := "AAE="
	for _, c := range []struct {
		printer printer
		event   client.Event
		want    string
	}{
		{printer{}, client.Event{Data: []byte(`"two\nlines"`)}, "\"two\\nlines\"\n"},
		{printer{}, client.Event{Data: []byte(`"\u001b[2Jgone"`)}, "\"\\u001b[2Jgone\"\n"},
		{printer{}, client.Event{Data: []byte("\"c1 \u009b and \u202e\"")}, "\"c1 \ufffd and \ufffd\"\n"},
		{printer{}, client.Event{Data: []byte("{\"a\":\n[1, 2]}")}, "{\"a\": [1, 2]}\n"},
		{printer{}, client.Event{Data: []byte("[\"\u009b\"]")}, "[\"\ufffd\"]\n"},
		{printer{}, client.Event{Base64: &bytes}, "AAE=\n"},
		{printer{json: true}, client.Event{Raw: []byte("{\"data\":\n1}")}, "{\"data\": 1}\n"},
		{printer{rooms: true}, client.Event{Type: "direct", Data: []byte(`1`)}, "(direct)\tserver\t1\n"},
		{printer{rooms: true}, client.Event{Room: "a\tb", Data: []byte(`1`)}, "\"a\\tb\"\tserver\t1\n"},
	} {
		if c.event.Type == "" {
			c.event.Type = "message"
		}
		var out strings.Builder
		c.printer.w = &out
		c.printer.event(c.event)
		if out.String() != c.want {
			t.Errorf("%+v: %q, want %q", c.event, out.String(), c.want)
		}
	}
	var out strings.Builder
	p := printer{w: &out, people: true}
	e := client.Event{Type: "message", Room: "a", Data: []byte(`"hi"`)}
	e.From.User, e.From.Connection = "ann", "c1"
	p.event(e)
	e.Type, e.Room, e.From.User = "direct", "", ""
	p.event(e)
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], " ann: hi") || !strings.HasSuffix(lines[1], " (direct) c1: hi") || len(lines[0]) != len("15:04:05 ann: hi") {
		t.Errorf("on a terminal %q", lines)
	}
}

func TestNull(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) {
		t.Error("the null device is taken for a terminal")
	}
}

// TestStoppedBeforeItIsIn holds that who is stopped while there is no connection yet has not failed.
func TestStoppedBeforeItIsIn(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := (&sender{client: client.New(client.Config{})}).run(ctx, strings.NewReader("hello\n")); err != nil {
		t.Errorf("it says %v, want nothing", err)
	}
}
