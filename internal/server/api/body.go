package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/roomcast/roomcast/internal/server/protocol"
)

const (
	maxBody  = 1 << 20 // of one publication
	maxBatch = 8 << 20
)

// jsonBody is a body of type T, as an input of huma's. A handler looks at Fault first.
type jsonBody[T any] struct {
	Value T
	Fault *huma.ErrorModel
}

// Resolve is huma.Resolver: it reads the body.
func (b *jsonBody[T]) Resolve(ctx huma.Context) []error {
	r, w := humago.Unwrap(ctx)
	raw, fault := readBody(w, r, ctx.Operation().MaxBodyBytes)
	if fault == nil {
		fault = decode(raw, "body", &b.Value)
	}
	b.Fault = fault
	return nil
}

// readBody returns a body of JSON that has at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *huma.ErrorModel) {
	// Also a guard: a web page of another origin can make a browser send text without asking, but not what says that it is JSON.
	kind := r.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(kind); err != nil || media != "application/json" {
		return nil, problem(http.StatusUnsupportedMediaType, "header.Content-Type", kind, "send JSON, and say so: Content-Type: application/json")
	}
	tooLarge := func() *huma.ErrorModel {
		return problem(http.StatusRequestEntityTooLarge, "", nil, "the body has more than %d bytes, the most that is read: send less at once", limit)
	}
	if r.ContentLength > limit {
		w.Header().Set("Connection", "close") // the rest is not worth reading
		return nil, tooLarge()
	}
	raw, err := readAll(http.MaxBytesReader(w, r.Body, limit), r.ContentLength)
	var large *http.MaxBytesError
	var network net.Error
	switch {
	case err == nil:
		return raw, nil
	case errors.As(err, &large):
		return nil, tooLarge()
	case errors.As(err, &network) && network.Timeout():
		return nil, problem(http.StatusRequestTimeout, "", nil, "the body did not come in time: send it at once")
	default:
		return nil, problem(http.StatusBadRequest, "", nil, "the body ended too early: %v", err)
	}
}

// readAll is io.ReadAll with an array of the right size from the start, unless that is what somebody only says.
func readAll(r io.Reader, size int64) ([]byte, error) {
	const trusted = 64 << 10
	var b bytes.Buffer
	b.Grow(int(max(0, min(size, trusted))) + bytes.MinRead) // it asks for so much room to see the end
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// embedded takes out of a field's path what the JSON does not have.
var embedded = strings.NewReplacer("RoomMessage.", "", "Message.", "")

// decode reads one JSON value with nothing in it that its type does not have. Where is what it is, for errors.
func decode(raw []byte, where string, into any) *huma.ErrorModel {
	if !utf8.Valid(raw) {
		return problem(http.StatusBadRequest, where, nil, `it is not UTF-8: JSON is; send bytes as "base64"`)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return unreadable(err, where)
	}
	if _, err := d.Token(); err != io.EOF {
		return problem(http.StatusBadRequest, where, nil, "something follows the JSON value: send one")
	}
	return nil
}

// unreadable says what an error of decoding means.
func unreadable(err error, where string) *huma.ErrorModel {
	var own *huma.ErrorModel
	var mismatch *json.UnmarshalTypeError
	switch unknown, found := strings.CutPrefix(err.Error(), "json: unknown field "); {
	case errors.As(err, &own):
		return own
	case errors.As(err, &mismatch):
		return invalid(strings.TrimSuffix(where+"."+embedded.Replace(mismatch.Field), "."), nil, "a JSON %s does not belong here; the fields are in /docs", mismatch.Value)
	case found:
		return invalid(where, nil, "there is no field %s here; the fields are in /docs", clip(unknown))
	case errors.Is(err, io.EOF):
		return problem(http.StatusBadRequest, where, nil, "it is empty: send JSON")
	default:
		return problem(http.StatusBadRequest, where, nil, "it is not JSON: %v", err)
	}
}

// deep reports whether a JSON value is nested deeper than a message of the protocol may be, which is an object around it.
func deep(value []byte) bool {
	depth, quoted := 1, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			if depth++; depth > protocol.MaxDepth {
				return true
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return false
}
