package api

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/server/hub"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// TestGuide runs every example of docs/api.md and holds that the answers are those that stand there.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	bubble(t, func(t *testing.T, w *world) {
		ann := w.dial("ann", "kitchen")
		w.dial("bob", "kitchen")
		w.dial("", "cellar")
		stored, err := w.hub.Publish("log/kitchen", hub.Post{Payload: protocol.Payload{Bytes: []byte(`{"text":"lunch is ready"}`)}, User: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		actual := strings.NewReplacer("c7Qm2x", ann.id, "s9fKw3Vb", ann.session, "k3v9", stored.At.Epoch)
		printed := strings.NewReplacer(ann.id, "c7Qm2x", ann.session, "s9fKw3Vb", stored.At.Epoch, "k3v9")
		ran := 0
		for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(guide), -1) {
			lines := strings.Split(strings.TrimSpace(block[1]), "\n")
			for i := 0; i < len(lines); i += 2 {
				_, got := read(t, w.serve(curl(t, actual.Replace(lines[i]))))
				if got = printed.Replace(got); got != lines[i+1] {
					t.Errorf("%s\nanswers %s\nnot     %s", lines[i], got, lines[i+1])
				}
				ran++
			}
		}
		if ran != strings.Count(string(guide), "\n$ ") || ran == 0 {
			t.Errorf("%d examples ran, %d stand there", ran, strings.Count(string(guide), "\n$ "))
		}
	})
}

// curl is the request that a command line makes.
func curl(t *testing.T, line string) *http.Request {
	t.Helper()
	words := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1)
	for i, word := range words {
		words[i] = strings.Trim(word, "'")
	}
	if len(words) < 3 || words[0] != "$" || words[1] != "curl" {
		t.Fatalf("not a command with curl: %s", line)
	}
	method, url, body := "", "", ""
	var headers []string
	for rest := words[2:]; len(rest) > 0; rest = rest[1:] {
		if len(rest) > 1 && strings.HasPrefix(rest[0], "-") {
			switch rest[0] {
			case "-X":
				method = rest[1]
			case "-H":
				headers = append(headers, rest[1])
			case "--json":
				body = rest[1]
			default:
				t.Fatalf("curl %s is not known here: %s", rest[0], line)
			}
			rest = rest[1:]
			continue
		}
		url = strings.TrimPrefix(rest[0], "http://127.0.0.1:8080")
	}
	switch {
	case method == "" && body != "":
		method = post
	case method == "":
		method = http.MethodGet
	}
	r := request(method, url, body)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	return r
}
