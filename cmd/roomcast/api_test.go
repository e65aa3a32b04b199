package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakeAPI answers like the HTTP API and notes what it was asked, a line each.
type fakeAPI struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.EscapedPath() {
		case "/v1/rooms/closed/messages":
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			io.WriteString(w, `{"title":"Unprocessable Entity","status":422,"detail":"validation failed","errors":[{"message":"too long","location":"body.key"}]}`)
		case "/v1/rooms/bad/messages":
			w.WriteHeader(http.StatusUnprocessableEntity)
			io.WriteString(w, `{"title":"Unprocessable Entity","status":422,"detail":"body.to.room: two\nlines","errors":[{"message":"two\nlines","location":"body.to.room"}]}`)
		case "/v1/rooms/locked/messages":
			http.Error(w, "no", http.StatusUnauthorized)
		case "/v1/rooms/log/messages":
			io.WriteString(w, `{"delivered":0,"failed":0,"dropped":0,"epoch":"k3v9","offset":58}`)
		default:
			fmt.Fprintf(w, "{\"delivered\":3,\n\"failed\":1,\"replayed\":%v}\n", r.Header.Get("Idempotency-Key") == "again")
		}
	})
	mux.HandleFunc("GET /v1/rooms", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("after") {
		case "":
			io.WriteString(w, `{"rooms":[{"name":"a","members":3},{"room":"b c","members":12}],"next":"b c"}`)
		case "b c":
			io.WriteString(w, `{"rooms":[{"name":"d\u001b","members":1}]}`)
		}
	})
	mux.HandleFunc("GET /v1/rooms/{room}/members", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"members":[{"connection":"c1","session":"s1","user":"ann","address":"[::1]:7"},{"connection":"c2","session":"s2","address":"x"}],"total":2}`)
	})
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		line := r.Method + " " + r.URL.RequestURI() + " " + string(body)
		for _, name := range []string{"Authorization", "Idempotency-Key"} {
			if value := r.Header.Get(name); value != "" {
				line += " " + name + "=" + value
			}
		}
		f.mu.Lock()
		f.asked = append(f.asked, strings.TrimSpace(line))
		f.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// run runs the program against the fake and returns what it was asked for.
func (f *fakeAPI) run(t *testing.T, stdin string, args ...string) (asked []string, stdout, stderr string, code int) {
	t.Helper()
	f.asked = nil
	p := start(t, append(args, "--api", f.URL+"/")...)
	_, _ = io.WriteString(p.stdin, stdin) // it need not be read
	stdout, stderr, code = p.end()
	return f.asked, stdout, stderr, code
}

// TestSend holds what is posted for each way to send.
func TestSend(t *testing.T) {
	f := newFakeAPI(t)
	name := filepath.Join(t.TempDir(), "bytes")
	if err := os.WriteFile(name, []byte{0, 255}, 0o600); err != nil {
		t.Fatal(err)
	}
	const done = "delivered 3, failed 1\n"
	for _, c := range []struct {
		args   []string
		stdin  string
		asked  []string
		stdout string
	}{
		{[]string{"send", "kitchen", "lunch <is> ready"}, "", []string{`POST /v1/rooms/kitchen/messages {"data":"lunch <is> ready"}`}, done},
		{[]string{"send", "a/b c", `{"n":1.50}`}, "", []string{`POST /v1/rooms/a%2Fb%20c/messages {"data":{"n":1.50}}`}, done},
		{[]string{"send", "a", "null"}, "", []string{`POST /v1/rooms/a/messages {"data":null}`}, done},
		{[]string{"send", "a", "5", "--text"}, "", []string{`POST /v1/rooms/a/messages {"data":"5"}`}, done},
		{[]string{"send", "a"}, "two\nlines\n", []string{`POST /v1/rooms/a/messages {"data":"two\nlines"}`}, done},
		{[]string{"send", "a", "-"}, "[1]\n", []string{`POST /v1/rooms/a/messages {"data":[1]}`}, done},
		{[]string{"send", "a", "--binary"}, "\x00\n", []string{`POST /v1/rooms/a/messages {"base64":"AAo="}`}, done},
		{[]string{"send", "a", "--binary"}, "", []string{`POST /v1/rooms/a/messages {"base64":""}`}, done},
		{[]string{"send", "a", name, "--binary"}, "", []string{`POST /v1/rooms/a/messages {"base64":"AP8="}`}, done},
		{[]string{"send", "a", "x", "--user=ann", "--key=k", "--idempotency-key=i", "--api-key=s3"}, "",
			[]string{`POST /v1/rooms/a/messages {"data":"x","user":"ann","key":"k"} Authorization=Bearer s3 Idempotency-Key=i`}, done},
		{[]string{"send", "a", "x", "--idempotency-key=again"}, "", []string{`POST /v1/rooms/a/messages {"data":"x"} Idempotency-Key=again`},
			"delivered 3, failed 1 (by an earlier request with this key)\n"},
		{[]string{"send", "log", "x"}, "", []string{`POST /v1/rooms/log/messages {"data":"x"}`}, "stored as message 58 of the room\n"},
		{[]string{"send", "--to-user", "ann b", "hello"}, "", []string{`POST /v1/users/ann%20b/messages {"data":"hello"}`}, done},
		{[]string{"send", "--to-connection", "c1"}, "piped", []string{`POST /v1/connections/c1/messages {"data":"piped"}`}, done},
		{[]string{"send", "a", "--lines", "--json"}, "one\n2", []string{`POST /v1/rooms/a/messages {"data":"one"}`, `POST /v1/rooms/a/messages {"data":2}`},
			strings.Repeat(`{"delivered":3, "failed":1,"replayed":false}`+"\n", 2)},
	} {
		asked, stdout, stderr, code := f.run(t, c.stdin, c.args...)
		if code != 0 || stderr != "" || stdout != c.stdout || !slices.Equal(asked, c.asked) {
			t.Errorf("%q: code %d, stderr %q, stdout %q, asked %q; want %q and %q", c.args, code, stderr, stdout, asked, c.stdout, c.asked)
		}
	}
}

// TestSendFails holds that what does not work is one line with the API's own words, and exit code 1.
func TestSendFails(t *testing.T) {
	f := newFakeAPI(t)
	for args, want := range map[string]string{
		"send closed x":         "roomcast: 422 Unprocessable Entity: validation failed: body.key: too long\n",
		"send bad x":            "roomcast: \"422 Unprocessable Entity: body.to.room: two\\nlines\"\n",
		"send locked x":         "roomcast: 401 Unauthorized; give the key of the API with --api-key or ROOMCAST_API_KEY\n",
		"send closed --lines":   "roomcast: line 1: 422 Unprocessable Entity: ",
		"send a":                "roomcast: the message is not UTF-8; send bytes with --binary\n",
		"send a /no/f --binary": "roomcast: open /no/f: ",
	} {
		stdin := "\xff\n"
		if strings.Contains(args, "--lines") {
			stdin = "a\nb\n"
		}
		_, stdout, stderr, code := f.run(t, stdin, strings.Fields(args)...)
		if code != 1 || stdout != "" || !strings.HasPrefix(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: code %d, stdout %q, stderr %q; want code 1 and %q", args, code, stdout, stderr, want)
		}
	}
	f.Close()
	if _, _, stderr, code := f.run(t, "", "send", "a", "x"); code != 1 || !strings.HasPrefix(stderr, "roomcast: cannot reach "+f.URL+"/: dial tcp ") ||
		!strings.HasSuffix(stderr, "; start roomcast serve there, or give another address with --api\n") {
		t.Errorf("nobody there: code %d, stderr %q", code, stderr)
	}
}

// TestRooms holds that a list follows its pages, is lines with tabs in a pipe, and JSON as the API gave it.
func TestRooms(t *testing.T) {
	f := newFakeAPI(t)
	for _, c := range []struct {
		args, asked, stdout string
	}{
		{"rooms --pattern=chat/*", "GET /v1/rooms?limit=1000&pattern=chat%2F%2A GET /v1/rooms?after=b+c&limit=1000&pattern=chat%2F%2A",
			"a\t3\nb c\t12\n\"d\\u001b\"\t1\n"},
		{"rooms --json", "GET /v1/rooms?limit=1000 GET /v1/rooms?after=b+c&limit=1000",
			"{\"name\":\"a\",\"members\":3}\n{\"room\":\"b c\",\"members\":12}\n{\"name\":\"d\\u001b\",\"members\":1}\n"},
		{"rooms --members=kit/chen --api-key=k", "GET /v1/rooms/kit%2Fchen/members?limit=1000  Authorization=Bearer k",
			"c1\tann\t[::1]:7\ts1\nc2\t-\tx\ts2\n"},
	} {
		asked, stdout, stderr, code := f.run(t, "", strings.Fields(c.args)...)
		if code != 0 || stderr != "" || stdout != c.stdout || strings.Join(asked, " ") != c.asked {
			t.Errorf("%s: code %d, stderr %q, stdout %q, asked %q; want %q and %q", c.args, code, stderr, stdout, asked, c.stdout, c.asked)
		}
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }))
	defer page.Close()
	if _, stderr, code := output(t, "rooms", "--api", page.URL); code != 1 ||
		!strings.HasPrefix(stderr, "roomcast: what is at "+page.URL+" is not the HTTP API of roomcast (") {
		t.Errorf("a page: code %d, stderr %q", code, stderr)
	}
	if _, stderr, code := output(t, "rooms", "--api", page.URL+"/v1/"); code != 2 || !strings.Contains(stderr, "leave out /v1: write it as "+page.URL) {
		t.Errorf("with /v1: code %d, stderr %q", code, stderr)
	}
}
