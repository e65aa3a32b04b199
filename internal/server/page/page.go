// Package page serves the playground on which people try the protocol: one HTML file, one style sheet and some script modules,
// embedded in the binary, and the client for JavaScript that they use. The page needs nothing but these and the WebSocket at /ws, and its
// Content-Security-Policy holds it to that.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"regexp"
	"time"

	js "github.com/roomcast/roomcast/client/js"
)

//go:embed page.html page.css *.js
var files embed.FS

// paths is everything this package serves: the page at "/" and its assets below "/page/".
var paths = map[string]struct{ file, contentType string }{
	"/":                 {"page.html", "text/html; charset=utf-8"},
	"/page/page.css":    {"page.css", "text/css; charset=utf-8"},
	"/page/address.js":  {"address.js", script},
	"/page/composer.js": {"composer.js", script},
	"/page/dom.js":      {"dom.js", script},
	"/page/door.js":     {"door.js", script},
	"/page/invite.js":   {"invite.js", script},
	"/page/log.js":      {"log.js", script},
	"/page/notice.js":   {"notice.js", script},
	"/page/page.js":     {"page.js", script},
	"/page/payload.js":  {"payload.js", script},
	"/page/people.js":   {"people.js", script},
	"/page/rooms.js":    {"rooms.js", script},
	"/page/roster.js":   {"roster.js", script},
	"/page/session.js":  {"session.js", script},
	"/page/status.js":   {"status.js", script},
	"/page/talk.js":     {"talk.js", script},
	"/page/wire.js":     {"wire.js", script},
}

const script = "text/javascript; charset=utf-8"

// clientPath is where the client for JavaScript is.
const clientPath = "/roomcast.js"

const notFound = "not found: the page is at /, the protocol roomcast.v1 at /ws, a room is at /rooms/{room}\n"

// asset is one embedded file, ready to be served.
type asset struct {
	contentType string
	etag        string // strong: a hash of body
	body        []byte
}

type handler struct {
	assets map[string]asset // by request path; never changed after Handler
}

// Handler serves the page at exactly "/" and its assets below "/page/", the client for JavaScript at /roomcast.js, and answers 404 to every
// other path.
// Answers are revalidated by ETag, so a new binary shows its new page at once and an old one costs a 304.
func Handler() http.Handler {
	h := &handler{assets: make(map[string]asset, len(paths))}
	for path, p := range paths {
		body, err := files.ReadFile(p.file)
		if err != nil {
			panic("page: " + err.Error()) // the embed directive and paths disagree: a mistake in this file
		}
		h.assets[path] = newAsset(p.contentType, body)
	}
	h.assets[clientPath] = newAsset(script, js.Source)
	return h
}

func newAsset(contentType string, body []byte) asset {
	sum := sha256.Sum256(body)
	return asset{contentType: contentType, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, body: body}
}

// ServeHTTP answers GET and HEAD for the known paths.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", policy(r.Host))
	header.Set("Referrer-Policy", "no-referrer")

	a, ok := h.assets[r.URL.Path]
	if !ok {
		plain(w, http.StatusNotFound, notFound)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		plain(w, http.StatusMethodNotAllowed, "method not allowed: the page answers GET and HEAD\n")
		return
	}
	if r.URL.Path == clientPath {
		header.Set("Access-Control-Allow-Origin", "*") // pages of other origins import it as a module
	}
	header.Set("Content-Type", a.contentType)
	header.Set("Cache-Control", "no-cache") // keep it, but ask whether it is still the same
	header.Set("ETag", a.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}

func plain(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(line)) // the client has gone; nobody is left to be told
}

// plainHost is a Host header that is safe to repeat inside a policy: no spaces, quotes, semicolons or wildcards.
var plainHost = regexp.MustCompile(`^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$`)

// policy lets the page load its own files, talk to its own host, and nothing else. Browsers that read 'self' narrowly
// do not include the WebSocket schemes in it, so they are named for the host the page was asked from.
func policy(host string) string {
	connect := "'self'"
	if plainHost.MatchString(host) {
		connect += " ws://" + host + " wss://" + host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src " + connect +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
