// Package api is the HTTP API: what a backend does to rooms and clients, under /v1. docs/api.md is its guide, and /openapi.json, from
// which /docs is made, describes every operation.
//
// huma routes, reads parameters, and writes the document. Bodies are read here: huma would build a tree of whatever comes, for which
// up to fifty times its size is allocated, and refuse numbers that are none of Go's.
//
// Files: api.go is the handler, guard.go who may use it, body.go reads bodies, problem.go is every error, messages.go and batch.go do
// publications, publishing.go has their operations, once.go remembers what was done under an idempotency key, rooms.go,
// history.go, connections.go and revocations.go are the rest of the operations, openapi.go describes them, and docs.go is the page.
package api

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/hub"
)

// Hub is what the API acts on. *hub.Hub is one.
type Hub interface {
	CheckRoom(name string) error
	Publish(room string, p hub.Post) (roomcast.Receipt, error)
	PublishTo(t hub.Target, p hub.Post) (receipt roomcast.Receipt, found bool, err error)
	Rooms(match func(name string) bool, after string, limit int) (page []hub.Room, next string)
	Members(room, after string, limit int) (page []hub.Client, next string, total int)
	History(room string, r hub.Reading) ([]roomcast.Entry, error)
	Clients(t hub.Target, after string, limit int) (page []hub.Client, next string, total int)
	Client(connection string) (c hub.Client, rooms []string, found bool)
	Join(t hub.Target, room string) (joined int, err error)
	Leave(t hub.Target, room, reason string) (left int, err error)
	Disconnect(t hub.Target, reason string) (int, error)
	RevokeUser(user string, issuedBefore time.Time) (ended int, err error)
	RevokeToken(id string, until time.Time) (ended int, err error)
}

// Keys are the API keys.
type Keys interface {
	// KeysRequired reports whether there are any. Without, only this machine itself may use the API.
	KeysRequired() bool

	// APIKey reports whether it is one of them. How long that takes must say nothing about them.
	APIKey(presented string) bool
}

// Desk is who lets clients in. *admission.Desk is one.
type Desk interface {
	// Refuse counts a request that was refused, by one of the causes of admission.
	Refuse(cause string)
}

// Options is what can be set. Its zero value works.
type Options struct {
	// IdempotencyWindow is how long a publication with an idempotency key is remembered. Zero means 5 minutes.
	IdempotencyWindow time.Duration

	// IdempotencyKeys is how many of them are remembered, about 300 bytes each. Past it the oldest is forgotten before its time, and
	// its repetition would be published again. Zero means 65,536.
	IdempotencyKeys int
}

// API answers the paths of Over.
type API struct {
	hub  Hub
	keys Keys
	desk Desk
	done *memory
	log  *slog.Logger
	mux  *http.ServeMux
}

const prefix = "/v1/"

// WriteTimeout is how long an answer may take to be written: a client that does not read its answers keeps a connection, and holds up the end of
// the server.
const WriteTimeout = 30 * time.Second

// documents are for everybody.
var documents = []string{"/openapi.json", "/openapi.yaml", "/docs"}

// New returns the API of a hub and of the desk that lets its clients in. Without keys, or nil, only this machine itself may use it.
func New(h Hub, desk Desk, keys Keys, o Options, logger *slog.Logger) *API {
	if o.IdempotencyWindow == 0 {
		o.IdempotencyWindow = 5 * time.Minute
	}
	if o.IdempotencyKeys == 0 {
		o.IdempotencyKeys = 1 << 16
	}
	a := &API{hub: h, desk: desk, keys: keys, done: newMemory(o.IdempotencyWindow, o.IdempotencyKeys), log: logger, mux: http.NewServeMux()}
	described := humago.New(a.mux, config())
	a.publishing(described)
	a.rooms(described)
	a.history(described)
	a.connections(described)
	a.revocations(described)
	complete(described.OpenAPI())
	a.tell(described.OpenAPI())
	return a
}

// Over answers /v1/, /openapi.json, /openapi.yaml and /docs, and leaves all other paths to next. A mux would not do: it sends whoever asks for
// /v1/connections/../users/ann on to /v1/users/ann, so that a backend that does not escape a name would do to one what it meant for another.
func (a *API) Over(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix) || slices.Contains(documents, r.URL.Path) {
			a.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP answers a request. The documents are for everybody; everything else is for who has a key.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if strings.HasPrefix(r.URL.Path, prefix) {
		w.Header().Set("Cache-Control", "no-store")
		if p := a.guard(w, r); p != nil {
			a.log.Debug("API request refused", "status", p.Status, "remote", r.RemoteAddr, "method", r.Method, "path", r.URL.Path)
			write(w, p)
			return
		}
		if p := unclean(r.URL.EscapedPath()); p != nil {
			write(w, p)
			return
		}
	}
	handler, pattern := a.mux.Handler(r)
	if pattern != "" {
		a.mux.ServeHTTP(w, r)
		return
	}
	// No operation: the mux knows whether the path has others. What it would say is plain text.
	said := answer{header: http.Header{}}
	handler.ServeHTTP(&said, r)
	if allow := said.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		write(w, problem(http.StatusMethodNotAllowed, "", nil, "%s %s: this path answers %s; /docs lists the operations", clip(r.Method), clip(r.URL.EscapedPath()), allow))
		return
	}
	write(w, problem(http.StatusNotFound, "", nil, "%s: there is no such path; /docs lists the operations, and a slash in a name is written %%2F",
		clip(r.URL.EscapedPath())))
}

// unclean reports what a mux would take out of a path.
func unclean(escaped string) *huma.ErrorModel {
	if strings.Contains(escaped, "//") || escaped != path.Clean(escaped) && escaped != prefix {
		return problem(http.StatusNotFound, "", nil, `%s: there is no such path, since a name in it is empty, "." or "..": write %%2E for a dot, or put names through an escape function`,
			clip(escaped))
	}
	return nil
}

// answer keeps the header of an answer and nothing else.
type answer struct{ header http.Header }

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(p []byte) (int, error) { return len(p), nil }
func (a *answer) WriteHeader(int)             {}

// config is huma's: JSON alone, neither pages nor fields of its own.
func config() huma.Config {
	c := huma.DefaultConfig("Roomcast", "v1")
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{explain}
	format := huma.Format{Marshal: marshal, Unmarshal: json.Unmarshal}
	c.Formats = map[string]huma.Format{"application/json": format, "json": format} // the other is for application/problem+json
	describe(c.OpenAPI)
	return c
}

// marshal writes v, for which the time begins now: what it tells of may have taken longer. What cannot be written is lost: the client has gone, and
// huma would panic.
func marshal(w io.Writer, v any) error {
	if answer, ok := w.(http.ResponseWriter); ok {
		_ = http.NewResponseController(answer).SetWriteDeadline(time.Now().Add(WriteTimeout)) // a writer without a socket has none
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, _ = w.Write(b.Bytes())
	return nil
}
