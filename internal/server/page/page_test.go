package page

import (
	"io"
	"net/http"
	"net/http/httptest"
	urlpath "path"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask sends one request to a fresh Handler and returns its answer with the body read.
func ask(t *testing.T, method, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatalf("%s %s: reading the answer: %v", method, path, err)
	}
	return w.Result(), string(body)
}

func TestServesPageAndAssets(t *testing.T) {
	for path, want := range paths {
		res, body := ask(t, http.MethodGet, path)
		if res.StatusCode != http.StatusOK || body == "" {
			t.Errorf("GET %s = %d with %d bytes, want 200 and the file", path, res.StatusCode, len(body))
		}
		for name, value := range map[string]string{
			"Content-Type":           want.contentType,
			"X-Content-Type-Options": "nosniff",
			"Referrer-Policy":        "no-referrer",
			"Cache-Control":          "no-cache",
		} {
			if got := res.Header.Get(name); got != value {
				t.Errorf("GET %s: %s = %q, want %q", path, name, got, value)
			}
		}
	}
}

// TestClientForEverybody: pages of other origins can import the client, and nothing else.
func TestClientForEverybody(t *testing.T) {
	res, body := ask(t, http.MethodGet, "/roomcast.js")
	if res.StatusCode != http.StatusOK || body == "" || res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("GET /roomcast.js = %d with %d bytes, header %v; want 200, the client, and every origin allowed", res.StatusCode, len(body), res.Header)
	}
	for path := range paths {
		if res, _ := ask(t, http.MethodGet, path); res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("GET %s: other origins may read it: %v", path, res.Header)
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	for path := range paths {
		get, full := ask(t, http.MethodGet, path)
		head, body := ask(t, http.MethodHead, path)
		if head.StatusCode != http.StatusOK || body != "" {
			t.Errorf("HEAD %s = %d with %d bytes, want 200 and none", path, head.StatusCode, len(body))
		}
		if head.ContentLength != int64(len(full)) || head.Header.Get("ETag") != get.Header.Get("ETag") {
			t.Errorf("HEAD %s: length %d, ETag %s; want those of GET: %d, %s",
				path, head.ContentLength, head.Header.Get("ETag"), len(full), get.Header.Get("ETag"))
		}
	}
}

func TestRevalidation(t *testing.T) {
	seen := make(map[string]string)
	for path := range paths {
		res, _ := ask(t, http.MethodGet, path)
		etag := res.Header.Get("ETag")
		if other, twice := seen[etag]; twice || !strings.HasPrefix(etag, `"`) {
			t.Errorf("GET %s: ETag %s, want a strong one of its own (also seen at %q)", path, etag, other)
		}
		seen[etag] = path

		if again, body := ask(t, http.MethodGet, path, "If-None-Match", etag); again.StatusCode != http.StatusNotModified || body != "" {
			t.Errorf("GET %s with its ETag = %d with %d bytes, want 304 and none", path, again.StatusCode, len(body))
		}
		if fresh, _ := ask(t, http.MethodGet, path, "If-None-Match", `"of another binary"`); fresh.StatusCode != http.StatusOK {
			t.Errorf("GET %s with another ETag = %d, want 200", path, fresh.StatusCode)
		}
	}
}

func TestPolicy(t *testing.T) {
	const common = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'%s; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	for host, sockets := range map[string]string{
		"127.0.0.1:8080":          " ws://127.0.0.1:8080 wss://127.0.0.1:8080",
		"[::1]:8080":              " ws://[::1]:8080 wss://[::1]:8080",
		"chat.example":            " ws://chat.example wss://chat.example",
		"":                        "",
		"*":                       "",
		"a; script-src *":         "",
		"a' 'unsafe-inline":       "",
		"a:80:80":                 "",
		"a\r\nSet-Cookie: fixed=": "",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, r)
		want := strings.Replace(common, "%s", sockets, 1)
		if got := w.Header().Get("Content-Security-Policy"); got != want {
			t.Errorf("policy for host %q:\n got %s\nwant %s", host, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodPost, "/", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodDelete, "/page/page.js", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodOptions, "/", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodGet, "/page", http.StatusNotFound, ""},
		{http.MethodGet, "/page/", http.StatusNotFound, ""},
		{http.MethodGet, "/page/page.go", http.StatusNotFound, ""},
		{http.MethodGet, "/page/../page.css", http.StatusNotFound, ""},
		{http.MethodGet, "/favicon.ico", http.StatusNotFound, ""},
		{http.MethodPost, "/elsewhere", http.StatusNotFound, ""},
	} {
		res, body := ask(t, c.method, c.path)
		if res.StatusCode != c.status || res.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s = %d, Allow %q; want %d, Allow %q", c.method, c.path, res.StatusCode, res.Header.Get("Allow"), c.status, c.allow)
		}
		if c.status == http.StatusNotFound && (!strings.Contains(body, " /ws,") || !strings.Contains(body, " /rooms/{room}")) {
			t.Errorf("%s %s answers %q, want it to say where clients connect", c.method, c.path, body)
		}
		if strings.Count(body, "\n") != 1 || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s %s answers %q as %s, want one line of plain text", c.method, c.path, body, res.Header.Get("Content-Type"))
		}
	}
}

// TestClient: the client that the page imports is served beside it.
func TestClient(t *testing.T) {
	res, body := ask(t, http.MethodGet, "/roomcast.js")
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != script || !strings.Contains(body, "export function connect(") {
		t.Errorf("GET /roomcast.js = %d, %s, %d bytes; want the client", res.StatusCode, res.Header.Get("Content-Type"), len(body))
	}
}

// TestPageIsSelfContained: every file the page names is served, and it names nothing elsewhere.
func TestPageIsSelfContained(t *testing.T) {
	_, html := ask(t, http.MethodGet, "/")
	named := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(html, -1)
	if len(named) < 3 {
		t.Fatalf("page.html names %d files, want icon, style and script at least", len(named))
	}
	for _, m := range named {
		if name := m[1]; strings.HasPrefix(name, "data:image/svg+xml,") || name == "./" || name == "docs" {
			continue // the icon; the page itself; the HTTP API's page, which another package serves
		} else if _, ok := paths["/"+name]; !ok {
			t.Errorf("page.html names %q, which is not served", name)
		}
	}
	for path, p := range paths {
		if p.contentType != script {
			continue
		}
		_, source := ask(t, http.MethodGet, path)
		for _, m := range regexp.MustCompile(`(?m)^import .* from "([^"]+)";`).FindAllStringSubmatch(source, -1) {
			if res, _ := ask(t, http.MethodGet, urlpath.Join("/page", m[1])); res.StatusCode != http.StatusOK {
				t.Errorf("%s imports %q, which is not served", path, m[1])
			}
		}
		if lines := strings.Count(source, "\n"); lines >= 250 {
			t.Errorf("%s has %d lines: split it along its nouns", path, lines)
		}
		if forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(`).FindString(source); forbidden != "" {
			t.Errorf("%s uses %s: what others send must stay text", path, forbidden)
		}
	}
}
